"""Units of measure and money: which are of one dimension, and how large they are."""

import re
from fractions import Fraction
from typing import NamedTuple

DIMENSIONS: dict[str, dict[str, str]] = {
    "length": {
        "mm millimeter millimetre": "1/1000",
        "cm centimeter centimetre": "1/100",
        "m meter metre": "1",
        "km kilometer kilometre": "1000",
        "in inch inche": "0.0254",
        "ft foot feet": "0.3048",
        "yd yard": "0.9144",
        "mi mile": "1609.344",
    },
    "time": {
        "s sec second": "1",
        "min minute": "60",
        "h hr hour": "3600",
        "day": "86400",
        "week": "604800",
        "month": "1 calendar",
        "yr year": "12 calendar",
    },
    "mass": {
        "mg milligram": "1/1000",
        "g gram": "1",
        "kg kilogram": "1000",
        "oz ounce": "28.349523125",
        "lb pound": "453.59237",
        "ton tonne": "",
    },
    "volume": {
        "ml mL milliliter millilitre": "1",
        "l L liter litre": "1000",
        "cup": "1 customary",
        "pint": "2 customary",
        "quart": "4 customary",
        "gal gallon": "16 customary",
    },
    "money": {
        "cent": "1/100",
        "dollar usd buck": "1",
        "euro eur": "",
        "yen jpy": "",
        "sterling gbp": "",
        "rupee inr": "",
    },
    "angle": {"degree deg": "", "radian rad": ""},
    "temperature": {"celsius": "", "fahrenheit": "", "K kelvin": ""},
    "force": {"N newton": "1", "kilonewton": "1000"},
    "energy": {"J joule": "1", "kj kilojoule": "1000"},
    "power": {"W watt": "1", "kilowatt": "1000"},
    "charge": {"C coulomb": "1"},
    "current": {"A amp ampere": "1"},
    "frequency": {
        "hz hertz": "1",
        "khz kilohertz": "1000",
        "mhz megahertz": "1000000",
        "ghz gigahertz": "1000000000",
    },
    "voltage": {"V volt": "1"},
}
"""Names of units and their size in a unit of their dimension. A month has no number of days, nor a
ton of kilograms: sizes of another group, or none, are not compared.
"""


class Unit(NamedTuple):
    """A unit of measure."""

    dimension: str
    name: str
    size: Fraction | None
    group: str


def _units() -> dict[str, Unit]:
    found = {}
    for dimension, units in DIMENSIONS.items():
        for words, text in units.items():
            size, _, group = text.partition(" ")
            unit = Unit(dimension, words.split()[0], Fraction(size) if size else None, group)
            found |= dict.fromkeys(words.split(), unit)
    return found


UNITS = _units()
MONEY = {word for word, unit in UNITS.items() if unit.dimension == "money"}
MONEY |= {f"{word}s" for word in MONEY} | {"pound sterling"}
POWERS = {"sq": "2", "square": "2", "cu": "3", "cubic": "3"}
"""Words before a unit, and its power."""


def _known(words: str) -> tuple[Unit, int] | None:
    """The unit that words end with, and its power; None if it is in no list."""
    first, *_, word = words.split() * 2 if words else ("", "")
    bare = re.sub(r"[23]$", "", word)
    unit = UNITS.get(bare) or UNITS.get(bare.rstrip("s"))
    return None if unit is None else (unit, int(word.removeprefix(bare) or POWERS.get(first, "1")))


_SPEEDS = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h", "fps": "ft/s"}


def _parts(words: str) -> list[str]:
    """Over and under: `m/s`, `km per hour` and `mph` have two parts."""
    for name, quotient in _SPEEDS.items():
        words = re.sub(rf"\b{name}\b", quotient, words)
    return re.split(r"\s*/\s*|\s+per\s+", words)


def different_units(one: str, other: str) -> bool:
    """True if both are known units, and not the same, or not to the same power; of
    quotients such as m/s and km per hour, if that holds of their parts.
    """
    parts = _parts(one), _parts(other)
    if len(parts[0]) == len(parts[1]) > 1:
        return any(different_units(a, b) for a, b in zip(*parts, strict=True))
    a, b = _known(one), _known(other)
    if a and b and {a[0].name, b[0].name} == {"lb", "sterling"}:
        return False  # pounds may be either
    return a is not None and b is not None and (a[0].name, a[1]) != (b[0].name, b[1])


def same_size(one: tuple[Fraction, str], other: tuple[Fraction, str]) -> bool:
    """True if two values in units of one dimension are as large: 8 hours and 480 minutes, 10 m/s
    and 36 km/h. False where a size is not known, and for different powers.
    """
    a, b = _size(one[1]), _size(other[1])
    return a is not None and b is not None and a[1] == b[1] and one[0] * a[0] == other[0] * b[0]


def _size(words: str) -> tuple[Fraction, list[tuple[str, int, str]]] | None:
    """The size of a unit, and the dimensions, powers and groups that it is of; None if unknown."""
    size, dimensions = Fraction(1), []
    for place, part in enumerate(_parts(words)):
        found = _known(part)
        if found is None or found[0].size is None:
            return None
        unit, power = found
        size *= unit.size ** (-power if place else power)
        dimensions.append((unit.dimension, power, unit.group))
    return size, dimensions
