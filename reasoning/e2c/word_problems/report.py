"""The text of the word problems' report; claims and tables are those of the tiny model's study."""

from typing import Any

import numpy as np

from reasoning.e2c.study import report

GOALS_NOTE = (
    "Sizes are small, so intervals are wide: a claim whose interval does not clear its goal is "
    "not refuted, but it is not shown either, and counts as not holding."
)


def text(study: Any, found: dict[str, Any]) -> str:
    """The whole report but for figures and examples."""
    verdicts = report.verdicts_of(found)
    lines = [
        f"# Plan stochastically, execute deterministically: word problems, {study.model}",
        "",
        f"LoRA adapters of rank {study.lora_rank} on {study.model}, trained on {study.rows} rows "
        f"for {study.epochs} epochs in batches of {study.batch}, by {found['seeds']} of "
        f"{study.seeds} seeds; {study.problems} test problems, the same for all seeds. One model "
        f"both plans and executes. {_families(study.families)} Brackets are 95 % intervals over "
        "problems and seeds.",
        "",
        GOALS_NOTE,
        "",
        *report.claims(verdicts),
        *report.policy_table(found["policies"], JUDGE_NOTE),
        *report.adaptation_table(found["adapt"], NEW_DOMAIN + _updates(study.ef_updates)),
        *report.adherence_table(found["adherence"], SWAPPED),
        *(rl_table(found["rl"], study.rl_updates) if "rl" in found else []),
    ]
    return "\n".join(lines) + "\n"


def rl_table(cells: dict[str, Any], updates: int) -> list[str]:
    """Lines of the table of reinforcement learning: one run from the first seed's model."""
    lines = [
        "## Reinforcement learning",
        "",
        f"Two stages of {updates} updates each, of four responses to eight questions; one run. "
        f"pass@1 is the mean of {cells['before-0']['samples']} chains per problem.",
        "",
        "| model | pass@1 | greedy | reward, first and last quarter of the updates |",
        "|---|---|---|---|",
    ]
    for name, cell in cells.items():
        rewards = [line["reward"] for line in cell.get("curve", [])]
        quarter = max(1, len(rewards) // 4)
        ends = (rewards[:quarter], rewards[-quarter:])
        shown = " to ".join(f"{np.mean(end):.2f}" for end in ends) if rewards else ""
        numbers = f"{np.mean(cell['pass_at_1']):.3f} | {np.mean(cell['correct']):.3f}"
        lines.append(f"| {name.removesuffix('-0')} | {numbers} | {shown} |")
    return [*lines, ""]


def _families(count: int | None) -> str:
    kinds = "All families of stories" if count is None else f"The first {count} families"
    return f"{kinds} of both domains are used."


def _updates(share: float) -> str:
    return f"EF-SFT has {share:g} times as many updates as full SFT. "


JUDGE_NOTE = (
    "Generated tokens per problem in all calls; what is read (prefill) is listed apart. The judge "
    "is the likelihood of a plan. Greedy decoding is one chain."
)
SWAPPED = (
    "Executions of the right plan, and of another plan with the same numbers that leads to another "
    "answer: how often they are word for word what the plan leads to, the share of its steps in "
    "order, and how often the answer becomes that of the swapped plan."
)
NEW_DOMAIN = (
    "Stories of a workshop, in other words, and (in the third family) a new pair of steps; "
    "executions are of the same kind. "
)
