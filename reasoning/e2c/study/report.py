"""The study's report: what was measured, with intervals, and what holds and what does not. A page,
and the same as Markdown.
"""

import json
import operator
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app import html
from jaxrl.app.files import write_atomic
from jaxrl.app.stats import Interval, bootstrap, t_interval
from reasoning.e2c.evaluate.scores import crossed
from reasoning.e2c.study import adapt, examples, figures, policies
from reasoning.e2c.study.config import StudyConfig

JUDGE_NOTE = (
    "Generated tokens per problem in all calls; what is read (prefill) is listed apart. The judge "
    "is the likelihood of a plan: the tiny model reads no instructions. Greedy decoding is one "
    "chain. sc_plain and greedy_plain are a model that never plans."
)
CODE_WORDS = (
    "Queries are code words that the model never saw; only the first step of the plan is new. "
)
LARGEST_SHARE = 0.15
"""Share of full SFT's tokens that EF-SFT should stay below."""
CAPTIONS = {
    "tokens": "accuracy of every policy against generated tokens per problem",
    "adaptation": "accuracy in both domains against rows of the new one",
    "reinforcement": "reward and entropies during reinforcement learning",
    "adherence": "how often executions follow right and swapped plans, by training",
}
"""Alternative texts of the figures."""
SIDES = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


def write_report(folder: Path, found: dict[str, Any], written: str) -> Path:
    """Write report/index.html (self-contained), index.md, verdicts.json and the figures.

    Args:
      folder: of the run.
      found: all that was measured, by part.
      written: the report's text in Markdown.

    Returns:
      The path of the text.
    """
    report = folder / "report"
    verdicts, drawn = verdicts_of(found), figures.draw_all(found)
    whole = written + "".join(f"\n![{CAPTIONS[name]}]({name}.png)\n" for name in drawn)
    for name, data in drawn.items():
        write_atomic(report / f"{name}.png", data)
    title, body = html.from_markdown(whole, {f"{name}.png": data for name, data in drawn.items()})
    html.write_page(report / "index.html", title, body, examples.sections(found["examples"]))
    write_atomic(report / "verdicts.json", json.dumps(verdicts, indent=2) + "\n")
    path = report / "index.md"
    write_atomic(path, whole)
    return path


def verdicts_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Every claim of the study with its goal, what was measured, whether it holds, and (of a real
    model) the seeds that were finished.
    """
    stated = [*_of_policies(found["policies"])]
    stated += _of_adaptation(found["adapt"]) if "adapt" in found else []
    stated += _of_reinforcement(found["rl"]) if "rl" in found else []
    stated += _of_adherence(found["adherence"])
    return [{"seeds": found["seeds"]} | v for v in stated] if "seeds" in found else stated


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
    """EF-SFT against the others with most rows. Intervals are over draws (each with a base model
    of its own, as far as there are any) and problems.
    """
    most = max(cell["rows"] for name, cell in found.items() if name != "before")

    def of_draws(method, side):
        return np.array(
            [
                cell[side]
                for name, cell in found.items()
                if name != "before" and (cell["method"], cell["rows"]) == (method, most)
            ],
            float,
        )

    def gap(method, side):
        return crossed(of_draws("ef_sft", side) - of_draws(method, side))

    others = {
        "full_sft": "full SFT",
        "full_sft_equal_tokens": "full SFT at equal trained tokens",
        "base_and_domain_sft": "base and domain SFT",
    }
    methods = {cell["method"] for name, cell in found.items() if name != "before"}
    lines = []
    for method, name in others.items():
        if method not in methods:
            continue
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
        if method not in methods:
            continue
        old = gap(method, "old")
        claim = (
            f"EF-SFT forgets less of the old domain than {others[method]} ({most} rows): "
            "lower end of the difference in accuracy"
        )
        lines.append(_claim(claim, ">", 0.0, old.low, _signed(old)))
    return lines


def _of_reinforcement(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Intervals are over runs (each with a base model of its own, as far as there are any) and
    problems.
    """

    def of_runs(start):
        """Pass@1 `[runs, problems]`, two lambdas of a run averaged."""
        by_seed: dict[str, list] = {}
        for name, cell in found.items():
            if name.startswith(start):
                by_seed.setdefault(name.rpartition("-")[2], []).append(cell["pass_at_1"])
        return np.array([np.mean(cells, 0) for cells in by_seed.values()])

    def runs(start):
        return sum(name.startswith(start) for name in found)

    last = "rl-stage2-" if runs("rl-stage2-") else "rl-stage1-"
    after, before = of_runs(last), of_runs("before-")
    gain = crossed(after - before[np.arange(len(after)) % len(before)])
    samples = found["before-0"].get("samples", 8)
    claim = (
        f"reinforcement learning raises pass@1 (mean of {samples} samples): lower end of the "
        "gain's interval"
    )
    count = runs(last)
    measured = f"{_signed(gain)}, {count} run{'s' * (count != 1)}"
    stated = [_claim(claim, ">", 0.0, gain.low, measured) | {"seeds": len(after)}]
    if runs("rl-stage2-1-") and runs("rl-stage2-2-"):
        gap = crossed(of_runs("rl-stage2-2-") - of_runs("rl-stage2-1-"))
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
    def swapped(name):
        return np.array(found[name].get("by_seed", found[name]["follows_swapped"]), float)

    gap = crossed(swapped("causal") - swapped("post_hoc"))
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
        f"of {study.sft.batch} problems ({found['tokens']['base']} tokens), "
        f"{study.base_seeds} times from seeds of their own. {study.problems} test problems; "
        "brackets are 95 % intervals over problems and seeds, ± over draws or seeds.",
        "",
        f"Greedy, first model: answers right {mean('correct')}, plans right "
        f"{mean('plan_right')}, executions exactly as planned {mean('follows')}. "
        f"Entropy per token: plan {mean('plan_entropy')}, execution {mean('execution_entropy')} "
        "nats.",
        "",
        *claims(verdicts),
        *policy_table(found["policies"], JUDGE_NOTE),
    ]
    lines += adaptation_table(found["adapt"], CODE_WORDS) if "adapt" in found else []
    lines += _rl(found["rl"]) if "rl" in found else []
    lines += adherence_table(found["adherence"])
    lines += _information(found["information"]) if "information" in found else []
    return "\n".join(lines) + "\n"


def claims(verdicts: list[dict[str, Any]]) -> list[str]:
    """Lines of the table of claims."""
    return [
        "## What holds",
        "",
        "| claim | goal | measured | holds |",
        "|---|---|---|---|",
        *(
            f"| {v['claim']} | {_goal(v)} | {v['measured']} | {_yes(v['holds'])} |"
            for v in verdicts
        ),
        "",
    ]


def _yes(holds: bool | None) -> str:
    return {True: "yes", False: "**no**", None: "reported"}[holds]


def policy_table(cells: dict[str, dict], note: str) -> list[str]:
    """Lines of the table of policies; `note` says what is counted and who judges."""
    lines = [
        "## Accuracy against tokens",
        "",
        note,
        "",
        "| policy | k | accuracy | generated | read | calls |",
        "|---|---|---|---|---|---|",
    ]
    for cell, outcome in cells.items():
        name, _, k = cell.rpartition("-")
        numbers = f"{outcome['generated']:.1f} | {outcome['prefill']:.0f} | {outcome['calls']:.1f}"
        lines.append(f"| {name} | {k} | {crossed(policies.outcomes(outcome))} | {numbers} |")
    if same := policies.twins(cells):
        lines += [
            "",
            f"{', '.join(same)}: right on exactly the problems that select_judge is right on"
            + (
                ". Every execution ends with an answer, which the loop accepts, so it refines "
                "nothing; these rows say nothing about the loop."
                if all(policies.idle(cells, cell) for cell in same)
                else ", though the loop tried further plans."
            ),
        ]
    if f"sc-{policies.REFERENCE_K}" not in cells:
        lines += [
            "",
            f"No self-consistency of {policies.REFERENCE_K} chains was measured, so nothing is "
            "claimed about selection.",
        ]
    return [*lines, ""]


def adaptation_table(found: dict[str, Any], domain: str) -> list[str]:
    """Lines of the table of methods in the new `domain`, which is described before it."""
    before = (
        f"Before: new domain {np.mean(found['before']['new']):.3f}, old domain "
        f"{np.mean(found['before']['old']):.3f}."
    )
    lines = [
        "## A new domain",
        "",
        domain + before,
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
    """Mean and interval; of two values, which give no interval worth showing, both."""
    found = t_interval(values)
    if len(values) > 2:
        return f"{found.mean:.3f} ± {found.half_width:.3f}"
    both = f" ({', '.join(f'{value:.3f}' for value in values)})" if len(values) > 1 else ""
    return f"{found.mean:.3f}{both}"


def _rl(found: dict[str, Any]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for name in found:
        groups.setdefault(name.rpartition("-")[0], []).append(name)
    lines = [
        "## Reinforcement learning",
        "",
        "pass@1 is the mean of 8 chains per problem, sampled at temperature 1, as the entropies "
        "(per token, nats); the rest is greedy. "
        f"{len(found['before-0']['correct'])} test problems.",
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


SWAPPED = (
    "Executions of the right plan, and of a plan swapped for another chain of the same "
    "problem: how often they do exactly what the "
    "plan says, the share of its variables executed in order, and how often the answer becomes "
    "that of the swapped plan."
)


def adherence_table(found: dict[str, Any], note: str = SWAPPED) -> list[str]:
    """Lines of the table of trainings by what executions do with plans; `note` says with which."""
    lines = [
        "## Adherence",
        "",
        note,
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
