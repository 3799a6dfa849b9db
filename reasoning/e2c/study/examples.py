"""Plans and executions of a few problems next to one another, for reading."""

from collections.abc import Sequence
from typing import Any

from reasoning.e2c.asking import Ask, Backend, Sampling
from reasoning.e2c.format import CLOSE_PLAN
from reasoning.e2c.policies.settings import Settings

SHOWN = 10
"""Problems on a page."""


def examples(
    backend: Backend, problems: Sequence[Any], settings: Settings, plans: int = 3
) -> list[dict[str, Any]]:
    """Greedy response and `plans` sampled plans of every problem, each plan executed.

    Args:
      backend: the model.
      problems: with `question`, `answer` and `plan` (the right one).
      settings: of plans and executions.
      plans: sampled.

    Returns:
      For each problem its question, plan and answer, and `tries`: plan, execution, answer, and
      whether it is right; the greedy one is first, and sampled plans that repeat are left out.
    """
    shown = list(problems)[:SHOWN]
    greedy = Sampling(settings.plan.max_tokens, 0.0, 1.0, settings.plan.stop)
    asks = []
    for problem in shown:
        prompt = settings.layout.question_prompt(problem.question)
        asks.append(Ask("plan", prompt, greedy))
        asks.append(settings.asks_plans(problem.question, plans, seed=1))
    found = [[settings.plan_of(c) for c in group] for group in backend.complete(asks)]
    chosen = [list(dict.fromkeys([*found[2 * n], *found[2 * n + 1]])) for n in range(len(shown))]
    runs = iter(
        backend.complete(
            [
                settings.asks_execution(problem.question, plan)
                for problem, own in zip(shown, chosen, strict=True)
                for plan in own
            ]
        )
    )
    rows = []
    for problem, own in zip(shown, chosen, strict=True):
        tries = []
        for plan in own:
            (run,) = next(runs)
            answer = settings.answer_of(run)
            tries.append(
                {
                    "plan": plan,
                    "execution": run.text.strip(),
                    "answer": answer,
                    "right": answer == problem.answer,
                }
            )
        rows.append(
            {
                "question": problem.question,
                "plan": problem.plan,
                "answer": problem.answer,
                "tries": tries,
            }
        )
    return rows


def sections(rows: list[dict[str, Any]]):
    """The same as a part of a page (see `jaxrl.app.html`)."""
    from jaxrl.app import html

    parts = []
    for number, row in enumerate(rows, 1):
        lines = [
            (
                "greedy" if n == 0 else f"sampled {n}",
                html.code(one["plan"].removesuffix(CLOSE_PLAN).strip() or "(none)"),
                html.code(one["execution"] or "(none)"),
                one["answer"] or "none",
                "yes" if one["right"] else "no",
            )
            for n, one in enumerate(row["tries"])
        ]
        parts.append(
            html.section(
                f"Problem {number}",
                html.paragraph(row["question"]),
                html.paragraph(
                    f"Right plan: {row['plan']}. Right answer: {row['answer']}.", "note"
                ),
                html.table(("", "plan", "execution", "answer", "right"), lines, row_heads=True),
                level=3,
            )
        )
    return html.section(
        "Plans and executions",
        html.paragraph(
            "The greedy response, and sampled plans that differ from it, each executed greedily."
        ),
        *parts,
        id="examples",
    )
