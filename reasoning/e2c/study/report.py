"""The study's report: what was measured, with intervals, and what holds and what does not. Markdown
with figures next to it.
"""

import json
import operator
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.train.rundir import write_atomically
from reasoning.e2c.evaluate.scores import Interval, bootstrap, over_seeds
from reasoning.e2c.study import adapt, figures, policies
from reasoning.e2c.study.config import StudyConfig

LARGEST_SHARE = 0.15
"""Of full SFT's tokens: what EF-SFT should stay below."""
SIDES = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


def write_report(folder: Path, study: StudyConfig, found: dict[str, Any]) -> Path:
    """report/index.md, report/verdicts.json and the figures; the path of the text."""
    report = folder / "report"
    report.mkdir(exist_ok=True)
    verdicts = verdicts_of(found)
    drawn = figures.draw_all(report, found)
    write_atomically(report / "verdicts.json", json.dumps(verdicts, indent=2) + "\n")
    path = report / "index.md"
    write_atomically(
        path, text(study, found, verdicts) + "".join(f"\n![{name}]({name}.png)\n" for name in drawn)
    )
    return path


def verdicts_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Every claim of the study with its goal, what was measured, and whether it holds."""
    stated = [*_of_policies(found["policies"])]
    stated += _of_adaptation(found["adapt"]) if "adapt" in found else []
    stated += _of_reinforcement(found["rl"]) if "rl" in found else []
    return stated + _of_adherence(found["adherence"])


def _claim(
    claim: str, direction: str | None, goal: float, value: float, measured: str
) -> dict[str, Any]:
    """`direction` is None where there is no goal and the figure is only reported."""
    holds = None if direction is None else bool(SIDES[direction](value, goal))
    return {
        "claim": claim,
        "direction": direction,
        "goal": goal,
        "value": value,
        "measured": measured,
        "holds": holds,
    }


def _of_policies(cells: dict[str, dict]) -> list[dict[str, Any]]:
    stated, lines = policies.verdict(cells), []
    for who, claim, direction, goal, end in (
        (
            "selection",
            "selection ({}) is within 2 points of self-consistency-8 with at most a quarter of its "
            "tokens: lower end of the difference, on problems it was not chosen by",
            ">=",
            -policies.WITHIN,
            "low",
        ),
        ("control", "the control ({}) is below: upper end of the difference", "<", 0.0, "high"),
        (
            "greedy",
            "selection is more accurate than greedy decoding ({}): lower end of the difference",
            ">",
            0.0,
            "low",
        ),
    ):
        if who in stated:
            one = stated[who]
            measured = f"{_signed(Interval(**one['gap']))} at {one['share']:.0%} of the tokens"
            lines.append(
                _claim(claim.format(one["cell"]), direction, goal, one["gap"][end], measured)
            )
    return lines


def _of_adaptation(found: dict[str, Any]) -> list[dict[str, Any]]:
    """EF-SFT against the others with most rows. Intervals are over problems, each one's outcomes
    averaged over draws.
    """
    most = max(cell["rows"] for name, cell in found.items() if name != "before")

    def over_draws(method, side):
        return np.mean(
            [
                cell[side]
                for name, cell in found.items()
                if name != "before" and (cell["method"], cell["rows"]) == (method, most)
            ],
            0,
        )

    def gap(method, side):
        return bootstrap(over_draws("ef_sft", side) - over_draws(method, side))

    others = {
        "full_sft": "full SFT",
        "full_sft_equal_tokens": "full SFT at equal trained tokens",
        "base_and_domain_sft": "base and domain SFT",
    }
    lines = []
    for method, name in others.items():
        new = gap(method, "new")
        claim = (
            f"EF-SFT is within 2 points of {name} in the new domain ({most} rows): lower end of "
            "the difference"
        )
        lines.append(_claim(claim, ">=", -policies.WITHIN, new.low, _signed(new)))
    share = next(
        row["share"]
        for row in adapt.table(found)
        if (row["method"], row["rows"]) == ("ef_sft", most)
    )
    lines.append(
        _claim(
            "EF-SFT's trained tokens, share of full SFT's",
            "<=",
            LARGEST_SHARE,
            share,
            f"{share:.3f}",
        )
    )
    for method in ("full_sft", "base_and_domain_sft"):
        old = gap(method, "old")
        claim = (
            f"EF-SFT forgets less of the old domain than {others[method]} ({most} rows): "
            "lower end of the difference in accuracy"
        )
        lines.append(_claim(claim, ">", 0.0, old.low, _signed(old)))
    return lines


def _of_reinforcement(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Intervals are over problems, each one's outcomes averaged over runs."""

    def over_runs(start):
        return np.mean(
            [cell["pass_at_1"] for name, cell in found.items() if name.startswith(start)], 0
        )

    def runs(start):
        return sum(name.startswith(start) for name in found)

    last = "rl-stage2-" if runs("rl-stage2-") else "rl-stage1-"
    gain = bootstrap(over_runs(last) - over_runs("before"))
    claim = (
        "reinforcement learning raises pass@1 (mean of 8 samples): lower end of the gain's interval"
    )
    stated = [_claim(claim, ">", 0.0, gain.low, f"{_signed(gain)}, {runs(last)} runs")]
    if runs("rl-stage2-1-") and runs("rl-stage2-2-"):
        gap = bootstrap(over_runs("rl-stage2-2-") - over_runs("rl-stage2-1-"))
        stated.append(
            _claim(
                "lambda 2 against lambda 1 in stage 2, pass@1 (reported, no goal)",
                None,
                0.0,
                gap.mean,
                _signed(gap),
            )
        )
    return stated


def _of_adherence(found: dict[str, Any]) -> list[dict[str, Any]]:
    gap = bootstrap(
        np.array(found["causal"]["follows_swapped"])
        - np.array(found["post_hoc"]["follows_swapped"])
    )
    claim = (
        "executions follow a swapped plan more often after causal than after post-hoc data: "
        "lower end of the interval"
    )
    return [_claim(claim, ">", 0.0, gap.low, _signed(gap))]


def _signed(gap: Interval) -> str:
    return f"{gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"


def _goal(verdict: dict[str, Any]) -> str:
    return "none" if verdict["direction"] is None else f"{verdict['direction']} {verdict['goal']:g}"


def text(study: StudyConfig, found: dict[str, Any], verdicts: list[dict[str, Any]]) -> str:
    """The whole report but for the figures."""
    quality = found["quality"]

    def mean(name):
        return str(bootstrap(quality[name]))

    lines = [
        "# Plan stochastically, execute deterministically: chains of definitions",
        "",
        f"A transformer of {study.model.layers} layers and width {study.model.width}, trained from "
        f"nothing for {study.sft.steps} updates "
        f"of {study.sft.batch} problems ({found['tokens']['base']} tokens). {study.problems} test "
        "problems; brackets are 95 % intervals "
        "over problems, ± over draws or seeds.",
        "",
        f"Greedy: answers right {mean('correct')}, plans right {mean('plan_right')}, executions "
        f"exactly as planned {mean('follows')}. "
        f"Entropy per token: plan {mean('plan_entropy')}, execution {mean('execution_entropy')} "
        "nats.",
        "",
        "## What holds",
        "",
        "| claim | goal | measured | holds |",
        "|---|---|---|---|",
        *(
            f"| {v['claim']} | {_goal(v)} | {v['measured']} | {_yes(v['holds'])} |"
            for v in verdicts
        ),
        "",
        *_policies(found["policies"]),
    ]
    lines += _adapt(found["adapt"]) if "adapt" in found else []
    lines += _rl(found["rl"]) if "rl" in found else []
    lines += _adherence(found["adherence"])
    lines += _information(found["information"]) if "information" in found else []
    return "\n".join(lines) + "\n"


def _yes(holds: bool | None) -> str:
    return {True: "yes", False: "**no**", None: "reported"}[holds]


def _policies(cells: dict[str, dict]) -> list[str]:
    lines = [
        "## Accuracy against tokens",
        "",
        "Generated tokens per problem in all calls; what is read (prefill) stands apart. The judge "
        "is the likelihood of a plan: the tiny "
        "model reads no instructions. Greedy decoding is one chain. sc_plain "
        "and greedy_plain are a model that never plans.",
        "",
        "| policy | k | accuracy | generated | read | calls |",
        "|---|---|---|---|---|---|",
    ]
    for cell, outcome in cells.items():
        name, _, k = cell.rpartition("-")
        numbers = f"{outcome['generated']:.1f} | {outcome['prefill']:.0f} | {outcome['calls']:.1f}"
        lines.append(f"| {name} | {k} | {bootstrap(outcome['correct'])} | {numbers} |")
    if same := policies.twins(cells):
        lines += [
            "",
            f"{', '.join(same)}: right on exactly the problems that select_judge is right on. "
            "Every execution of the tiny model ends with an answer, which the loop accepts, so it "
            "refines nothing; these rows say nothing about the loop.",
        ]
    return [*lines, ""]


def _adapt(found: dict[str, Any]) -> list[str]:
    before = (
        f"Before: new domain {np.mean(found['before']['new']):.3f}, old domain "
        f"{np.mean(found['before']['old']):.3f}."
    )
    lines = [
        "## A new domain",
        "",
        "Queries are code words that the model never saw; only the first step of the plan is new. "
        + before,
        "",
        "| rows | method | new domain | old domain | trained tokens | share of full SFT's |",
        "|---|---|---|---|---|---|",
    ]
    for row in adapt.table(found):
        new, old = (_mean_pm(row[name]) for name in ("new", "old"))
        lines.append(
            f"| {row['rows']} | {row['method']} | {new} | {old} | {row['tokens']:.0f} | "
            f"{row['share']:.3f} |"
        )
    return [*lines, ""]


def _mean_pm(values: list[float]) -> str:
    found = over_seeds(values)
    return (
        f"{found.mean:.3f} ± {found.high - found.mean:.3f}"
        if len(values) > 1
        else f"{found.mean:.3f}"
    )


def _rl(found: dict[str, Any]) -> list[str]:
    groups = {"before": ["before"]}
    for name in found:
        if name != "before":
            groups.setdefault(name.rpartition("-")[0], []).append(name)
    lines = [
        "## Reinforcement learning",
        "",
        "pass@1 is the mean of 8 chains per problem, sampled at temperature 1, as the entropies "
        "(per token, nats); the rest is greedy. "
        f"{len(found['before']['correct'])} test problems.",
        "",
        "| model | pass@1 | greedy | plans right | adherence | plan entropy | execution entropy |",
        "|---|---|---|---|---|---|---|",
    ]
    for group, names in groups.items():

        def over(key, names=names):
            return _mean_pm([float(np.mean(found[name][key])) for name in names])

        cells = [
            over(key)
            for key in (
                "pass_at_1",
                "correct",
                "plan_right",
                "adherence",
                "plan_entropy",
                "execution_entropy",
            )
        ]
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _adherence(found: dict[str, Any]) -> list[str]:
    lines = [
        "## Adherence",
        "",
        "Executions of the right plan, and of a plan swapped for another chain of the same "
        "problem: how often they do exactly what the "
        "plan says, the share of its variables executed in order, and how often the answer becomes "
        "that of the swapped plan.",
        "",
        "| training | follows the right plan | follows the swapped plan | order | answer flips |",
        "|---|---|---|---|---|",
    ]
    for name, cell in found.items():
        numbers = [
            str(bootstrap(cell[key]))
            for key in ("follows_right", "follows_swapped", "order", "flips")
        ]
        lines.append(f"| {name} | " + " | ".join(numbers) + " |")
    return [*lines, ""]


def _information(found: dict[str, Any]) -> list[str]:
    def of(name):
        return str(bootstrap(found[name]))

    return [
        "## Informative plans, deterministic executions",
        "",
        f"Entropy of the answer given the question: {of('answer')} nats; given question and plan: "
        f"{of('answer_given_plan')} (both "
        f"corrected for few samples). So a plan tells {of('informativeness')} nats of the answer. "
        "Entropy of a whole plan given the "
        f"question: {of('plan_total')} nats, {of('plan_entropy')} per token; of a whole execution "
        "given its plan: "
        f"{of('execution_total')} nats, {of('execution_entropy')} per token. Different plans per "
        f"problem: {of('different_plans')}.",
        "",
    ]
