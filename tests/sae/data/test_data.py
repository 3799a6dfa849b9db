"""Layouts of data sets on small copies, label policies against hand tables, splits, DICOM, and
everything that can be wrong with them.
"""

import csv
import gzip
import io

import numpy as np
import pytest
from PIL import Image

from jaxrl.app.errors import UserError
from sae.data import cases as records
from sae.data import embeddings, labels, phantom
from sae.data.chestmnist import chestmnist
from sae.data.chexpert import chexpert
from sae.data.folder import folder
from sae.data.images import read_image, windowed
from sae.data.mimic import image_path, mimic

NAN = float("nan")


def test_policies_against_a_hand_table():
    given = np.array([[1, 0, -1, NAN]], np.float32)

    def check(found, value, mask):
        return (
            np.testing.assert_allclose(found[0], [value]),
            np.testing.assert_allclose(found[1], [mask]),
        )

    check(labels.targets(given), [1, 0, 0, 0], [1, 1, 0, 0])
    check(labels.targets(given, "zeros", "zeros"), [1, 0, 0, 0], [1, 1, 1, 1])
    check(labels.targets(given, "ones"), [1, 0, 1, 0], [1, 1, 1, 0])
    names = ("Cardiomegaly", "Fracture", "Edema", "Pneumonia")
    value, mask = labels.targets(np.full((500, 4), -1.0), "soft", findings=names)
    assert (
        mask.all()
        and value[:, 2].min() >= 0.55
        and value[:, 2].max() <= 0.85
        and value[:, 0].max() <= 0.3
    )
    classes, known = labels.three_classes(given)
    np.testing.assert_array_equal(classes, [[0 + 1, 0, 2, 0]])
    np.testing.assert_array_equal(known, [[1, 1, 1, 0]])
    with pytest.raises(UserError, match="label 2 at row 0, column 1"):
        labels.targets(np.array([[0, 2.0]]))


def test_no_finding_clears_what_is_not_mentioned():
    given = np.array([[1, NAN, NAN, -1], [0, NAN, NAN, 1]], np.float32)
    cleared = labels.clear_when_normal(
        given, ("No Finding", "Edema", "Support Devices", "Fracture")
    )
    np.testing.assert_array_equal(
        cleared, np.array([[1, 0, NAN, -1], [0, NAN, NAN, 1]], np.float32)
    )


def made(count=10, split=(), patients=None):
    names = tuple(f"f{i}" for i in range(count))
    return records.Cases(
        names,
        patients or names,
        ("Edema",),
        np.zeros((count, 1), np.float32),
        lambda i: np.full((4, 4), i, np.uint8),
        split=split,
    )


def test_splits_are_by_patient_and_repeatable():
    cases = made(60, patients=tuple(f"p{i % 20}" for i in range(60)))
    parts = records.split_by_patient(cases, 3)
    sides = [{cases.patients[r] for r in rows} for rows in parts.values()]
    assert not sides[0] & sides[1] and not sides[1] & sides[2] and not sides[0] & sides[2]
    assert sum(map(len, parts.values())) == 60
    np.testing.assert_array_equal(records.split_by_patient(cases, 3)["test"], parts["test"])


def test_a_patient_on_both_sides_is_refused():
    cases = made(4, ("train", "test", "validate", "train"), ("a", "b", "c", "b"))
    with pytest.raises(UserError, match="patient b is in both train and test"):
        records.split_by_patient(cases)
    with pytest.raises(UserError, match="says 'val' somewhere"):
        records.split_by_patient(made(3, ("train", "val", "test")))
    with pytest.raises(UserError, match="no radiograph is left for"):
        records.split_by_patient(made(2))


def test_missing_columns_and_repeated_names_are_refused():
    with pytest.raises(UserError, match=r"no label column Fracture, Mass .* it has Edema"):
        records.select_findings(made(), ("Edema", "Fracture", "Mass"))
    with pytest.raises(UserError, match="the name f0 stands for several radiographs"):
        records.Cases(("f0", "f0"), ("a", "b"), (), np.zeros((2, 0)), lambda i: None)


def test_unreadable_radiographs_are_skipped_and_listed():
    def read(row):
        if row == 1:
            raise records.Unreadable("torn")
        return np.zeros((2, 2), np.uint8)

    cases = records.Cases(("a", "b", "c"), ("a", "b", "c"), (), np.zeros((3, 0)), read)
    radiographs, rows, skipped = records.read_all(cases, lambda radiograph: radiograph)
    assert (
        radiographs.shape == (2, 2, 2) and rows.tolist() == [0, 2] and skipped == (("b", "torn"),)
    )
    with pytest.raises(UserError, match=r"none of the 1 radiographs .* torn"):
        records.read_all(records.take(cases, np.array([1])), lambda radiograph: radiograph)


def table(path, rows):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def radiograph(path, value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8), value, np.uint8)).save(path)


@pytest.fixture
def mimic_folder(tmp_path):
    blank = dict.fromkeys(records.CHEXPERT, "")
    table(
        tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz",
        [
            {
                "subject_id": "10000032",
                "study_id": "501",
                **blank,
                "Edema": "1.0",
                "Pneumonia": "-1.0",
            },
            {"subject_id": "10000033", "study_id": "502", **blank, "No Finding": "1.0"},
        ],
    )
    rows = [
        ("d1", "10000032", "501", "PA"),
        ("d2", "10000032", "501", "LATERAL"),
        ("d3", "10000033", "502", "AP"),
        ("d4", "1", "9", "AP"),
    ]
    names = ("dicom_id", "subject_id", "study_id", "ViewPosition")
    table(
        tmp_path / "mimic-cxr-2.0.0-metadata.csv",
        [dict(zip(names, row, strict=True)) for row in rows],
    )
    table(
        tmp_path / "mimic-cxr-2.0.0-split.csv",
        [{"dicom_id": d, "split": s} for d, s in (("d1", "train"), ("d3", "test"), ("d4", "test"))],
    )
    radiograph(image_path(tmp_path, "10000032", "501", "d1"))
    report = tmp_path / "reports" / "files" / "p10" / "p10000032" / "s501.txt"
    report.parent.mkdir(parents=True)
    report.write_text("Mild edema.")
    return tmp_path


def test_mimic(mimic_folder):
    cases, _ = mimic(mimic_folder, mimic_folder / "reports")
    assert cases.ids == ("d1",) and cases.reports == ("Mild edema.",)
    assert dict(cases.skipped)["d3"] == "its report is missing or cannot be read"
    with pytest.raises(UserError, match="there is no folder .*with the reports"):
        mimic(mimic_folder, mimic_folder / "report")
    cases, _ = mimic(mimic_folder)
    assert cases.ids == ("d1", "d3") and cases.split == ("train", "test") and cases.reports == ()
    np.testing.assert_array_equal(
        cases.labels[0, [records.CHEXPERT.index("Edema"), records.CHEXPERT.index("Pneumonia")]],
        [1, -1],
    )
    assert np.isnan(cases.labels[0]).sum() == 12 and cases.acquisition["AP view"].tolist() == [0, 1]
    assert cases.skipped[0][0] == "d4" and cases.read(0).shape == (6, 8)
    with pytest.raises(records.Unreadable, match="no such file"):
        cases.read(1)
    (mimic_folder / "mimic-cxr-2.0.0-split.csv").unlink()
    with pytest.raises(UserError, match=r"split\.csv"):
        mimic(mimic_folder)


def test_chexpert(tmp_path):
    row = {
        "Path": "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg",
        "Frontal/Lateral": "Frontal",
        "AP/PA": "AP",
    }
    blank = dict.fromkeys(records.CHEXPERT, "")
    table(
        tmp_path / "train.csv",
        [row | blank | {"Edema": "-1.0"}, row | blank | {"Frontal/Lateral": "Lateral"}],
    )
    radiograph(tmp_path / "train" / "patient00001" / "study1" / "view1_frontal.jpg")
    cases, _ = chexpert(tmp_path)
    assert (
        cases.patients == ("patient00001",)
        and cases.read(0).shape == (6, 8)
        and cases.labels[0, records.CHEXPERT.index("Edema")] == -1
    )
    rows = [
        row | blank | {"Path": f"c/train/patient{i:05d}/study1/view{j}_frontal.jpg"}
        for i in range(20)
        for j in (1, 2)
    ]
    table(tmp_path / "train.csv", rows)
    assert chexpert(tmp_path)[0].split == ()
    table(
        tmp_path / "valid.csv",
        [row | blank | {"Path": "c/valid/patient90000/study1/view1_frontal.jpg", "Edema": "1"}],
    )
    cases, _ = chexpert(tmp_path)
    parts = {
        side: {cases.patients[r] for r in rows}
        for side, rows in records.split_by_patient(cases).items()
    }
    assert (
        parts["test"] == {"patient90000"}
        and len(parts["validate"]) == 2
        and len(parts["train"]) == 18
    )
    table(tmp_path / "valid.csv", [row | blank | {"Edema": "often"}])
    with pytest.raises(UserError, match=r"valid\.csv, row 2, holds|valid\.csv, row 2 holds"):
        chexpert(tmp_path)
    paths = ("C\\train\\PATIENT00001\\study1\\a.jpg", "c/train/patient00001/study2/b.jpg")
    (tmp_path / "valid.csv").unlink()
    table(tmp_path / "train.csv", [row | blank | {"Path": path} for path in paths])
    cases, paths = chexpert(tmp_path)
    assert cases.patients == ("patient00001",) * 2
    assert paths[0] == tmp_path / "train/PATIENT00001/study1/a.jpg"
    table(tmp_path / "train.csv", [row | blank | {"Path": "c/train/00001/a.jpg"}])
    with pytest.raises(UserError, match="'c/train/00001/a.jpg' names no patient"):
        chexpert(tmp_path)
    table(tmp_path / "train.csv", [{"Path": "x", "Edema": "1"}])
    with pytest.raises(UserError, match="has no column Frontal/Lateral, AP/PA, No Finding"):
        chexpert(tmp_path)


def test_chestmnist(tmp_path):
    sides = {f"{s}_images": np.zeros((2, 28, 28), np.uint8) for s in ("train", "val", "test")}
    sides |= {f"{s}_labels": np.eye(2, 14, dtype=np.uint8) for s in ("train", "val", "test")}
    np.savez(tmp_path / "c.npz", **sides)
    cases = chestmnist(tmp_path / "c.npz")
    assert (
        len(cases) == 6
        and cases.split[2] == "validate"
        and cases.labels[1].tolist()[:3] == [0, 1, 0]
    )
    np.savez(
        tmp_path / "d.npz",
        **sides | {f"{s}_labels": np.zeros((2, 1)) for s in ("train", "val", "test")},
    )
    with pytest.raises(UserError, match=r"not \[N, 14\]"):
        chestmnist(tmp_path / "d.npz")
    with pytest.raises(UserError, match="there is no file"):
        chestmnist(tmp_path / "none.npz")


def test_a_folder_with_a_table(tmp_path):
    radiograph(tmp_path / "a.png", 7)
    (tmp_path / "b.png").write_bytes(b"no radiograph")
    table(
        tmp_path / "t.csv",
        [
            {"path": "a.png", "patient": "p", "Edema": "1", "report": "wet", "dose": "2.5"},
            {"path": "b.png", "patient": "q", "Edema": "", "report": "", "dose": "1"},
        ],
    )
    cases, _ = folder(tmp_path / "t.csv", ("Edema",), ("dose",))
    assert (
        (cases.read(0) == 7).all()
        and cases.reports == ("wet", "")
        and cases.acquisition["dose"].tolist() == [2.5, 1]
    )
    with pytest.raises(records.Unreadable):
        cases.read(1)
    with pytest.raises(UserError, match="has no column Mass"):
        folder(tmp_path / "t.csv", ("Mass",))
    table(tmp_path / "t.csv", [{"path": "a.png", "patient": "p", "Edema": "yes"}])
    with pytest.raises(UserError, match="row 2 holds 'yes'"):
        folder(tmp_path / "t.csv", ("Edema",))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("path,patient,Edema\na.png,p,1\nb.png,,", "row 3 .* names no patient"),
        ("path,patient,Edema\n,p,1", "row 2 .* names no path"),
        ("path,patient,Edema,split\na.png,p,1,holdout", "says 'holdout' somewhere"),
        (
            "path,patient,Edema,split\na.png,p,1,train\nb.png,p,1,test",
            "patient p is in both train and test",
        ),
    ],
)
def test_tables_with_holes_are_refused(tmp_path, text, complaint):
    (tmp_path / "t.csv").write_text(text + "\n")
    with pytest.raises(UserError, match=complaint):
        folder(tmp_path / "t.csv", ("Edema",))


def test_windows_by_hand():
    values = np.array([[0.0, 100, 200, 300]])
    np.testing.assert_array_equal(windowed(values, None, None, False), [[0, 85, 170, 255]])
    np.testing.assert_array_equal(windowed(values, None, None, True), [[255, 170, 85, 0]])
    found = windowed(values, 150.0, 101.0, False)  # (x - 149.5) / 100 + 0.5, in bytes
    np.testing.assert_array_equal(found, [[0, np.round(255 * 0.005), 255, 255]])


@pytest.mark.parametrize("turned", [False, True])
def test_dicom(tmp_path, turned):
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    data = FileDataset(str(tmp_path / "x.dcm"), {}, file_meta=meta, preamble=b"\0" * 128)
    pixels = (np.arange(12, dtype=np.uint16).reshape(3, 4)) * 300
    data.Rows, data.Columns, data.BitsAllocated, data.BitsStored, data.HighBit = 3, 4, 16, 12, 11
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.PhotometricInterpretation = "MONOCHROME1" if turned else "MONOCHROME2"
    data.PixelData = pixels.tobytes()
    data.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    shown = np.round(255 * np.arange(12).reshape(3, 4) / 11).astype(np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "x.dcm"), 255 - shown if turned else shown)
    data.RescaleSlope, data.RescaleIntercept = "1.5", "0"
    data.save_as(tmp_path / "z.dcm", enforce_file_format=True)
    (tmp_path / "z.dcm").write_bytes((tmp_path / "z.dcm").read_bytes().replace(b"1.5 ", b"x.y "))
    with pytest.raises(records.Unreadable, match="could not convert"):
        read_image(tmp_path / "z.dcm")
    (tmp_path / "y.dcm").write_bytes((tmp_path / "x.dcm").read_bytes()[:200])
    with pytest.raises(records.Unreadable, match="no readable DICOM"):
        read_image(tmp_path / "y.dcm")


def test_sixteen_bit_png_keeps_its_range(tmp_path):
    Image.fromarray(np.array([[0, 1000], [2000, 4000]], np.uint16)).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), [[0, 64], [128, 255]])


def test_embedding_files_come_back_and_bad_ones_are_refused(tmp_path):
    cases = made(5)
    path = tmp_path / "e.npz"
    embeddings.save(
        embeddings.Embedded(cases, np.ones((5, 3), np.float32), None, "mine"), path, ("x",) * 5
    )
    again = embeddings.load(path)
    assert (
        again.cases.ids == cases.ids
        and again.text is None
        and again.encoder == "mine"
        and again.has_images
    )
    np.testing.assert_array_equal(again.image, np.ones((5, 3)))
    rows = np.ones((5, 3), np.float32)
    rows[2, 1] = np.inf
    embeddings.save(embeddings.Embedded(cases, rows, None, "mine"), path)
    with pytest.raises(UserError, match="1 rows of the image embeddings .* first is row 2"):
        embeddings.load(path)
    with pytest.raises(UserError, match="have width 3, but the model was trained on 7"):
        embeddings.check_rows(rows, "embeddings", 7)
    np.savez(path, ids=np.array(["a"]))
    with pytest.raises(UserError, match="lacks format, patients"):
        embeddings.load(path)
    embeddings.save(embeddings.Embedded(cases, np.ones((5, 3), np.float32), None, "mine"), path)
    whole = path.read_bytes()
    for bad in (b"zip", whole[: len(whole) // 2], b"PK\x03\x04" + whole[40:]):
        path.write_bytes(bad)
        with pytest.raises(UserError, match="no embeddings file"):
            embeddings.load(path)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(UserError, match="a single array"):
        embeddings.load(tmp_path / "one.npy")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (dict(labels=np.zeros((5, 2), np.float32)), r"1 findings but labels of shape \(5, 2\)"),
        (dict(labels=np.array([["x"]] * 5)), "labels of shape .* and type <U1"),
        (dict(image=np.array([["x"]] * 5)), "type <U1, not numbers"),
        ({"acquisition/dose": np.zeros(4)}, r"5 ids but acquisition/dose of shape \(4,\)"),
        (dict(patients=np.array(["a"])), "5 ids but 1 rows of patients"),
        (dict(patients=np.array(["12", "0012", "a", "b", "c"])), "patients 12 and 0012"),
        (dict(patients=np.array(["12", "", "a", "b", "c"])), "names no patient"),
        (dict(ids=np.array("a")), r"ids of shape \(\)"),
        (dict(ids=np.array([["a"]] * 5)), r"ids of shape \(5, 1\)"),
        (dict(findings=np.array("a")), r"findings of shape \(\)"),
        (dict(findings=np.array(["A", "A"]), labels=np.zeros((5, 2))), "finding 'A' twice"),
        (dict(findings=np.array([" "])), "without a name"),
        (dict(skipped=np.array(["a"])), r"skipped of shape \(1,\)"),
        (dict(image=np.zeros((5, 0), np.float32)), r"shape \(5, 0\)"),
        (dict(image=np.full((5, 2), 1e300)), "hold NaN or infinity"),
        ({"acquisition/dose": np.full(5, np.inf)}, "dose with infinite numbers"),
    ],
)
def test_embedding_files_that_do_not_fit_together_are_refused(tmp_path, change, complaint):
    path = tmp_path / "e.npz"
    embeddings.save(embeddings.Embedded(made(5), np.ones((5, 3), np.float32), None, "mine"), path)
    np.savez(path, **dict(np.load(path)) | change)
    with pytest.raises(UserError, match=complaint):
        embeddings.load(path)


def test_patients_and_texts_of_embedding_files_are_read_as_in_tables(tmp_path):
    path = tmp_path / "e.npz"
    embeddings.save(embeddings.Embedded(made(5), np.ones((5, 3), np.float32), None, "mine"), path)
    change = {
        "patients": np.array(["12", "12.0", "12,0", " 12", "13"]),
        "findings": np.array([b"E"]),
    }
    np.savez(path, **dict(np.load(path)) | change)
    cases = embeddings.load(path).cases
    assert cases.patients == ("12", "12", "12", "12", "13") and cases.findings == ("E",)


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    from sae.arrays import write_arrays

    def full(file, **_):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    write_arrays(tmp_path / "x.npz", {"a": np.ones(2)})
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(UserError, match="no space is left"):
        write_arrays(tmp_path / "x.npz", {"a": np.zeros(2)})
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"] and np.load(tmp_path / "x.npz")["a"][
        0
    ] == 1


@pytest.fixture(scope="module")
def radiographs():
    return phantom.radiographs(phantom.PhantomConfig(radiographs=300, size=48))


def test_phantoms_are_repeatable_and_show_what_was_planted(radiographs):
    images, radiograph, patients = radiographs
    assert images.dtype == np.uint8 and images.shape == (300, 48, 48)
    marked = radiograph.present[:, 8]
    corner = images[:, :9, 2:7].astype(float).max((1, 2)) - np.median(images[:, :9, 2:7], (1, 2))
    assert np.mean(corner[marked]) > 1.5 * np.mean(corner[~marked])
    fluid = radiograph.present[:, 1] | radiograph.present[:, 2]
    assert marked[fluid].mean() > 0.7 and marked[~fluid].mean() < 0.3  # the shortcut
    again = phantom.radiographs(phantom.PhantomConfig(radiographs=300, size=48))[0]
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(radiograph.heart > 0.5, radiograph.present[:, 0])
    assert len(set(patients)) < 250


def test_reports_say_what_is_there_but_never_the_marker(radiographs):
    _, radiograph, _ = radiographs
    for present in radiograph.present[:50]:
        text = phantom.report(present)
        assert ("pacemaker" in text) == present[7] and ("left pleural effusion" in text) == present[
            1
        ]
        assert "marker" not in text
    np.testing.assert_array_equal(
        phantom.labels_of(radiograph.present)[:, 1],
        radiograph.present[:, 1] | radiograph.present[:, 2],
    )
