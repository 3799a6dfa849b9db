"""Every policy on a scripted model: its answer, and its ledger by hand."""

from dataclasses import replace

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.asking import Ask, Sampling, solve
from reasoning.e2c.backends.scripted import Scripted
from reasoning.e2c.format import CLOSE_EXECUTION, CLOSE_PLAN, E2CFormat
from reasoning.e2c.policies.by_name import BUDGETED, POLICIES, check_policy
from reasoning.e2c.policies.direct import fused
from reasoning.e2c.policies.react import accepted, overlap
from reasoning.e2c.policies.selecting import read_verdict
from reasoning.e2c.policies.settings import Settings, bag_of_words, check

PLAN, EXECUTION, CHAIN = 4, 7, 10
"""Tokens of a plan, an execution, and a whole chain in the script below."""
SETTINGS = Settings(
    k=4,
    layout=E2CFormat(suffix="", plan_opening="", execution_opening=""),
    plan=Sampling(8, 0.9, 0.95, (CLOSE_PLAN,)),
    execution=Sampling(20, 0.0, 1.0, (CLOSE_EXECUTION,)),
    chain=Sampling(30, 0.9, 0.95, (CLOSE_EXECUTION,)),
    thought=Sampling(8, 0.9, 0.95, (CLOSE_PLAN,)),
)
WAYS = ("one", "two", "two", "three")
"""Four sampled plans take these ways; only the second kind is right."""
RESULT = {"one": "1", "two": "2", "three": "3"}


def reply(ask: Ask, number: int) -> str:
    """Plans of 3 words, executions of 6 words that do as planned, chains of both, a judge for plan
    2.
    """
    if ask.phase == "judge":
        return "Plan 2 is best"
    if ask.phase == "refine":
        return "1. way two"
    if ask.phase == "rescue":
        return "9}"
    if ask.phase == "execution":
        return run_of(ask.prompt.prefill)
    way = WAYS[number % 4]
    if ask.phase in ("plan", "thought"):
        return f"1. way {way}{CLOSE_PLAN}"
    return f"1. way {way} {CLOSE_PLAN}<EXECUTION>{run_of(way)}{CLOSE_EXECUTION}"


def run_of(text: str) -> str:
    way = next(way for way in RESULT if way in text)
    return f"so we go and find \\boxed{{{RESULT[way]}}}"


def run(name, k=4, model=None, **changes):
    model = model or Scripted(reply)
    (result,) = solve(POLICIES[name], ["What is it?"], model, replace(SETTINGS, k=k, **changes))
    return result, model


def spent(result):
    return {phase: (spent.generated, spent.calls) for phase, spent in result.ledger.phases.items()}


def test_greedy():
    result, model = run("greedy")
    assert result.answer == "1" and spent(result) == {"chain": (CHAIN, 1)}
    assert model.asked[0].sampling.temperature == 0


def test_self_consistency():
    result, _ = run("sc")
    assert result.answer == "2" and spent(result) == {"chain": (4 * CHAIN, 4)}
    assert result.ledger.generated == 4 * CHAIN


def test_self_consistency_without_plans_asks_without_the_tag():
    _, model = run("sc", chains="plain")
    assert model.asked[0].prompt.prefill == ""


def test_executing_every_plan():
    result, _ = run("e2c_sc", share_equal=False)
    assert result.answer == "2" and spent(result) == {
        "plan": (4 * PLAN, 4),
        "execution": (4 * EXECUTION, 4),
    }


def test_equal_plans_are_executed_once_and_count_twice():
    result, _ = run("e2c_sc")
    assert result.answer == "2" and spent(result) == {
        "plan": (4 * PLAN, 4),
        "execution": (3 * EXECUTION, 3),
    }
    sampled, _ = run("e2c_sc", execution=replace(SETTINGS.execution, temperature=0.5))
    assert spent(sampled)["execution"] == (4 * EXECUTION, 4)  # sampled executions would differ


def test_selecting_by_a_judge():
    result, model = run("select_judge")
    assert result.answer == "2"
    assert spent(result) == {"plan": (4 * PLAN, 4), "judge": (5, 1), "execution": (EXECUTION, 1)}
    words = len(f"{model.asked[1].prompt.user} ".split())
    assert result.ledger.phases["judge"].prefill == words  # a judge reads all plans


def test_a_judge_of_equal_plans_is_not_asked():
    result, _ = run("select_judge", model=Scripted(lambda ask, number: reply(ask, 1)))
    assert spent(result) == {"plan": (4 * PLAN, 4), "execution": (EXECUTION, 1)}


def test_selecting_by_likelihood_generates_nothing_more():
    def weight(weigh):
        return -1.0 if "three" in weigh.continuation else -2.0

    result, _ = run("select_judge", model=Scripted(reply, weight), judge="likelihood")
    assert result.answer == "3"
    assert spent(result) == {"plan": (4 * PLAN, 4), "judge": (0, 4), "execution": (EXECUTION, 1)}


def test_selecting_by_clusters():
    result, _ = run("select_clusters")
    assert result.answer == "2" and result.trace["sizes"].count(2) == 1
    assert spent(result) == {"plan": (4 * PLAN, 4), "execution": (3 * EXECUTION, 3)}
    two, _ = run("select_clusters", clusters=1)
    assert spent(two) == {"plan": (4 * PLAN, 4), "execution": (EXECUTION, 1)}


def test_a_random_plan():
    result, _ = run("random_plan")
    assert spent(result) == {"plan": (4 * PLAN, 4), "execution": (EXECUTION, 1)}
    answers = {
        solve(POLICIES["random_plan"], ["q"], Scripted(reply), SETTINGS, seed)[0].answer
        for seed in range(12)
    }
    assert answers == {"1", "2", "3"}


def test_combining():
    result, model = run("combine")
    assert spent(result) == {"plan": (4 * PLAN, 4), "execution": (EXECUTION, 1)}
    lines = result.trace["fused"].splitlines()
    assert [line.split(".")[0] for line in lines] == [str(n) for n in range(1, len(lines) + 1)]
    assert (
        lines[1] == "2. Try another way."
        and result.trace["fused"] in model.asked[-1].prompt.prefill
    )
    assert fused(["1. only"]) == "1. only"


def test_a_tree_keeps_the_more_valuable_half():
    def weight(weigh):
        return 0.0 if "two" in weigh.continuation else -9.0

    result, _ = run("tot", model=Scripted(reply, weight))
    assert result.answer == "2"
    # layer 1: two thoughts of one root, both closed; layer 2 has nothing left to grow; both leaves
    # are kept and executed
    assert spent(result) == {
        "thought": (2 * PLAN, 2),
        "value": (0, 4),
        "execution": (2 * EXECUTION, 2),
    }


def test_a_tree_whose_thoughts_stay_open_is_brought_to_its_end():
    model = Scripted(
        lambda ask, number: f"t{number} " if ask.phase == "thought" else reply(ask, number)
    )
    result, _ = run("tot", k=2, model=model, thought=Sampling(1, 0.9))
    assert spent(result) == {
        "thought": (2, 2),
        "value": (0, 2),
        "plan": (PLAN, 1),
        "execution": (EXECUTION, 1),
    }


def test_a_forest_executes_one_of_two_plans_per_tree():
    result, _ = run("fot", k=3, share_equal=False)
    assert result.answer == "2"  # the judge prefers the second plan of every tree
    assert spent(result) == {
        "plan": (6 * PLAN, 6),
        "judge": (15, 3),
        "execution": (3 * EXECUTION, 3),
    }


def test_the_authors_tree_has_no_value_and_samples_its_ends():
    result, model = run("tot_official")
    assert "value" not in result.ledger.phases and "execution" not in result.ledger.phases
    assert spent(result) == {"thought": (2 * PLAN, 2), "chain": (2 * CHAIN, 2)}
    assert all(ask.sampling.temperature == 0.9 for ask in model.asked if ask.phase == "chain")


def test_the_authors_forest_never_reads_its_thoughts():
    result, model = run("fot_official", k=3)
    assert spent(result) == {"thought": (6 * PLAN, 6), "chain": (3 * CHAIN, 3)}
    assert not any("way" in ask.prompt.prefill for ask in model.asked)


LONG = replace(SETTINGS, k=4, execution=Sampling(900, 0.0, 1.0, (CLOSE_EXECUTION,)))
LEAD = "Following the plan we compute one thing after the other with care, item number "


def long_run(way):
    """An execution with more than 300 characters before its box."""
    return " ".join(LEAD + str(n) for n in range(5)) + f" \\boxed{{{RESULT[way]}}}"


def test_the_loop_accepts_a_box_with_a_derivation():
    model = Scripted(lambda ask, n: long_run("two") if ask.phase == "execution" else reply(ask, n))
    (result,) = solve(POLICIES["react"], ["q"], model, LONG)
    words = len(long_run("two").split()) + 1
    assert result.answer == "2" and spent(result) == {
        "plan": (16, 4),
        "judge": (5, 1),
        "execution": (words, 1),
    }


def test_the_loop_refines_until_it_may_no_longer():
    result, _ = run("react")  # the box has no 300 characters before it: never accepted
    # the refined plan is the old one in other words, so unused plans come first: one, three, then
    # the refined one again
    assert (
        result.trace["tried"] == ["1. way two", "1. way one", "1. way two", "1. way three"]
        or len(result.trace["tried"]) == 4
    )
    assert spent(result)["execution"] == (4 * EXECUTION, 4) and spent(result)["refine"] == (
        3 * 4,
        3,
    )


def test_the_loop_takes_a_fresh_plan_where_an_execution_denies_itself():
    model = Scripted(
        lambda ask, n: "This approach fails" if ask.phase == "execution" else reply(ask, n)
    )
    result, _ = run("react", model=model)
    assert result.answer is None
    assert result.trace["tried"][:3] == [
        "1. way two",
        "1. way one",
        "1. way three",
    ]  # unused ones first
    assert spent(result)["refine"] == (4, 1)  # then it explores again


def test_the_loop_without_instructions_takes_unused_plans():
    silent = replace(SETTINGS.layout, instructions=False)
    model = Scripted(
        lambda ask, n: "nothing" if ask.phase == "execution" else reply(ask, n), lambda weigh: 0.0
    )
    result, _ = run("react", model=model, layout=silent, judge="likelihood")
    assert (
        result.trace["tried"] == ["1. way one", "1. way two", "1. way three"]
        and "refine" not in result.ledger.phases
    )


def test_acceptance_and_overlap():
    from reasoning.e2c.asking import Completion

    box = "x" * 300 + "\\boxed{1}"
    assert accepted(Completion(box, 9), SETTINGS)
    assert not accepted(Completion(box[1:], 9), SETTINGS) and not accepted(
        Completion(box + "y" * 600, 9), SETTINGS
    )
    assert overlap("a b c", "A b d") == pytest.approx(2 / 3)


def test_a_rescue_asks_for_the_box_alone():
    model = Scripted(lambda ask, n: "I wonder" if ask.phase == "execution" else reply(ask, n))
    result, _ = run("select_judge", model=model, rescue=5)
    assert result.answer == "9" and spent(result)["rescue"] == (2, 1)


@pytest.mark.parametrize("judge", ["text", "likelihood"])
@pytest.mark.parametrize("name", BUDGETED)
def test_a_budget_is_overshot_by_less_than_one_call(name, judge):
    limits = {
        "execution": replace(SETTINGS.execution, max_tokens=7),
        "plan": replace(SETTINGS.plan, max_tokens=4),
        "judging": Sampling(5),
    }
    one_call = CHAIN if name == "sc" else EXECUTION
    for budget in range(20, 61):
        result, _ = run(name, budget=budget, share_equal=False, judge=judge, **limits)
        assert budget - 3 * EXECUTION - 5 - PLAN <= result.ledger.generated < budget + one_call, (
            name,
            budget,
        )


def test_a_budget_below_one_call_is_refused():
    with pytest.raises(UserError, match="less than one call"):
        check(replace(SETTINGS, budget=19))
    with pytest.raises(UserError, match="k is 0"):
        check(replace(SETTINGS, k=0))
    check(replace(SETTINGS, budget=20))


def test_problems_in_step_equal_problems_alone():
    questions = [f"q{n}" for n in range(5)]
    for name in POLICIES:
        both = [solve(POLICIES[name], questions, Scripted(reply), SETTINGS, seed=3)]
        both.append(
            [
                solve(POLICIES[name], [q], Scripted(reply), SETTINGS, 3, [n])[0]
                for n, q in enumerate(questions)
            ]
        )
        assert [(r.answer, spent(r)) for r in both[0]] == [(r.answer, spent(r)) for r in both[1]], (
            name
        )


@pytest.mark.parametrize(
    "verdict, place",
    [
        ("Plan 3", 2),
        ("I choose plan #2.", 1),
        ("2", 1),
        ("Plan 9", 0),
        ("add then halve", 1),
        ("", 0),
    ],
)
def test_verdicts_are_read(verdict, place):
    assert read_verdict(verdict, ["guess", "add then halve", "look it up"]) == place


def test_bags_of_words_have_length_one():
    found = bag_of_words(["Add a and b", "add A AND b", "", "halve"])
    np.testing.assert_allclose(found[0], found[1])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 1, 0, 1], atol=1e-6)


@pytest.mark.parametrize(("name", "reserve"), [("select_judge", 30), ("select_clusters", 60)])
def test_a_budget_that_leaves_a_single_plan_to_select_from_is_refused(name, reserve):
    limits = {"plan": Sampling(5), "execution": Sampling(20), "judging": Sampling(10)}
    settings = replace(SETTINGS, rescue=0, clusters=3, judge="text", **limits)
    with pytest.raises(UserError, match=f"{name} keeps {reserve} for executions"):
        check_policy(name, replace(settings, budget=reserve))
    check_policy(name, replace(settings, budget=reserve + 1))
    with pytest.raises(UserError, match="max_tokens of the plan is 0"):
        check_policy(name, replace(settings, plan=Sampling(0)))
