"""Units of measure and money: which differ, and how large they are."""

import re
from fractions import Fraction
from typing import NamedTuple

DIMENSIONS: dict[str, dict[str, str]] = {
    "length": {
        "mm millimeter millimetre": "1/1000",
        "cm centimeter centimetre": "1/100",
        "m meter metre": "1",
        "km kilometer kilometre": "1000",
        "nm nanometer nanometre": "1/1000000000",
        "μm um micron micrometer micrometre": "1/1000000",
        "in inch inche": "0.0254",
        "ft foot feet": "0.3048",
        "yd yard": "0.9144",
        "mi mile": "1609.344",
        "nautical-mile": "1852",
        "light-year": "",
    },
    "area": {"acre": "4046.8564224", "hectare ha": "10000"},
    "volume": {
        "ml milliliter millilitre cc": "1/1000000",
        "cl centiliter centilitre": "1/100000",
        "dl deciliter decilitre": "1/10000",
        "l L liter litre": "1/1000",
        "cup": "1 customary",
        "pint": "2 customary",
        "quart": "4 customary",
        "gal gallon": "16 customary",
        "fluid-ounce": "1/8 customary",
    },
    "time": {
        "ms millisecond": "1/1000",
        "s sec second": "1",
        "min minute": "60",
        "h hr hour": "3600",
        "day": "86400",
        "week": "604800",
        "month": "1 calendar",
        "yr year": "12 calendar",
        "decade": "120 calendar",
        "century centurie": "1200 calendar",
    },
    "mass": {
        "μg ug microgram": "1/1000000",
        "mg milligram": "1/1000",
        "g gram": "1",
        "kg kilogram": "1000",
        "Mg": "1000000",
        "oz ounce": "28.349523125",
        "lb pound": "453.59237",
        "ton tonne": "",
    },
    "money": {
        "cent": "1/100",
        "dollar usd buck": "1",
        "nickel": "1/20",
        "dime": "1/10",
        "euro eur": "",
        "yen jpy": "",
        "sterling gbp": "",
        "rupee inr": "",
        "peso": "",
        "yuan": "",
    },
    "angle": {"degree deg": "", "radian rad": ""},
    "temperature": {"celsius": "", "fahrenheit": "", "K kelvin": ""},
    "force": {"N newton": "1", "kN kilonewton": "1000"},
    "pressure": {"Pa pascal": "1", "kPa kilopascal": "1000", "MPa megapascal": "1000000"},
    "energy": {"J joule": "1", "kJ kj kilojoule": "1000", "MJ megajoule": "1000000"},
    "electronvolts": {"eV": "1", "meV": "1/1000", "keV": "1000", "MeV": "1000000"},
    "power": {
        "mW milliwatt": "1/1000",
        "W watt": "1",
        "kW kilowatt": "1000",
        "MW megawatt": "1000000",
    },
    "charge": {"coulomb": "1", "C": ""},
    "current": {"mA milliampere": "1/1000", "A amp ampere": "1"},
    "frequency": {
        "Hz hz hertz": "1",
        "kHz khz kilohertz": "1000",
        "MHz mhz megahertz": "1000000",
        "GHz ghz gigahertz": "1000000000",
        "rpm": "",
    },
    "voltage": {"mV millivolt": "1/1000", "V volt": "1", "kV kilovolt": "1000"},
    "consumption": {"mpg": ""},
}
"""Names of units, and their size in one unit of the dimension. A month has no fixed number of days
and a ton may be several: sizes of another group are not compared, nor those left empty.
"""
POWERS = {"sq": 2, "square": 2, "cu": 3, "cubic": 3}
"""Words before a unit, and its power."""
_LENGTHS = {"area": 2, "volume": 3}
"""Dimensions that are powers of lengths, but for sizes of a group of their own."""
_EITHER = [
    set(pair.split())
    for pair in ["lb sterling", "degree celsius", "degree fahrenheit", "C celsius", "C coulomb"]
]
"""Names that may mean the same: pounds, degrees, C."""
_QUOTIENTS = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h", "fps": "ft/s"}
_TOGETHER = re.compile(r"\b(light|nautical|fluid)[ -](years?|miles?|ounces?)\b", re.IGNORECASE)
_PER = re.compile(r"\s*/\s*|\s*\b(?:per|an?|each|every)\s+", re.IGNORECASE)


class Unit(NamedTuple):
    """A unit of measure."""

    dimension: str
    """Key of DIMENSIONS."""
    name: str
    """The first of its names."""
    size: Fraction | None
    """In one unit of the dimension; None if it has no fixed one."""
    group: str
    """Units whose sizes are compared with each other alone; empty for most."""


class Measure(NamedTuple):
    """The known units in a phrase; words that are no units are passed over."""

    over: tuple[tuple[str, int], ...]
    """Names and powers of units in the numerator, sorted."""
    under: tuple[tuple[str, int], ...]
    """Names and powers of units in the denominator, sorted."""
    size: Fraction | None
    """Size; None if not all words are units of known size."""
    dimensions: tuple[tuple[str, int], ...]
    """Dimensions with their groups, and powers."""


def _units() -> dict[str, Unit]:
    found = {}
    for dimension, units in DIMENSIONS.items():
        for words, text in units.items():
            size, _, group = text.partition(" ")
            unit = Unit(dimension, words.split()[0], Fraction(size) if size else None, group)
            found |= dict.fromkeys(words.split(), unit)
    return found


UNITS = _units()


def unit_of(word: str) -> Unit | None:
    """The unit of a word: first as it is written, since mW is not MW, then in lower case and
    without a plural's s.
    """
    low = word.lower()
    for name in (word, low, low.removesuffix("s") if len(low) > 3 else low):
        if name in UNITS:
            return UNITS[name]
    return None


def measure(phrase: str) -> Measure:
    """The units of a phrase such as `square feet`, `km per hour`, `years old`, `cm^2`."""
    phrase = _TOGETHER.sub(r"\1-\2", phrase)
    for name, quotient in _QUOTIENTS.items():
        phrase = re.sub(rf"\b{name}\b", quotient, phrase, flags=re.IGNORECASE)
    sides: list[list[tuple[str, int]]] = [[], []]
    size, powers, known = Fraction(1), {}, True
    for place, part in enumerate(_PER.split(phrase)):
        power = 1
        for word in re.findall(r"[^\s.,*·]+", part):
            if word.lower() in POWERS:
                power = POWERS[word.lower()]
                continue
            bare = re.sub(r"\^?\{?[23]\}?$", "", word)
            unit = unit_of(bare)
            if unit is None:
                known, power = False, 1
                continue
            power = int(re.sub(r"\D", "", word.removeprefix(bare)) or power)
            sides[place > 0].append((unit.name, power))
            known = known and unit.size is not None
            signed = -power if place else power
            if unit.size is not None:
                size *= unit.size**signed
            base = "length" if unit.dimension in _LENGTHS and not unit.group else unit.dimension
            key = f"{base} {unit.group}".strip()
            times = _LENGTHS.get(unit.dimension, 1) if base == "length" else 1
            powers[key] = powers.get(key, 0) + signed * times
            power = 1
    over, under = (tuple(sorted(side)) for side in sides)
    left = tuple(sorted((key, power) for key, power in powers.items() if power))
    return Measure(over, under, size if known and (over or under) else None, left)


def different_units(one: str, other: str) -> bool:
    """True if two phrases hold known units, and not the same ones: years old and months old, m and
    m/s. A price may leave out what it is per; a phrase without a known unit differs from none.
    """
    a, b = measure(one), measure(other)
    if not (a.over or a.under) or not (b.over or b.under):
        return False
    if not _same_names(a.over, b.over):
        return True
    money = any(UNITS[name].dimension == "money" for name, _ in a.over)
    if money and not (a.under and b.under):
        return False
    return not _same_names(a.under, b.under)


def _same_names(one: tuple[tuple[str, int], ...], other: tuple[tuple[str, int], ...]) -> bool:
    if len(one) != len(other):
        names = {name for name, _ in (*one, *other)}
        return any(names == either for either in _EITHER)  # 25 degrees Celsius
    return all(
        a == b or ({a[0], b[0]} in _EITHER and a[1] == b[1])
        for a, b in zip(one, other, strict=True)
    )


def same_size(one: tuple[Fraction, str], other: tuple[Fraction, str]) -> bool:
    """True if two values with units are as large: 8 hours and 480 minutes, 10 m/s and 36 km/h.
    False where a word of either is no unit of known size, and where the dimensions differ.
    """
    a, b = measure(one[1]), measure(other[1])
    if a.size is None or b.size is None or a.dimensions != b.dimensions:
        return False
    return one[0] * a.size == other[0] * b.size
