"""Path-only mode: nothing of reports, pixels or who was examined stays in the run folder."""

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae import cli
from sae.data import embeddings
from sae.data.cases import Cases
from sae.pipeline import run

SENTENCE = "zebra effusion quite unlikely to be invented"
PERSON, EXIF_TEXT = "Mustermann^Erika", "exifsecretcamera"
SETTINGS = [
    *("--preset", "tiny", "--classifier.epochs", "10", "--classifier.hidden", "8"),
    *("--transcoder.latents", "12", "--transcoder.k", "3", "--ensemble.members", "2"),
    *("--ensemble.updates", "20", "--ensemble.batch", "32", "--ensemble.chunk", "20"),
    *("--catalogue.support", "0.5", "--catalogue.most-density", "0.95", "--cases", "2"),
    *("--findings", "Effusion"),
]


def radiographs(folder):
    """Files with names of people and cameras inside: DICOM and JPEG."""
    from PIL import Image

    pydicom = pytest.importorskip("pydicom")
    from pydicom.uid import ExplicitVRLittleEndian

    generator, paths = np.random.default_rng(0), []
    for number in range(40):
        pixels = generator.integers(0, 255, (24, 24), np.uint8)
        if number % 2:
            exif = Image.Exif()
            exif[0x010F] = EXIF_TEXT
            path = folder / f"r{number}.jpg"
            Image.fromarray(pixels).save(path, exif=exif)
        else:
            path, data = folder / f"r{number}.dcm", pydicom.Dataset()
            data.file_meta = pydicom.dataset.FileMetaDataset()
            data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
            data.PatientName, data.PatientID, data.Modality = PERSON, "4711-0815", "CR"
            data.Rows, data.Columns, data.SamplesPerPixel = 24, 24, 1
            data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 0
            data.BitsAllocated = data.BitsStored = 8
            data.HighBit, data.PixelData = 7, pixels.tobytes()
            data.save_as(path, enforce_file_format=True)
        paths.append(str(path))
    return tuple(paths)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on those files, reported with pixels, annotated, and one case explained."""
    folder = tmp_path_factory.mktemp("private")
    paths, generator = radiographs(folder), np.random.default_rng(1)
    labels = (np.arange(40) % 3 == 0).astype(np.float32)[:, None]
    image = generator.standard_normal((40, 10)).astype(np.float32) + 2 * labels
    cases = Cases(
        tuple(f"case{i}" for i in range(40)),
        tuple(f"p{i}" for i in range(40)),
        ("Effusion",),
        labels,
        lambda _: None,
        tuple(f"{SENTENCE}. Number {i}." for i in range(40)),
        split=tuple("train" if i < 20 else "validate" if i < 32 else "test" for i in range(40)),
    )
    file = folder / "embeddings.npz"
    embeddings.save(embeddings.Embedded(cases, image, None, "made up"), file, paths)
    path = folder / "run"
    assert cli.main(["train", *SETTINGS, "--data", str(file), "--run-dir", str(path)]) == 0
    assert cli.main(["annotate", "--run-dir", str(path)]) == 0
    assert cli.main(["explain", "--run-dir", str(path), "--case", "case33"]) == 0
    answers = path / "annotations" / "answers.jsonl"
    answers.write_text(json.dumps({"key": "k", "answer": f"[{SENTENCE}]"}) + "\n")
    return path


def held(path):
    """Bytes of a file, and those of what an archive holds."""
    data = path.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data += b"".join(archive.read(name) for name in archive.namelist())
    return data


def leaks(folder):
    """What of the private things each file of a folder holds."""
    words = [SENTENCE, PERSON, PERSON.split("^")[0], "4711-0815", EXIF_TEXT]
    wanted = {word: [word.encode(), word.encode("utf-32-le")] for word in words}
    wanted["pixels"] = [b"data:image", b"\x89PNG\r\n", b"\xff\xd8\xff\xe0\x00\x10JFIF", b"<img"]
    return {
        (str(path.relative_to(folder)), name)
        for path in folder.rglob("*")
        if path.is_file()
        for name, forms in wanted.items()
        for form in forms
        if form.lower() in held(path).lower()
    }


def test_nothing_private_stays_after_the_switch(trained):
    before = leaks(trained)
    assert {"pixels", SENTENCE} <= {name for _, name in before}  # the search finds what is there
    assert not {name for _, name in before} & {PERSON, EXIF_TEXT, "4711-0815"}  # never copied
    assert cli.main(["report", "--run-dir", str(trained), "--show-images", "False"]) == 0
    assert leaks(trained) == set()
    assert cli.main(["annotate", "--run-dir", str(trained)]) == 0
    assert cli.main(["explain", "--run-dir", str(trained), "--case", "case33"]) == 0
    assert leaks(trained) == set()


def test_a_second_training_in_the_folder_is_refused(trained, capsys):
    code = (
        "import sys; from pathlib import Path; from jaxrl.app.lock import lock_run\n"
        "with lock_run(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(trained)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=f"is in use by process {other.pid}"):
            run.train(run.stored_run_config(trained), trained)
    finally:
        other.communicate()


def test_reports_leave_the_runs_own_embeddings(tmp_path):
    cases = Cases(
        ("a",), ("p",), ("Effusion",), np.ones((1, 1), np.float32), lambda _: None, ("x",)
    )
    embedded = embeddings.Embedded(cases, np.ones((1, 3), np.float32), None, "made up")
    embeddings.save(embedded, tmp_path / "embeddings.npz")
    config = run.RunConfig()
    made = run.Run(tmp_path, config, embedded, {}, None, None, {}, None, None)
    run._without_reports(made)
    assert embeddings.load(tmp_path / "embeddings.npz").cases.reports == ()
