"""The task: problems by an independent solver, words and ids, sizes, and refusals."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.chain import rewards
from reasoning.e2c.chain.rows import MARKERS, Mixture, join, make_rows, question_ids
from reasoning.e2c.chain.task import (
    EOS,
    IDS,
    PAD,
    WORDS,
    ChainConfig,
    code_words,
    decode,
    draw_many,
    encode,
    execute,
    read_question,
)
from reasoning.e2c.masks import phase_masks

CONFIG = ChainConfig()
PROBLEMS = draw_many(200, CONFIG, 0)


def value_of(name, words):
    """By recursion over the definitions, read anew."""
    place = words.index(f"{name}:")
    parent, number = words[place + 1], int(words[place + 2])
    return number if parent == "#" else (value_of(parent, words) + number) % 10


def test_answers_are_those_of_recursion_and_plans_lead_from_a_root_to_the_query():
    for problem in PROBLEMS:
        words = problem.question.split()
        assert problem.answer == str(value_of(words[-1], words))
        plan = problem.plan.split()
        assert plan[-1] == words[-1] and words[words.index(f"{plan[0]}:") + 1] == "#"
        assert all(
            words[words.index(f"{child}:") + 1] == parent
            for parent, child in itertools.pairwise(plan)
        )
        assert CONFIG.shortest <= len(plan) <= CONFIG.longest and words.count("#") == 2


def test_an_execution_by_hand():
    parents, numbers = {"a": None, "c": "a"}, {"a": 8, "c": 3}
    assert execute(["a", "c"], parents, numbers) == ("a 8 = 8 ; c 3 8 2 9 1 0 0 1 = 1 ; ? 1", "1")
    assert execute(["c"], parents, numbers) == (
        "c 3 = 3 ; ? 3",
        "3",
    )  # a plan that begins at no root


def test_code_words_stand_for_names_and_only_the_query_changes():
    coded = draw_many(50, replace(CONFIG, domain="codes"), 3)
    plain = draw_many(50, CONFIG, 3)
    words = code_words()
    assert len(set(words.values())) == 12
    for one, other in zip(coded, plain, strict=True):
        assert one[1:] == other[1:] and one.question.split()[:-1] == other.question.split()[:-1]
        assert one.question.split()[-1] == words[other.question.split()[-1]]
        assert read_question(one.question) == read_question(other.question)


def test_sizes_hold_every_row_and_are_reached():
    plans = [len(encode(p.plan)) + 1 for p in PROBLEMS]
    executions = [len(encode(f"<EXECUTION> {p.execution} </EXECUTION> <eos>")) for p in PROBLEMS]
    assert {len(question_ids(p.question)) for p in PROBLEMS} == {CONFIG.question_length}
    assert max(plans) == CONFIG.longest_plan and max(executions) <= CONFIG.longest_execution
    names = {"a": None, "b": "a", "c": "b", "d": "c"}
    longest = execute(list("abcd"), names, dict.fromkeys("abcd", 4))[0]
    assert len(encode(f"<EXECUTION> {longest} </EXECUTION> <eos>")) == CONFIG.longest_execution


def test_words_and_ids():
    assert len(set(WORDS)) == len(WORDS) == 57
    assert decode(encode("a: # 4 ? a")) == "a: # 4 ? a" and decode([IDS["a"], PAD]) == "a"
    with pytest.raises(UserError, match="'zebra' is no word"):
        encode("a: zebra")


@pytest.mark.parametrize(
    "bad", [{"shortest": 1}, {"longest": 7}, {"variables": 13}, {"shortest": 5}]
)
def test_sizes_that_cannot_be_are_refused(bad):
    with pytest.raises(UserError, match="choose 2 <= shortest"):
        draw_many(1, replace(CONFIG, **bad), 0)


def test_rows_train_the_response_only_by_kind():
    problem = PROBLEMS[0]
    kinds = ("chain", "execution", "given_plan", "plan")
    parts = {
        kind: make_rows([problem], CONFIG, Mixture(**{"chain": 0.0, kind: 1.0})) for kind in kinds
    }
    text = {kind: decode(rows.ids[0][rows.mask[0]]) for kind, rows in parts.items()}
    assert text["plan"] == f"{problem.plan} </EXPLORATION>"
    assert (
        text["execution"]
        == text["given_plan"]
        == f"<EXECUTION> {problem.execution} </EXECUTION> <eos>"
    )
    assert text["chain"] == f"{text['plan']} {text['execution']}"
    assert "<EXPLORATION>" not in decode(parts["execution"].ids[0])
    plan, _ = phase_masks(parts["chain"].ids, parts["chain"].mask, MARKERS)
    assert decode(parts["chain"].ids[0][np.asarray(plan[0])]) == problem.plan
    assert int(parts["chain"].ids[0][parts["chain"].mask[0]][-1]) == EOS


def test_mixtures_have_their_shares_and_bad_ones_are_refused():
    rows = make_rows(PROBLEMS, CONFIG, Mixture(chain=0.5, plan=0.5), seed=1)
    short = (rows.mask.sum(1) <= CONFIG.longest_plan).mean()
    assert 0.4 < short < 0.6
    for bad in (Mixture(chain=0.0), Mixture(chain=-1.0)):
        with pytest.raises(UserError, match="mixture"):
            make_rows(PROBLEMS, CONFIG, bad)


def test_joined_rows_keep_their_marks():
    both = join(make_rows(PROBLEMS[:3], CONFIG), make_rows(PROBLEMS[3:5], CONFIG, whole=True))
    assert both.whole.tolist() == [False] * 3 + [True] * 2 and both.ids.shape == (5, CONFIG.length)


def test_judging_by_hand():
    problem = PROBLEMS[0]
    right = f"{problem.plan} </EXPLORATION> <EXECUTION> {problem.execution} </EXECUTION>"
    assert rewards.judge(problem, right) == (True, True, 1.0, True)
    other = problem._replace(plan="a", answer="x")
    found = rewards.judge(other, right)
    assert not found.correct and not found.plan_right and found.follows
    cut = rewards.judge(problem, right[: right.index("?")])
    assert not cut.correct and not cut.follows and cut.adherence == 1.0
    assert rewards.judge(problem, "a b c") == (False, False, 0.0, False)
    assert rewards.executed("a 4 = 4 ; c 3 4 0 7 = 7 ; ? 7") == ["a", "c"]
    assert rewards.adherence("a c", "a 4 = 4 ; b 0 1 = 1 ; ? 1") == 0.5
    table = rewards.stage_rewards(
        [[rewards.Judged(True, True, 0.5, True), rewards.Judged(False, True, 1.0, True)]], 2
    )
    assert table.tolist() == [[0.5, 0.0]] and rewards.stage_rewards(
        [[rewards.Judged(True, True, 0.5, True)]], 1
    ).tolist() == [[1.0]]
