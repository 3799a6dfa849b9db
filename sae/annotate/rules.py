"""Annotators without a model: by labels and words of reports, and by a table that people have
filled in.
"""

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from jaxrl.app.errors import UserError
from sae.annotate.protocol import Radiograph
from sae.data.tables import read_table

TRIVIAL = frozenset(
    [
        "the",
        "a",
        "an",
        "is",
        "are",
        "of",
        "in",
        "on",
        "no",
        "and",
        "with",
        "for",
        "to",
        "there",
        "this",
        "that",
        "at",
        "by",
        "or",
        "as",
        "radiograph",
        "radiographs",
        "chest",
        "seen",
    ]
)


def terms(radiograph: Radiograph) -> set[str]:
    """Findings that are present, and sentences of the report that deny nothing, in small
    letters.
    """
    present = {name.lower() for name, value in radiograph.labels.items() if value == 1}
    sentences = (
        re.sub(r"[^a-z ]", "", part.lower()).strip()
        for part in re.split(r"[.\n;]", radiograph.report)
    )
    said = {
        s for s in sentences if s and not re.search(r"\b(no|not|without|normal|sharp|clear)\b", s)
    }
    return present | {s for s in said if set(s.split()) - TRIVIAL}


class Rules:
    """The term that tells shown radiographs best from all radiographs; a radiograph shows a name if
    it is among its terms.
    """

    def __init__(self, background: list[Radiograph]):
        """Args: radiographs that say how common terms are anyway."""
        counts = Counter(term for radiograph in background for term in terms(radiograph))
        self._usual = {term: count / max(len(background), 1) for term, count in counts.items()}

    def name(self, radiographs: list[Radiograph]) -> str:
        """The term with the largest excess of its share here over its share everywhere; "" where
        none exceeds a quarter.
        """
        counts = Counter(term for radiograph in radiographs for term in terms(radiograph))
        excess = {
            term: count / max(len(radiographs), 1) - self._usual.get(term, 0.0)
            for term, count in counts.items()
        }
        best = max(sorted(excess), key=excess.get, default="")
        return best if excess.get(best, 0.0) > 0.25 else ""

    def verify(self, name: str, radiograph: Radiograph) -> bool:
        """Return whether the name is among the radiograph's terms."""
        return name in terms(radiograph)


class Manual:
    """Entries that readers wrote into a table about one pattern: its name, and perhaps which
    radiographs show it.
    """

    def __init__(self, name: str = "", shows: dict[str, bool] | None = None):
        """Args: see `read_manual`."""
        self._name, self._shows = name, shows or {}

    def name(self, radiographs: list[Radiograph]) -> str:
        """Return what the table says; "" where it says nothing."""
        return self._name

    def verify(self, name: str, radiograph: Radiograph) -> bool | None:
        """Return what the table says of the radiograph; None where it says nothing."""
        return self._shows.get(radiograph.name)


def read_manual(path: Path, patterns: Collection[int]) -> dict[int, Manual]:
    """Annotators by pattern, of a table with the columns pattern, name, and perhaps radiograph and
    shows (1 or 0).

    Raises:
      UserError: no such file, columns are missing, a pattern is none of `patterns`, or shows says
        something else.
    """
    names, shows = {}, {}
    for number, row in enumerate(read_table(path, ("pattern", "name")), 2):
        text, verdict = (row["pattern"] or "").strip(), (row.get("shows") or "").strip()
        if not text.isdecimal() or int(text) not in patterns:
            raise UserError(
                f"row {number} of {path} is about pattern {text!r}, which the catalogue does not "
                "have: fix the table"
            )
        if verdict not in ("", "0", "1"):
            raise UserError(
                f"row {number} of {path} says {verdict!r} in the column shows: write 1, 0 or "
                "nothing"
            )
        if row["name"]:
            names.setdefault(int(text), row["name"].strip())
        if row.get("radiograph") and verdict:
            shows.setdefault(int(text), {})[row["radiograph"]] = verdict == "1"
    return {pattern: Manual(names.get(pattern, ""), shows.get(pattern)) for pattern in patterns}
