"""The study end to end at its smallest, resumed at each stage; its parts by hand."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.__main__ import main
from reasoning.e2c.chain.task import ChainConfig, draw_many, read_question
from reasoning.e2c.policies.by_name import POLICIES
from reasoning.e2c.study import adapt, models, policies, quality
from reasoning.e2c.study.causal import post_hoc
from reasoning.e2c.study.config import PRESETS, StudyConfig, smoke
from reasoning.e2c.study.run import check, run
from tests.reasoning.e2c.study.parts import HEADINGS

TASK = ChainConfig()
PROBLEMS = draw_many(100, TASK, 1)


def test_swapped_plans_are_other_chains_of_the_same_problem():
    for problem, plan in zip(
        PROBLEMS, quality.swapped_plans(PROBLEMS, TASK.longest, 0), strict=True
    ):
        parents, _, query = read_question(problem.question)
        steps = plan.split()
        assert steps[-1] != query and parents[steps[0]] is None and len(steps) <= TASK.longest
        assert all(parents[child] == parent for parent, child in itertools.pairwise(steps))


def test_post_hoc_rows_keep_executions_and_lose_a_share_of_plans():
    found = post_hoc(PROBLEMS, 0.3, TASK.longest, 0)
    assert max(len(p.plan.split()) for p in found) == TASK.longest
    assert [p.execution for p in found] == [p.execution for p in PROBLEMS]
    changed = np.mean([a.plan != b.plan for a, b in zip(found, PROBLEMS, strict=True)])
    assert 0.2 < changed < 0.4


def test_bags_of_places_tell_orders_apart():
    found = policies.bag_of_places(["a b c", "a b c", "b a c", "a"])
    assert (found[0] == found[1]).all() and found[0] @ found[2] == 1 and found[0] @ found[3] == 1


def cell(correct, generated):
    return {"correct": correct, "generated": generated}


def test_the_verdict_by_hand():
    cells = {
        "sc-8": cell([1, 1, 1, 0], 100.0),
        "select_judge-4": cell([1, 1, 1, 0], 20.0),
        "select_judge-16": cell([1, 1, 1, 1], 60.0),
        "select_clusters-2": cell([1, 1, 0, 1], 10.0),  # better on the problems that judge
        "random_plan-4": cell([1, 0, 1, 0], 20.0),
        "greedy-1": cell([1, 1, 1, 1], 12.0),
    }
    stated = policies.verdict(cells)
    assert (
        stated["selection"]["cell"] == "select_judge-4"
        and stated["selection"]["reaches"]
        and stated["selection"]["share"] == 0.2
    )
    assert stated["control"]["cell"] == "random_plan-4" and not stated["control"]["reaches"]
    assert stated["greedy"]["gap"]["mean"] == -0.5 and stated["selection"]["gap"]["mean"] == 0.0
    assert policies.twins({"react-4": cells["greedy-1"], "select_judge-4": cells["greedy-1"]})
    assert policies.verdict({"sc-4": cell([1], 1.0)}) == {}
    assert policies.verdict({"sc-8": cell([1], 1.0), "select_judge-1": cell([1], 0.1)}) == {}


def test_equal_tokens_means_fewer_updates():
    study = StudyConfig()
    new, old = adapt.domain_rows(study, 32, 0)
    assert adapt.plan_of_training("ef_sft", study, new, old, 0)[0].whole.sum() == 1
    assert len(adapt.plan_of_training("base_and_domain_sft", study, new, old, 0)[0].ids) == 64
    _, config = adapt.plan_of_training(
        "full_sft_equal_tokens", study, new, old, 5 * new.mask.sum() / 32 * study.adapt.batch
    )
    assert config.steps == 5


@pytest.mark.parametrize(
    "bad", [{"ks": ()}, {"ks": (0, 2)}, {"model": {"heads": 3}}, {"model": {"vocabulary": 9}}]
)
def test_studies_that_cannot_be_run_are_refused(bad):
    study = smoke()
    bad = {
        name: replace(getattr(study, name), **value) if isinstance(value, dict) else value
        for name, value in bad.items()
    }
    with pytest.raises(UserError):
        check(replace(study, **bad))


def test_presets_are_checked():
    for make in PRESETS.values():
        check(make())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("study")
    run(smoke(), path)
    return path


@pytest.mark.slow
def test_the_report_has_every_part_and_says_what_does_not_hold(folder):
    text = (folder / "report" / "index.md").read_text()
    assert [heading for heading in HEADINGS if heading not in text] == []
    verdicts = json.loads((folder / "report" / "verdicts.json").read_text())
    assert len(verdicts) == 9 and text.count("**no**") == sum(
        verdict["holds"] is False for verdict in verdicts
    )
    for name in ("tokens", "adaptation", "reinforcement", "adherence"):
        assert (folder / "report" / f"{name}.png").stat().st_size > 5000


@pytest.mark.slow
def test_every_policy_was_measured(folder):
    cells = [
        path.stem.removeprefix("policy-") for path in (folder / "results").glob("policy-*.json")
    ]
    assert {cell.partition("-")[0] for cell in cells} == set(POLICIES) | {
        "sc_plain",
        "greedy_plain",
    }


@pytest.mark.slow
def test_a_second_start_does_nothing_anew_and_a_lost_result_is_measured_again(folder):
    before = {
        path: path.stat().st_mtime_ns for path in (folder / "stages").rglob("*") if path.is_file()
    }
    kept = json.loads((folder / "results" / "information.json").read_text())
    (folder / "results" / "information.json").unlink()
    run(smoke(), folder)
    assert json.loads((folder / "results" / "information.json").read_text()) == kept
    written = ("config.json", "metrics.jsonl")
    changed = [
        p
        for p, time in before.items()
        if p.stat().st_mtime_ns != time and p.name not in written and "tensorboard" not in p.parts
    ]
    assert not changed


@pytest.mark.slow
def test_a_study_that_is_broken_off_after_every_stage_equals_an_unbroken_one(
    folder, tmp_path, monkeypatch
):
    """SFT, EF-SFT, RL and the policies: each start finishes one more stage and dies."""
    whole, finished = models.run_stage, []

    def dies(path, *rest):
        known = path in finished
        result = whole(path, *rest)
        if not known:
            finished.append(path)
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(models, "run_stage", dies)
    starts = 0
    while True:
        starts += 1
        try:
            run(smoke(), tmp_path / "run")
            break
        except KeyboardInterrupt:
            continue
    assert starts == len(finished) + 1 > 10
    for file in (folder / "results").iterdir():
        assert (tmp_path / "run" / "results" / file.name).read_text() == file.read_text(), file.name


def test_the_command_refuses_in_one_sentence(tmp_path, capsys):
    assert main(["smoke", "--run-dir", str(tmp_path), "--ks", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ks is")
    assert main(["tts", "--bench", "aime", "--file", str(tmp_path / "none.jsonl")]) == 2
    assert "is not there" in capsys.readouterr().err
