"""MIMIC-CXR-JPG (PhysioNet, credentialed), as it is laid out there: radiographs, labels, metadata,
the official split, reports next to it.
"""

from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.old_names import attributes
from sae.data.cases import CHEXPERT, Cases, side
from sae.data.images import read_image
from sae.data.layouts import check_views, view_name, wanted_view
from sae.data.tables import labels, person, read_table

FRONTAL = ("PA", "AP")


def image_path(root: Path, subject: str, study: str, dicom: str) -> Path:
    """Path of a JPEG of MIMIC-CXR-JPG: files/p10/p10000032/s50414267/<dicom>.jpg.

    Args:
      root: folder that holds files/.
      subject: number of the patient, such as 10000032.
      study: number of the study, such as 50414267.
      dicom: identifier of the image.
    """
    return root / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}" / f"{dicom}.jpg"


def report_path(root: Path, subject: str, study: str) -> Path:
    """files/p10/p10000032/s50414267.txt, as in MIMIC-CXR."""
    return root / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}.txt"


def mimic(
    root: Path,
    reports: Path | None = None,
    views: tuple[str, ...] = FRONTAL,
    labeler: str = "chexpert",
) -> tuple[Cases, list[Path]]:
    """Cases and the paths of their radiographs.

    Args:
      root: the folder with files/ and the tables mimic-cxr-2.0.0-*.csv[.gz].
      reports: the folder of MIMIC-CXR with the same files/ but texts; None: no reports. Radiographs
        whose report is missing are skipped.
      views: values of ViewPosition that are kept; empty: all.
      labeler: chexpert or negbio.

    Raises:
      UserError: tables are missing, or lack columns.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root}: name the folder of MIMIC-CXR-JPG")
    if reports is not None and not (reports / "files").is_dir():
        raise UserError(
            f"there is no folder {reports / 'files'}: name the folder of MIMIC-CXR with the "
            "reports, or leave reports out"
        )
    start = root / "mimic-cxr-2.0.0-"
    labels_at = Path(f"{start}{labeler}.csv")
    label_rows = read_table(labels_at, ("subject_id", "study_id", *CHEXPERT))
    table = labels(label_rows, CHEXPERT, labels_at)
    row_of = _rows_of_studies(label_rows, table, labels_at)
    side_of = {
        row["dicom_id"].strip(): side(row["split"])
        for row in read_table(Path(f"{start}split.csv"), ("dicom_id", "split"))
    }
    metadata = read_table(
        Path(f"{start}metadata.csv"), ("dicom_id", "subject_id", "study_id", "ViewPosition")
    )
    kept, skipped = [], []
    for row in metadata:
        row["subject_id"], row["study_id"] = _study(row)
        row["ViewPosition"], row["dicom_id"] = (
            view_name(row["ViewPosition"]),
            row["dicom_id"].strip(),
        )
    check_views(views, [row["ViewPosition"] for row in metadata], str(root))
    for row in metadata:
        key = (row["subject_id"], row["study_id"])
        if (reason := wanted_view(row["ViewPosition"], views)) is not None:
            if not row["ViewPosition"]:  # it may be frontal: counted and listed
                skipped.append((row["dicom_id"], reason))
            continue
        if key not in row_of or row["dicom_id"] not in side_of:
            skipped.append((row["dicom_id"], "its study has no labels or no place in the split"))
            continue
        text = _text(report_path(reports, row["subject_id"], row["study_id"])) if reports else ""
        if text is None:
            skipped.append((row["dicom_id"], "its report is missing or cannot be read"))
            continue
        kept.append((row, row_of[key], text))
    paths = [
        image_path(root, row["subject_id"], row["study_id"], row["dicom_id"]) for row, *_ in kept
    ]
    texts = tuple(text for *_, text in kept) if reports else ()
    cases = Cases(
        tuple(row["dicom_id"] for row, *_ in kept),
        tuple(row["subject_id"] for row, *_ in kept),
        CHEXPERT,
        table[[number for _, number, _ in kept]],
        lambda i: read_image(paths[i]),
        texts,
        {"AP view": np.array([_ap(row["ViewPosition"]) for row, *_ in kept], np.float32)},
        tuple(side_of[row["dicom_id"]] for row, *_ in kept),
        tuple(skipped),
        f"MIMIC-CXR-JPG in {root}",
    )
    return cases, paths


def _rows_of_studies(rows, table, where):
    """The row of labels of every study."""
    found = {}
    for number, row in enumerate(rows):
        first = found.setdefault(_study(row), number)
        if not np.array_equal(table[first], table[number], equal_nan=True):
            raise UserError(
                f"{where} labels study {row['study_id']} twice, in rows {first + 2} and "
                f"{number + 2}, and not alike: keep one of them"
            )
    return found


def _study(row):
    """Numbers of patient and study; spreadsheets write them with decimals."""
    return person(row["subject_id"]), person(row["study_id"])


def _ap(view):
    return float(view == "AP") if view else np.nan


def _text(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


__getattr__ = attributes(__name__, {"film_path": f"{__name__}:image_path"})  # old name
