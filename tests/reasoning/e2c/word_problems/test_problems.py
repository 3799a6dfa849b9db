"""Word problems by hand: plans that are carried out, data that slips, the study with a script as
its model.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.asking import Ask, Sampling, Weigh
from reasoning.e2c.backends.scripted import Scripted
from reasoning.e2c.format import CLOSE_EXECUTION, CLOSE_PLAN, Prompt
from reasoning.e2c.records import read_records
from reasoning.e2c.word_problems import study as studies
from reasoning.e2c.word_problems.config import WordStudyConfig
from reasoning.e2c.word_problems.problems import (
    FAMILIES,
    draw_many,
    execute,
    follows,
    other_plan,
    steps_in_order,
)
from reasoning.e2c.word_problems.teacher import causal_rows, post_hoc_rows

PROBLEMS = draw_many(40, 3)


def test_plans_are_carried_out_by_hand():
    found = execute("1. multiply 4 by 3\n2. subtract from 20\n3. add 5")
    assert found.answer == "13"
    assert found.text == (
        "1. multiply 4 by 3: 4*3=12\n2. subtract from 20: 20-12=8\n3. add 5: 8+5=13\n\\boxed{13}"
    )


@pytest.mark.parametrize(
    "plan",
    [
        "",
        "multiply 4 by 3",
        "1. multiply 4",
        "1. add 5",
        "2. add 4 and 5",
        "1. subtract 9 from 2",
        "1. add 4 and 5\n2. multiply 4 by 3",
        "1. add 4 and 5\n1. add 3",
    ],
)  # fmt: skip (matrix of plans)
def test_what_is_no_plan_is_not_carried_out(plan):
    assert execute(plan) is None and not follows(plan, "\\boxed{9}")


def test_following_is_word_for_word_and_order_counts_steps():
    plan = "1. add 4 and 5\n2. subtract 3"
    done = execute(plan).text
    assert follows(plan, f" {done} ") and not follows(plan, done.replace("6", "7"))
    assert steps_in_order(plan, done) == 1.0
    assert steps_in_order(plan, "2. subtract 3: 1\n1. add 4 and 5: 9") == 0.5
    assert steps_in_order(plan, "") == 0.0


def test_problems_are_different_right_and_of_all_families():
    assert len({problem.question for problem in PROBLEMS}) == 40
    assert {p.family for p in draw_many(200, 4)} == {f.name for f in FAMILIES["daily"]}
    assert {p.family for p in draw_many(60, 4, "workshop")} == {
        f.name for f in FAMILIES["workshop"]
    }
    for problem in PROBLEMS:
        assert follows(problem.plan, problem.execution)
        assert all(str(number) in problem.question for number in problem.numbers)


def test_a_domain_that_holds_too_few_problems_is_refused(monkeypatch):
    (family, *_) = FAMILIES["workshop"]
    few = family._replace(draw=lambda rng: (2, 3, int(rng.integers(5))))
    monkeypatch.setitem(FAMILIES, "workshop", (few,))
    assert len(draw_many(5, 0, "workshop")) == 5
    with pytest.raises(UserError, match="does not hold"):
        draw_many(6, 0, "workshop")


def test_other_plans_lead_elsewhere():
    rng = np.random.default_rng(0)
    for problem in PROBLEMS:
        found = execute(other_plan(problem, rng))
        assert found is not None and found.answer != problem.answer


def test_causal_data_keep_nothing_that_slips_and_post_hoc_data_lose_plans(tmp_path):
    path = tmp_path / "rows.jsonl"
    found = causal_rows(PROBLEMS, path, 0)
    assert found["rows"] >= 30 and found["adherence"] == 1.0
    assert sum(found["attempts_rejected"].values()) > 3  # the teacher slipped
    rows = [row for row in read_records(path) if "rejected" not in row]
    assert all(follows(row["exploration"], row["re_execution"]) for row in rows)
    post_hoc_rows(path, tmp_path / "post.jsonl", PROBLEMS, 0.5, 0)
    changed = [row for row in read_records(tmp_path / "post.jsonl") if "rejected" not in row]
    assert [row["re_execution"] for row in changed] == [row["re_execution"] for row in rows]
    share = np.mean([not follows(row["exploration"], row["re_execution"]) for row in changed])
    assert 0.2 < share < 0.8


def test_equal_asks_are_asked_once():
    asked = Scripted(lambda ask, number: f"{ask.prompt.user} {number}")
    memory = studies.Remembering(asked)
    plan = Ask("plan", Prompt("a"), Sampling(9, 0.5), 2, 1)
    first = memory.complete([plan, plan._replace(seed=2)])
    assert memory.complete([plan, plan]) == [first[0], first[0]]
    weigh = Weigh("judge", Prompt("a"), "b")
    assert memory.weigh([weigh]) == memory.weigh([weigh])
    assert len(asked.asked) == 3


SMALL = WordStudyConfig(
    seeds=2, rows=6, more_rows=4, problems=6, k=2, chains=8, batch=2, micro_batch=2
)  # fmt: skip (matrix of sizes)


def model(problems, skill):
    """A script that knows the right plans of a share of problems, and carries plans out."""
    by_question = {problem.question: problem for problem in problems}

    def reply(ask, number):
        plan = by_question[ask.prompt.user].plan
        if CLOSE_PLAN in ask.prompt.prefill:
            given = ask.prompt.prefill.split(CLOSE_PLAN)[0].removeprefix("<EXPLORATION>")
            return execute(given.strip()).text + CLOSE_EXECUTION
        if (len(ask.prompt.user) + number) % 10 >= skill:
            plan = "1. add 1 and 1"
        if ask.phase == "plan":
            return plan + CLOSE_PLAN
        return f"{plan}{CLOSE_PLAN}<EXECUTION>{execute(plan).text}{CLOSE_EXECUTION}"

    return Scripted(reply, lambda weigh: -float(len(weigh.continuation)))


@pytest.fixture
def scripted(monkeypatch, tmp_path):
    made = []

    def backend(self, name):
        made.append(name)
        return studies.Remembering(model([*self.problems, *self.new_problems], 6))

    monkeypatch.setattr(studies.OneSeed, "backend", backend)
    monkeypatch.setattr(
        studies.OneSeed, "trained_tokens", lambda self, method: 14 if method == "ef_sft" else 100
    )

    def metrics(folder):
        entropies = {"plan_entropy": 0.5, "execution_entropy": 0.1}
        return [{"step": n, "reward": 0.25 * n, **entropies} for n in (1, 2, 3)]

    monkeypatch.setattr(studies, "read_metrics", metrics)
    return made


def test_the_study_reports_all_parts_and_measures_nothing_twice(scripted, tmp_path):
    study = replace(SMALL, path=tmp_path / "model")
    path = studies.run(study, tmp_path / "run")
    text, page = path.read_text(), path.with_name("index.html").read_text()
    headings = ("What holds", "Accuracy against tokens", "A new domain", "Adherence")
    for heading in (*headings, "Reinforcement learning"):
        assert f"## {heading}" in text
    assert "| rl-stage2-2 | " in text and "0.25 to 0.75 |" in text
    assert "greedy | 1 |" in text and "by 2 of 2 seeds" in text
    assert page.count("data:image/png") == 4 and "Problem 6" in page
    verdicts = json.loads(path.with_name("verdicts.json").read_text())
    share = next(v for v in verdicts if v["claim"].startswith("EF-SFT's trained tokens"))
    assert share["value"] == pytest.approx(0.14) and share["holds"]
    scripted.clear()
    assert studies.run(study, tmp_path / "run").read_text() == text and not scripted


@pytest.mark.parametrize("bad", [{"seeds": 0}, {"batch": 3, "micro_batch": 2}, {"k": 0}])
def test_sizes_that_cannot_be_run_are_refused(bad, tmp_path):
    with pytest.raises(UserError, match=next(iter(bad))):
        studies.run(replace(SMALL, **bad), tmp_path)
