"""Shared parts of the loaders of public sets: rows of their tables become `Cases`, views are
chosen and counted, and patients are kept on one side of the split.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxrl.app.errors import UserError
from sae.data.cases import NORMAL, Cases
from sae.data.images import read_image
from sae.data.tables import BLANKS


class Row(NamedTuple):
    """One radiograph of a table."""

    id: str
    patient: str
    path: Path
    labels: Sequence[float]
    view: str = ""
    report: str = ""


class Source(NamedTuple):
    """Source of the rows, and the choice among them."""

    name: str
    """Name of the set, for readers."""
    findings: tuple[str, ...]
    """Names of the labels."""
    views: tuple[str, ...] = ()
    """Views that are kept; empty: all."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Radiographs that were left out already, with reasons."""


def find_table(root: Path, pattern: str) -> Path:
    """The table of a set: `root` itself, or the last file in it of that name.

    Raises:
      UserError: there is none.
    """
    if root.is_file():
        return root
    found = sorted(root.glob(pattern)) if root.is_dir() else []
    if not found:
        raise UserError(f"there is no table {pattern} in {root}: name its folder")
    return found[-1].with_name(found[-1].name.removesuffix(".gz"))


def listed_labels(
    words: Sequence[str], names: Sequence[str], where: str
) -> tuple[float, ...] | None:
    """Labels of a radiograph whose table lists what is present; None for a blank list, which does
    not say that all else is absent.

    Raises:
      UserError: a word is none of `names`, so that it would be lost, or the list says No Finding
        with a finding.
    """
    present = {word.strip() for word in words if word.strip().lower() not in BLANKS}
    if not present:
        return None
    if NORMAL in present and len(present) > 1:
        raise UserError(f"{where} says {NORMAL} and {min(present - {NORMAL})!r}: which one is it?")
    unknown = sorted(present - set(names))
    if unknown:
        raise UserError(f"{where} names the finding {unknown[0]!r}, which this set does not have")
    return tuple(float(name in present) for name in names)


def view_name(text: str | None) -> str:
    """A view without spaces around it; "" where a table has none ("nan", say)."""
    text = (text or "").strip()
    return "" if text.lower() in BLANKS else text


def wanted_view(view: str | None, views: Sequence[str]) -> str | None:
    """Reason against a radiograph whose view is not wanted; None for one that is."""
    view = view_name(view)
    if not views or view in views:
        return None
    if not view:
        return "its table names no view (--views all keeps such radiographs, too)"
    return f"its view is {view}, and {', '.join(v or 'blank' for v in views)} were asked for"


def check_views(views: Sequence[str], there: Collection[str], where: str) -> None:
    """Refuse views that no row has.

    Raises:
      UserError: naming those that are there.
    """
    if views and not set(views) & set(there):
        listed = ", ".join(
            f"{view or 'blank'} ({count})" for view, count in Counter(there).most_common()
        )
        raise UserError(
            f"no radiograph of {where} has a view among {', '.join(views)}; there are {listed}: "
            "choose --views among these"
        )


def cases_of_rows(
    rows: Sequence[Row], source: Source, test: Collection[str] | None = None
) -> tuple[Cases, list[Path]]:
    """Cases of a table's rows, and the paths of their radiographs.

    Args:
      rows: of the table.
      source: see the class.
      test: names of the test side; None: the split is made later.

    Raises:
      UserError: no row is left.
    """
    rows = [row._replace(view=view_name(row.view)) for row in rows]
    there = [row.view for row in rows]
    check_views(source.views, there, source.name)
    reasons = [wanted_view(view, source.views) for view in there]
    kept = [row for row, reason in zip(rows, reasons, strict=True) if reason is None]
    skipped = [(row.id, reason) for row, reason in zip(rows, reasons, strict=True) if reason]
    if not kept:
        raise UserError(f"the tables of {source.name} list no usable radiograph")
    paths = [row.path for row in kept]
    people = tuple(row.patient for row in kept)
    split = ()
    if test is not None:
        split = with_validation(people, ["test" if row.id in test else "train" for row in kept])
    seen, acquisition = [row.view for row in kept], {}
    if len(set(seen)) > 1:
        acquisition["AP view"] = np.array(
            [v.startswith("AP") if v else np.nan for v in seen], np.float32
        )
    cases = Cases(
        tuple(row.id for row in kept),
        people,
        source.findings,
        np.array([row.labels for row in kept], np.float32).reshape(len(kept), -1),
        lambda i: read_image(paths[i]),
        tuple(row.report for row in kept) if any(row.report for row in kept) else (),
        acquisition,
        split,
        (*source.skipped, *skipped),
        source.name,
    )
    return cases, paths


def with_validation(patients: Sequence[str], sides: Sequence[str]) -> tuple[str, ...]:
    """The split with a tenth of the training patients as validation side, drawn once."""
    pairs = list(zip(patients, sides, strict=True))
    people = sorted({patient for patient, side in pairs if side == "train"})
    held = set(np.random.default_rng(0).permutation(people)[: max(1, len(people) // 10)].tolist())
    return tuple("validate" if side == "train" and p in held else side for p, side in pairs)
