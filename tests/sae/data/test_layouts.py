"""NIH ChestX-ray14, PadChest and VinDr-CXR as they are published, and the choice of views."""

import csv
from pathlib import Path

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.data.cases import CHEXPERT, check_split
from sae.data.mimic import mimic
from sae.data.sets.nih import nih
from sae.data.sets.padchest import padchest
from sae.data.sets.vindr import vindr
from sae.pipeline.embed import EmbedConfig, cases_of


def table(path, head, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def picture(path, mode="L"):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 6)).save(path)


NIH = [
    *("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age"),
    *("Patient Gender", "View Position", "OriginalImage[Width", "Height]"),
    *("OriginalImagePixelSpacing[x", "y]"),
]


def nih_folder(folder, labels=("No Finding", "Effusion|Infiltration", "Hernia", "Mass")):
    rest = (2682, 2749, 0.143, 0.143)
    rows = [
        (f"{i:08d}_000.png", label, 0, i // 2, "058Y", "M", "PA" if i % 2 else "AP", *rest)
        for i, label in enumerate(labels)
    ]
    table(folder / "Data_Entry_2017_v2020.csv", NIH, rows)
    picture(folder / "images_001" / "images" / "00000000_000.png", "RGBA")
    picture(folder / "images" / "00000001_000.png")


def test_chestxray14_is_read_with_its_lists(tmp_path):
    nih_folder(tmp_path)
    cases, paths = nih(tmp_path)
    assert cases.findings[-1] == "No Finding" and len(cases.findings) == 15
    present = [{f for f, v in zip(cases.findings, row, strict=True) if v} for row in cases.labels]
    assert present == [{"No Finding"}, {"Effusion", "Infiltration"}, {"Hernia"}, {"Mass"}]
    assert cases.patients == ("0", "0", "1", "1") and cases.split == ()
    assert cases.acquisition["AP view"].tolist() == [1, 0, 1, 0]
    assert cases.read(0).shape[:2] == (6, 8) and paths[1].is_file()
    (tmp_path / "test_list.txt").write_text("00000002_000.png\n00000003_000.png\n")
    assert nih(tmp_path)[0].split == ("validate", "validate", "test", "test")
    alone, _ = cases_of(EmbedConfig(str(tmp_path), "nih", views=("PA",)))
    assert len(alone) == 2 and alone.skipped[0] == (
        "00000000_000.png",
        "its view is AP, and PA were asked for",
    )
    with pytest.raises(UserError, match=r"has a view among LL; there are AP \(2\), PA \(2\)"):
        nih(tmp_path, ("LL",))


def test_a_finding_that_the_set_does_not_have_is_refused(tmp_path):
    nih_folder(tmp_path, ("Efusion",))
    with pytest.raises(UserError, match="row 2 of .* names the finding 'Efusion'"):
        nih(tmp_path)
    with pytest.raises(UserError, match="no table Data_Entry"):
        nih(tmp_path / "none")


def test_blank_lists_and_contradictions_of_chestxray14(tmp_path):
    nih_folder(tmp_path, ("Effusion", "", "No Finding"))
    cases, _ = nih(tmp_path)
    assert len(cases) == 2
    assert cases.skipped == (("00000001_000.png", "its list of findings is blank"),)
    nih_folder(tmp_path, ("No Finding|Mass",))
    with pytest.raises(UserError, match="says No Finding and 'Mass'"):
        nih(tmp_path)


def test_numbers_of_patients_with_and_without_zeros_are_one(tmp_path):
    nih_folder(tmp_path)
    file = tmp_path / "Data_Entry_2017_v2020.csv"
    text = file.read_text().replace("_000.png,Hernia,0,1,", "_000.png,Hernia,0,00001,")
    file.write_text(text.replace(",1,058Y", ",1.0,058Y").replace(",AP,", ",nan,"))
    cases, _ = nih(tmp_path)
    assert cases.patients == ("0", "0", "1", "1")
    np.testing.assert_array_equal(cases.acquisition["AP view"], [np.nan, 0, np.nan, 0])
    assert len(nih(tmp_path, ("PA",))[0].skipped) == 2
    (tmp_path / "test_list.txt").write_text("00000002_000.png\n")
    with pytest.raises(UserError, match="patient 1 is in both"):
        check_split(nih(tmp_path)[0])


PADCHEST = ["ImageID", "ImageDir", "PatientID", "Projection", "Report", "Labels"]


def test_padchest_is_read_with_blank_and_excluded_ones_listed(tmp_path):
    rows = [
        ("a.png", "0", "12.0", "PA", "torax normal", "['normal']"),
        ("b.png", "54.0", "12", "PA", "derrame", "['pleural effusion', ' pacemaker', '']"),
        ("c.png", "0", "13", "L", "", "['cardiomegaly']"),
        ("d.png", "0", "13", "PA", "", ""),
        ("e.png", "0", "14", "AP", "", "['exclude']"),
        ("f.png", "0", "14", "", "", "['mass']"),
    ]
    table(tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", PADCHEST, rows)
    picture(tmp_path / "54" / "b.png")
    cases, paths = padchest(tmp_path)
    assert cases.ids == ("a.png", "b.png") and cases.patients == ("12", "12")
    named = [{f for f, v in zip(cases.findings, row, strict=True) if v} for row in cases.labels]
    assert named == [{"No Finding"}, {"pleural effusion", "pacemaker"}]
    assert paths[1] == tmp_path / "54" / "b.png" and cases.reports[1] == "derrame"
    reasons = dict(cases.skipped)
    assert set(reasons) == {"c.png", "d.png", "e.png", "f.png"}
    assert "its view is L" in reasons["c.png"] and "names no view" in reasons["f.png"]
    assert len(padchest(tmp_path, views=())[0]) == 4
    table(tmp_path / "PADCHEST_a.csv", PADCHEST, [("a.png", "0", "1", "PA", "", "normal, mass")])
    with pytest.raises(UserError, match="no list of labels"):
        padchest(tmp_path / "PADCHEST_a.csv")


def test_padchests_kinds_belong_to_their_finding_and_unchanged_is_no_negative(tmp_path):
    labels = [
        "['rib fracture', 'lobar atelectasis', nan]",
        "['callus rib fracture', 'hydropneumothorax']",
        "['unchanged', 'pleural effusion']",
        "['unchanged']",
        "['', nan]",
        "nan",
        '["normal"]',
    ]
    rows = [(f"{i}.png", "0", str(i), "PA", "", text) for i, text in enumerate(labels)]
    table(tmp_path / "PADCHEST_a.csv", PADCHEST, rows)
    cases, _ = padchest(tmp_path)
    named = [
        {f for f, v in zip(cases.findings, row, strict=True) if v == 1} for row in cases.labels
    ]
    assert named == [
        {"fracture", "atelectasis"},
        {"fracture", "pneumothorax", "pleural effusion"},
        {"pleural effusion"},
        {"No Finding"},
    ]
    assert (cases.labels[2] == -1).sum() == len(cases.findings) - 1
    assert np.isin(cases.labels[[0, 1, 3]], (0, 1)).all()
    reasons = dict(cases.skipped)
    assert reasons["3.png"] == "its labels say nothing but unchanged"
    assert reasons["4.png"] == reasons["5.png"] == "its list of labels is blank"


def test_vindr_leaves_findings_of_the_other_side_unknown(tmp_path):
    for side, name in (("train", "Tumor"), ("test", "Cyst")):
        head = ["image_id", "rad_id", name, "No finding"]
        rows = [(side, "R1", 1, 0), (side, "R2", "", 0), (f"{side}2", "R1", "", 1)]
        table(tmp_path / f"image_labels_{side}.csv", head, rows)
    cases, _ = vindr(tmp_path)
    assert cases.findings == ("Tumor", "No Finding", "Cyst")
    expected = [[1, 0, -1], [-1, 1, -1], [-1, 0, 1], [-1, 1, -1]]
    np.testing.assert_array_equal(cases.labels, expected)


def test_mimics_tables_may_write_numbers_with_decimals(tmp_path):
    start = tmp_path / "mimic-cxr-2.0.0-"
    findings = dict.fromkeys(CHEXPERT, "") | {"Edema": "-1.0"}
    table(
        Path(f"{start}chexpert.csv"),
        ["subject_id", "study_id", *findings],
        [("10000032.0", "50414267.0", *findings.values())],
    )
    head = ["dicom_id", "subject_id", "study_id", "ViewPosition"]
    rows = [("a", "10000032", "50414267", "PA"), ("b", "10000032", "50414267", "nan")]
    table(Path(f"{start}metadata.csv"), head, rows)
    table(
        Path(f"{start}split.csv"),
        ["dicom_id", "study_id", "subject_id", "split"],
        [(name, "50414267", "10000032", "val") for name in "ab"],
    )
    cases, paths = mimic(tmp_path)
    assert cases.ids == ("a",) and cases.split == ("validate",)
    assert paths[0] == tmp_path / "files/p10/p10000032/s50414267/a.jpg"
    assert cases.labels[0, CHEXPERT.index("Edema")] == -1
    assert "names no view" in dict(cases.skipped)["b"]


def test_a_study_that_mimic_labels_twice_and_not_alike_is_refused(tmp_path):
    start = tmp_path / "mimic-cxr-2.0.0-"
    findings = dict.fromkeys(CHEXPERT, "")
    head = ["subject_id", "study_id", *findings]
    ids = ("10000032", "50414267")
    for last, twice in (("1", True), ("0", False)):
        rows = [(*ids, *(findings | {"Edema": value}).values()) for value in ("0", last)]
        table(Path(f"{start}chexpert.csv"), head, rows)
        head_of_images = ["dicom_id", "subject_id", "study_id", "ViewPosition"]
        table(Path(f"{start}metadata.csv"), head_of_images, [("a", *ids, "PA")])
        table(Path(f"{start}split.csv"), ["dicom_id", "split"], [("a", "train")])
        if twice:
            with pytest.raises(UserError, match="study 50414267 twice, in rows 2 and 3"):
                mimic(tmp_path)
        else:
            assert mimic(tmp_path)[0].ids == ("a",)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_of_images_may_have_marks_and_folders(tmp_path, encoding):
    nih_folder(tmp_path)
    names = "images/00000002_000.png\r\n00000003_000.png\r\n"
    (tmp_path / "test_list.txt").write_bytes(names.encode(encoding))
    assert nih(tmp_path)[0].split == ("validate", "validate", "test", "test")
    (tmp_path / "test_list.txt").write_text("other.png\n")
    with pytest.raises(UserError, match="names no image of"):
        nih(tmp_path)


def test_rows_without_a_patient_are_left_out_and_listed(tmp_path):
    nih_folder(tmp_path)
    file = tmp_path / "Data_Entry_2017_v2020.csv"
    lines = file.read_text().splitlines()
    lines[1] = lines[1].replace(",0,0,058Y", ",0,,058Y")
    file.write_text("\n".join(lines))
    cases, _ = nih(tmp_path)
    assert len(cases) == 3 and cases.skipped == (
        ("00000000_000.png", "its table names no patient"),
    )


def test_vindr_takes_the_majority_of_radiologists(tmp_path):
    head = ["image_id", "rad_id", "Cardiomegaly", "No finding"]
    votes = [("x", f"R{r}", int(r < 2), int(r == 2)) for r in range(3)]
    votes += [("y", f"R{r}", 0, 1) for r in range(3)]
    table(tmp_path / "annotations" / "image_labels_train.csv", head, votes)
    cases, paths = vindr(tmp_path)
    assert cases.findings == ("Cardiomegaly", "No Finding") and cases.split == ()
    np.testing.assert_array_equal(cases.labels, [[1, 0], [0, 1]])
    assert paths[0] == tmp_path / "train" / "x.dicom"
    test = [["image_id", "Cardiomegaly", "No finding"], [("z", 1, 0)]]
    table(tmp_path / "annotations" / "image_labels_test.csv", *test)
    assert vindr(tmp_path)[0].split.count("test") == 1


def test_vindr_boxes_become_labels_of_images(tmp_path):
    head = ["image_id", "class_name", "class_id", "rad_id", "x_min", "y_min", "x_max", "y_max"]
    rows = [("x", "Aortic enlargement", 0, f"R{r}", 1, 2, 3, 4) for r in (1, 1, 2)]
    rows += [("x", "No finding", 14, "R3", "", "", "", "")]
    table(tmp_path / "train.csv", head, rows)
    cases, _ = vindr(tmp_path)
    assert dict(zip(cases.findings, cases.labels[0], strict=True)) == {
        "Aortic enlargement": 1.0,
        "No Finding": 0.0,
    }
