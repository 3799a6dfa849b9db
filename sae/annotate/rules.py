"""Annotators without a model: by labels and words of reports, and by a table that people have filled in."""

import re
from collections import Counter
from pathlib import Path

from jaxrl.train.errors import Refusal
from sae.annotate.protocol import Film
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
        "film",
        "films",
        "chest",
        "seen",
    ]
)


def terms(film: Film) -> set[str]:
    """Findings that are present, and sentences of the report that deny nothing, in small letters."""
    present = {name.lower() for name, value in film.labels.items() if value == 1}
    sentences = (re.sub(r"[^a-z ]", "", part.lower()).strip() for part in re.split(r"[.\n;]", film.report))
    said = {s for s in sentences if s and not re.search(r"\b(no|not|without|normal|sharp|clear)\b", s)}
    return present | {s for s in said if set(s.split()) - TRIVIAL}


class Rules:
    """The term that tells shown films best from all films; a film shows a name if it is among its terms."""

    def __init__(self, background: list[Film]):
        """Args: films that say how common terms are anyway."""
        counts = Counter(term for film in background for term in terms(film))
        self._usual = {term: count / max(len(background), 1) for term, count in counts.items()}

    def name(self, films: list[Film]) -> str:
        """The term with the largest excess of its share here over its share everywhere; "" where none exceeds a quarter."""
        counts = Counter(term for film in films for term in terms(film))
        excess = {term: count / max(len(films), 1) - self._usual.get(term, 0.0) for term, count in counts.items()}
        best = max(sorted(excess), key=excess.get, default="")
        return best if excess.get(best, 0.0) > 0.25 else ""

    def verify(self, name: str, film: Film) -> bool:
        """Whether the name is among the film's terms."""
        return name in terms(film)


class Manual:
    """Names and verdicts that people wrote into a table: pattern, name, and perhaps film and shows (1 or 0)."""

    def __init__(self, path: Path, pattern: int):
        """Read the rows of one pattern.

        Raises:
          Refusal: no such file, or columns are missing.
        """
        rows = [row for row in read_table(path, ("pattern", "name")) if row["pattern"].strip() == str(pattern)]
        self._name = next((row["name"] for row in rows if row["name"]), "")
        try:
            self._shows = {row["film"]: bool(int(row["shows"])) for row in rows if row.get("film") and row.get("shows")}
        except ValueError as error:
            raise Refusal(f"column shows of {path} holds something else than 0 and 1 ({error})") from None

    def name(self, films: list[Film]) -> str:
        """What the table says; "" where it says nothing."""
        return self._name

    def verify(self, name: str, film: Film) -> bool:
        """What the table says of the film; False where it says nothing."""
        return self._shows.get(film.name, False)
