"""The whole way from radiographs to explanations by the command line, small; and what it
refuses.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxrl.app.errors import UserError
from sae import cli
from sae.data import embeddings
from sae.data.cases import Cases
from sae.pipeline import run
from sae.pipeline.explain import explain, load_artifacts

SMALL = [
    "--preset",
    "tiny",
    "--phantom.radiographs",
    "260",
    "--phantom.size",
    "32",
    "--encoder.size",
    "32",
    "--encoder.width",
    "6",
    "--encoder.features",
    "16",
    "--encoder.epochs",
    "3",
    "--classifier.epochs",
    "20",
    "--classifier.hidden",
    "12",
    "--transcoder.latents",
    "16",
    "--transcoder.k",
    "3",
    "--ensemble.members",
    "3",
    "--ensemble.updates",
    "60",
    "--ensemble.batch",
    "64",
    "--ensemble.chunk",
    "30",
    "--catalogue.support",
    "0.3",
    "--catalogue.most-density",
    "0.9",
    "--cases",
    "2",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "small"
    assert cli.main(["train", *SMALL, "--run-dir", str(path)]) == 0
    return path


def test_a_run_leaves_everything_and_adds_up(folder):
    for name in (
        "config.json",
        "embeddings.npz",
        "head.npz",
        "members.npz",
        "metrics.jsonl",
        "catalogue/patterns.jsonl",
        "report/index.html",
    ):
        assert (folder / name).is_file(), name
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["largest_gap"] <= 1e-5 and summary["patterns"] >= 1
    index = (folder / "report" / "index.html").read_text()
    assert "synthetic" in index and "not BiomedCLIP" in index and "image" in index


def test_the_same_command_does_nothing_twice_and_another_is_refused(folder, capsys):
    before = (folder / "members.npz").stat().st_mtime_ns
    assert cli.main(["train", *SMALL, "--run-dir", str(folder)]) == 0
    assert (folder / "members.npz").stat().st_mtime_ns == before
    assert cli.main(["train", *SMALL, "--seed", "3", "--run-dir", str(folder)]) == 2
    assert "seed is 0 there and 3 here" in capsys.readouterr().err


def explaining(folder, case):
    """The command that explains a case of a run."""
    return ["explain", "--run-dir", str(folder), "--case", str(case)]


def test_explaining_a_radiograph_of_the_run_and_one_from_a_file(folder, tmp_path, capsys):
    from PIL import Image

    loaded = run.load(folder)
    name = loaded.embedded.cases.ids[7]
    assert cli.main(["explain", "--run-dir", str(folder), "--case", name]) == 0
    own = capsys.readouterr().out
    Image.fromarray(loaded.embedded.cases.read(7)).save(tmp_path / "radiograph.png")
    page = tmp_path / "page.html"
    case = explaining(folder, tmp_path / "radiograph.png")
    assert cli.main([*case, "--out", str(page)]) == 0
    other = capsys.readouterr().out

    def logits(text):
        return np.array([float(v) for v in re.findall(r": logit ([+-][\d.]+)", text)])

    assert len(logits(own)) == 5
    np.testing.assert_allclose(logits(own), logits(other), atol=2e-3)
    assert "waterfall" in page.read_text() and float(re.search(r"a logit: (\S+)", own)[1]) <= 1e-5
    assert (
        cli.main(["explain", "--run-dir", str(folder), "--case", str(tmp_path / "none.png")]) == 2
    )
    assert "cannot be explained: there is no such file" in capsys.readouterr().err


def test_what_explain_cannot_read_or_write_is_refused(folder, tmp_path, capsys):
    case = ["explain", "--run-dir", str(folder), "--case", "phantom-000007"]
    (tmp_path / "file").write_text("")
    assert cli.main([*case, "--out", str(tmp_path / "file" / "page.html")]) == 2
    assert "choose another folder" in capsys.readouterr().err
    from PIL import Image

    Image.fromarray(run.load(folder).embedded.cases.read(7)).save(tmp_path / "f.png")
    assert cli.main([*explaining(folder, tmp_path / "f.png"), "--report", "none.txt"]) == 2
    assert "the report none.txt cannot be read" in capsys.readouterr().err


def test_catalogue_changes_only_what_is_given(folder, capsys):
    stored = run.load(folder).config.catalogue
    command, _ = cli.parse(["catalogue", "--run-dir", str(folder), "--support", "0.9"])
    assert command.config == replace(stored, support=0.9) and stored.most_density >= 0.9
    assert cli.main(["catalogue", "--run-dir", "/nonexistent/run"]) == 2
    assert cli.main(["catalogue", "--run-dir", str(folder), "--support", "9"]) == 2
    assert "support is 9" in capsys.readouterr().err


@pytest.mark.slow
def test_catalogue_report_annotate_and_export(folder, tmp_path, capsys):
    assert (
        cli.main(
            ["catalogue", "--run-dir", str(folder), "--support", "0.3", "--most-density", "0.95"]
        )
        == 0
    )
    assert json.loads((folder / "config.json").read_text())["catalogue"]["most_density"] == 0.95
    assert cli.main(["annotate", "--run-dir", str(folder)]) == 0
    assert "patterns examined by rules" in capsys.readouterr().out
    rows = [
        json.loads(line)
        for line in (folder / "annotations" / "rules.jsonl").read_text().splitlines()
    ]
    assert len(rows) == len(run.step_catalogue(run.load(folder)).patterns)
    # before the switch, which removes the reports from the run too
    sentences = {
        s.strip(" .").lower()
        for text in run.load(folder).embedded.cases.reports
        for s in text.split(". ")
    }
    assert cli.main(["report", "--run-dir", str(folder), "--show-images", "False"]) == 0

    def written():
        return [p for p in (folder / "report").rglob("*") if p.is_file()]

    def pixels():
        return [p for p in written() if p.suffix == ".png" or b"<img" in p.read_bytes()]

    assert not pixels()
    assert cli.main(["annotate", "--run-dir", str(folder)]) == 0 and not pixels()  # it stays so
    assert len(sentences) > 5 and not any(
        s in p.read_text().lower() for p in written() for s in sentences
    )
    assert cli.main(["report", "--run-dir", str(folder), "--show-images", "True"]) == 0 and pixels()
    export = ["export", "--run-dir", str(folder), "--out"]
    assert cli.main([*export, str(tmp_path / "out"), "--members", "0", "2"]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "index.json",
        "member000",
        "member002",
    ]
    assert cli.main([*export, str(tmp_path / "x"), "--format", "sparsify"]) == 2
    assert (
        cli.main(
            ["catalogue", "--run-dir", str(folder), "--support", "0.3", "--least-density", "0.94"]
        )
        == 2
    )
    assert "the catalogue is empty" in capsys.readouterr().err


@pytest.mark.slow
def test_a_dead_endpoint_loses_nothing(folder, capsys):
    arguments = [
        "annotate",
        "--run-dir",
        str(folder),
        "--annotator",
        "endpoint",
        "--endpoint.url",
        "http://127.0.0.1:9/v1",
    ]
    assert cli.main([*arguments, "--endpoint.tries", "1"]) == 2
    assert "are done and kept: start the endpoint" in capsys.readouterr().err
    assert cli.main(["annotate", "--run-dir", str(folder), "--annotator", "manual"]) == 2


def stored(path, **change):
    generator = np.random.default_rng(0)
    names = tuple(f"f{i}" for i in range(90))
    labels = generator.integers(0, 2, (90, 2)).astype(np.float32)
    image = generator.standard_normal((90, 8)).astype(np.float32) + labels[:, :1]
    fields = (
        dict(
            ids=names,
            patients=names,
            findings=("Edema", "Fracture"),
            labels=labels,
            read=None,
            source="stored",
        )
        | change
    )
    embeddings.save(embeddings.Embedded(Cases(**fields), image, None, "made up"), path)
    return path


@pytest.mark.slow
def test_embeddings_of_ones_own(tmp_path, capsys):
    data = stored(tmp_path / "e.npz")
    options = [
        *SMALL,
        "--data",
        str(data),
        "--run-dir",
        str(tmp_path / "run"),
        "--findings",
        "Edema",
        "Fracture",
    ]
    assert cli.main(["train", *options]) == 0
    assert "<img" not in (tmp_path / "run" / "report" / "patterns" / "00000.html").read_text()
    assert cli.main(["explain", "--run-dir", str(tmp_path / "run"), "--case", str(data)]) == 0
    wide = stored(tmp_path / "w.npz")
    arrays = dict(np.load(wide)) | {"image": np.ones((90, 9), np.float32)}
    np.savez(wide, **arrays)
    assert cli.main(["explain", "--run-dir", str(tmp_path / "run"), "--case", str(wide)]) == 2
    assert "have width 9, but the model was trained on 8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--data", "none.npz"], "none.npz: make one with python -m sae embed"),
        (["--catalogue.support", "2"], "support is 2"),
        (["--classifier.batch", "0"], "classifier.batch is 0"),
        (["--loss.prefix-weights", "0.5", "0.5"], "2 entries for 0 prefixes"),
        (["--transcoder.k", "200"], "k is 200"),
        (["--findings", "Edema"], "no label column Edema"),
        (
            ["--classifier.modality", "both", "--data", "DATA", "--findings", "Edema"],
            "needs reports",
        ),
        (["--member-modalities", "image"], "needs a head that sees both"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path, capsys, options, complaint):
    data = stored(tmp_path / "e.npz")
    options = [str(data) if option == "DATA" else option for option in options]
    assert cli.main(["train", *SMALL, *options, "--run-dir", str(tmp_path / "run")]) == 2
    assert complaint in capsys.readouterr().err


def test_patients_on_both_sides_are_refused(tmp_path, capsys):
    sides = ("train",) * 60 + ("validate",) * 10 + ("test",) * 20
    data = stored(tmp_path / "e.npz", patients=("twice",) * 90, split=sides)
    options = [
        *SMALL,
        "--data",
        str(data),
        "--findings",
        "Edema",
        "--run-dir",
        str(tmp_path / "run"),
    ]
    assert cli.main(["train", *options]) == 2
    assert "patient twice is in both" in capsys.readouterr().err


def test_help_and_unknown_commands(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0 and "usage" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        cli.main(["fly"])
    assert left.value.code == 2
    assert cli.main(["report", "--run-dir", str(Path("/nonexistent/run"))]) == 2


@pytest.mark.slow
def test_the_phantom_run_finds_what_was_planted(tmp_path):
    """The acceptance of the whole package; some five minutes on two free cores."""
    from sae.data.phantom import FACTORS, radiographs
    from sae.pipeline.planted_recovery import judge_planted

    assert cli.main(["train", "--preset", "phantom", "--run-dir", str(tmp_path)]) == 0
    loaded = run.load(tmp_path)
    scores = json.loads((tmp_path / "classifier.json").read_text())["scores"]
    assert all(score["auc"] >= 0.95 for score in scores.values())
    _, radiograph, _ = radiographs(loaded.config.phantom)
    judged = judge_planted(loaded, radiograph)
    assert set(judged.best) == set(FACTORS)
    assert min(found.auroc for found in judged.best.values()) >= 0.9
    assert judged.best["marker"].category == "artifact"
    assert (
        judged.shortcut.category == "artifact"
        and judged.shortcut.rank <= 5
        and judged.shortcut.moved < -0.1
    )


@pytest.mark.slow
def test_the_tiny_run_exposes_the_shortcut_as_an_artifact(tmp_path):
    from sae.data.phantom import radiographs
    from sae.pipeline.planted_recovery import judge_planted

    assert cli.main(["train", "--preset", "tiny", "--run-dir", str(tmp_path)]) == 0
    loaded = run.load(tmp_path)
    shortcut = judge_planted(loaded, radiographs(loaded.config.phantom)[1]).shortcut
    assert shortcut.category == "artifact" and shortcut.rank <= 10 and abs(shortcut.moved) > 0.1


def test_devices_that_do_not_divide_the_members_are_refused_before_any_radiograph_is_drawn(
    tmp_path, capsys
):
    assert (
        cli.main(
            ["train", "--preset", "tiny", "--devices", "3", "--run-dir", str(tmp_path / "run")]
        )
        == 2
    )
    assert "8, which 3 devices cannot share equally" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


OLD = Path(__file__).parent / "fixtures" / "run_0_1"
"""A small run that version 0.1 made, without its report and checkpoints."""


def test_a_run_of_version_0_1_still_opens_and_explains_to_the_same_numbers(tmp_path, capsys):
    import shutil

    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    found = explain(folder, "phantom-000007")
    assert found.findings[0] == "Cardiomegaly"
    np.testing.assert_allclose(found.logits[0], -0.9480, atol=2e-4)
    first = found.contributions("Cardiomegaly")[0]
    assert (first.name, first.category) == ("exposure (12)", "artifact")
    np.testing.assert_allclose(first.amount, -0.0013, atol=1e-4)
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert before == after  # nothing is computed again or written
    assert cli.main(["report", "--run-dir", str(folder), "--show-films", "False"]) == 0
    assert "called --show-images now" in capsys.readouterr().err
    assert json.loads((folder / "config.json").read_text())["show_images"] is False


def test_an_explanation_is_a_value_that_adds_up_and_warns_of_strange_images(folder):
    artifacts = load_artifacts(folder)
    pixels = artifacts.run.embedded.cases.read(7)
    found = explain(artifacts, pixels, name="mine")
    total = (
        found.parts.base
        + found.parts.patterns.sum(0)
        + found.parts.uncatalogued
        + found.parts.skip
        + found.parts.error
    )
    np.testing.assert_allclose(total, found.logits, atol=1e-5)
    assert found.completeness <= 1e-5 and found.case == "mine"
    assert np.all((found.share >= 0) & (found.share <= 1))
    amounts = [abs(entry.amount) for entry in found.contributions("Cardiomegaly")]
    assert amounts == sorted(amounts, reverse=True)
    page = found.to_html()
    assert "waterfall" in page and "Case mine" in page and "<iframe srcdoc=" in found._repr_html_()
    noise = np.random.default_rng(0).integers(0, 256, pixels.shape).astype(np.uint8)
    strange = explain(artifacts, noise)
    assert any("unlike the training data" in warning for warning in strange.warnings)
    assert "unlike the training data" in strange.to_html()
    usual = [explain(artifacts, artifacts.run.embedded.cases.read(row)) for row in range(0, 60, 6)]
    assert sum(any("unlike" in warning for warning in one.warnings) for one in usual) <= 2
    with pytest.raises(UserError, match="are no image"):
        explain(artifacts, np.zeros((4, 4)))
    with pytest.raises(UserError, match="are no image"):
        explain(artifacts, np.zeros((0, 0), np.uint8))
    for other in (None, 7, b"a", [1, 2]):
        with pytest.raises(UserError, match="is not read: give a file"):
            explain(artifacts, other)
    with pytest.raises(UserError, match="no finding"):
        found.contributions("Gout")
    for same in (Image.fromarray(pixels), jnp.asarray(pixels)):
        np.testing.assert_array_equal(explain(artifacts, same).logits, found.logits)
    assert len(repr(found)) < 300 and "mine" in repr(found) and found != strange
    reported = explain(artifacts, pixels, report="Large effusion.")
    assert "the report has no part in any logit" in reported.warnings[0]


def test_explain_refuses_a_run_without_a_catalogue_and_makes_none(folder, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "catalogue")
    with pytest.raises(UserError, match="no catalogue"):
        explain(copy, "phantom-000007")
    assert not (copy / "catalogue").exists()


def test_old_names_warn():
    import sae

    with pytest.warns(DeprecationWarning, match="MemberHParams"):
        assert sae.Knobs is sae.MemberHParams  # old name
