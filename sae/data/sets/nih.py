"""ChestX-ray14 of the NIH: Data_Entry_2017*.csv with findings joined by "|", and image lists for
the split.
"""

from pathlib import Path

from jaxrl.app.errors import UserError
from sae.data.cases import NORMAL, Cases
from sae.data.chestmnist import FINDINGS
from sae.data.layouts import Row, Source, cases_of_rows, find_table, listed_labels
from sae.data.tables import decoded, is_blank, person, read_table

COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "View Position")


def nih(root: Path, views: tuple[str, ...] = ()) -> tuple[Cases, list[Path]]:
    """Cases and the paths of their radiographs.

    Args:
      root: the folder with the table and the images, in images/ or in images_001/images/ and so on;
        or the table itself.
      views: values of View Position that are kept; empty: all (the set has PA and AP only).

    With test_list.txt next to the table, its images are the test side, and a tenth of the other
    patients, drawn once and for all, is the validation side; without it the split is made later.

    Raises:
      UserError: no table, or it lacks columns, or names an unknown finding.
    """
    table = find_table(root, "Data_Entry*.csv*")
    folder = table.parent
    rows, places = read_table(table, COLUMNS), _places(folder)
    names = (*FINDINGS, NORMAL)
    kept, skipped = [], []
    for number, row in enumerate(rows, 2):
        name = row["Image Index"].strip()
        where = f"row {number} of {table}"
        labels = listed_labels(row["Finding Labels"].split("|"), names, where)
        if labels is None:
            skipped.append((name, "its list of findings is blank"))
            continue
        if is_blank(row["Patient ID"]):
            skipped.append((name, "its table names no patient"))
            continue
        patient = person(row["Patient ID"]).lstrip("0") or "0"  # 1 and 00001 are one
        path = places.get(name, folder / "images" / name)
        kept.append(Row(name, patient, path, labels, row["View Position"]))
    test = _listed(folder / "test_list.txt")
    if test is not None and not test & {row["Image Index"].strip() for row in rows}:
        raise UserError(
            f"{folder / 'test_list.txt'} names no image of {table}: it should have one Image Index "
            "per line; correct it, or take it away for a split of our own"
        )
    source = Source(f"ChestX-ray14 in {folder}", names, views, tuple(skipped))
    return cases_of_rows(kept, source, test)


def _places(folder):
    """Images by name, wherever the archives were unpacked."""
    return {
        path.name: path
        for pattern in ("images/*.png", "images_*/images/*.png", "*.png")
        for path in folder.glob(pattern)
    }


def _listed(path):
    if not path.is_file():
        return None
    names = (Path(line.strip()).name for line in decoded(path.read_bytes()).splitlines())
    return frozenset(name for name in names if name)
