"""Part (i): accuracy against generated tokens, for all policies."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxrl.app.progress import Progress
from reasoning.e2c.asking import Sampling, solve
from reasoning.e2c.chain.backend import ChainBackend
from reasoning.e2c.chain.rewards import LAYOUT, find_answer
from reasoning.e2c.chain.task import NAMES, ChainConfig, Problem
from reasoning.e2c.evaluate.scores import crossed
from reasoning.e2c.format import CLOSE_EXECUTION, CLOSE_PLAN
from reasoning.e2c.policies.by_name import POLICIES
from reasoning.e2c.policies.settings import Settings
from reasoning.e2c.study.config import StudyConfig

GOAL = 0.25
"""Share of self-consistency's tokens within which selection should reach its accuracy."""
WITHIN = 0.02
"""Difference in accuracy that counts as no loss."""
REFERENCE_K = 8
"""Chains of the self-consistency that selection is compared with."""
SELECTING = ("select_judge", "select_clusters")


def bag_of_places(plans: list[str]) -> np.ndarray:
    """One-hot of every name at every place of a plan, `[n, places * names]`: the embedding of
    plans, since no encoder is at hand.
    """
    longest = max(1, *(len(plan.split()) for plan in plans))
    table = np.zeros((len(plans), longest, len(NAMES)), np.float32)
    for row, plan in zip(table, plans, strict=True):
        for place, name in enumerate(plan.split()):
            if name in NAMES:
                row[place, NAMES.index(name)] = 1.0
    return table.reshape(len(plans), -1)


def settings(study: StudyConfig, k: int, **changes: Any) -> Settings:
    """Settings for the tiny model: the judge is the likelihood of a plan, since it reads no
    instructions.
    """
    task: ChainConfig = study.task
    chain = task.longest_plan + task.longest_execution
    whole = {
        "k": k,
        "layout": LAYOUT,
        "judge": "likelihood",
        "find_answer": find_answer,
        "embed": bag_of_places,
        "plan": Sampling(task.longest_plan + 1, study.temperature, 1.0, (CLOSE_PLAN,)),
        "thought": Sampling(2, study.temperature, 1.0, (CLOSE_PLAN,)),
        "execution": Sampling(task.longest_execution, 0.0, 1.0, (CLOSE_EXECUTION,)),
        "chain": Sampling(chain, study.temperature, 1.0, (CLOSE_EXECUTION,)),
    }
    return Settings(**whole | changes)


def run_policy(
    name: str, backend: ChainBackend, problems: list[Problem], chosen: Settings, seed: int
) -> dict[str, Any]:
    """Run a policy on all problems.

    Args:
      name: name of the policy in POLICIES.
      backend: the model.
      problems: problems with right answers.
      chosen: settings of the policy.
      seed: seed of all random numbers.

    Returns:
      `correct` (0 or 1 per problem), and means per problem of `generated` and `prefill` tokens,
      `calls`, and generated tokens by phase.
    """
    results = solve(
        POLICIES[name], [problem.question for problem in problems], backend, chosen, seed
    )
    phases: dict[str, float] = {}
    for result in results:
        for phase, spent in result.ledger.phases.items():
            phases[phase] = phases.get(phase, 0.0) + spent.generated / len(results)
    return {
        "correct": [
            int(result.answer == problem.answer)
            for result, problem in zip(results, problems, strict=True)
        ],
        "generated": float(np.mean([result.ledger.generated for result in results])),
        "prefill": float(np.mean([result.ledger.prefill for result in results])),
        "calls": float(np.mean([result.ledger.calls for result in results])),
        "phases": phases,
    }


def sweep(
    study: StudyConfig,
    base: ChainBackend,
    plain: ChainBackend | None,
    problems: list[Problem],
    keep: Callable[[str, Callable], dict],
) -> dict[str, dict]:
    """Run all policies for all k: "policy-k" -> outcome. `sc_plain` is self-consistency of the
    model without plans.

    Args:
      study: values of k, and lengths.
      base: the model with plans.
      plain: the model without plans; None: it is left out.
      problems: problems with right answers.
      keep: `keep(name, compute)` computes, or finds a result that was computed before.
    """
    cells = [("greedy", 1), *((name, k) for name in POLICIES for k in study.ks if name != "greedy")]
    if plain is not None:
        cells += [("greedy_plain", 1), *(("sc_plain", k) for k in study.ks)]
    found = {}
    with Progress("policies", len(cells)) as bar:
        for name, k in cells:
            backend, changes = (
                (plain, {"chains": "plain"}) if name.endswith("_plain") else (base, {})
            )
            chosen = settings(study, k, **changes)

            def once(name=name, backend=backend, chosen=chosen):
                return run_policy(
                    name.removesuffix("_plain"), backend, problems, chosen, study.seed
                )

            found[f"{name}-{k}"] = keep(f"policy-{name}-{k}", once)
            bar.advance(1)
    return found


def over_base_models(sweeps: list[dict[str, dict]]) -> dict[str, dict]:
    """Join the sweeps of several base models: `by_seed` holds the outcomes of each, `[S, P]`, and
    `correct` each problem's mean. A cell that only the first model has keeps one row.
    """
    joined = {}
    for cell, first in sweeps[0].items():
        own = [sweep[cell] for sweep in sweeps if cell in sweep]
        means = {
            name: float(np.mean([one[name] for one in own]))
            for name in ("generated", "prefill", "calls")
        }
        by_seed = [one["correct"] for one in own]
        joined[cell] = first | means | {"correct": np.mean(by_seed, 0).tolist(), "by_seed": by_seed}
    return joined


def outcomes(cell: dict[str, Any]) -> np.ndarray:
    """Outcomes `[S, P]` of a cell, of one base model or of several."""
    return np.atleast_2d(np.asarray(cell.get("by_seed", cell["correct"]), np.float64))


def verdict(found: dict[str, dict]) -> dict[str, Any]:
    """Compare selection, the control and greedy decoding with self-consistency-8.

    Of the cells within a quarter of its tokens, the one that is most accurate on problems with even
    numbers speaks for its policy; it is judged on the odd ones, so that choosing it does not
    flatter it. Reaching: the lower end of the difference's interval is above `-WITHIN`.
    """
    reference = found.get(f"sc-{REFERENCE_K}")
    if reference is None or len(reference["correct"]) < 2:  # one problem cannot choose and judge
        return {}
    limit = GOAL * reference["generated"]

    def best(names):
        return max(
            (
                cell
                for cell in found
                if cell.rpartition("-")[0] in names and found[cell]["generated"] <= limit
            ),
            key=lambda cell: np.mean(found[cell]["correct"][::2]),
            default=None,
        )

    def judged(cell):
        return outcomes(found[cell])[:, 1::2]

    def gap(cell, other):
        return crossed(judged(cell) - judged(other))._asdict()

    stated = {
        "reference": crossed(judged(f"sc-{REFERENCE_K}"))._asdict(),
        "reference_tokens": reference["generated"],
        "limit": limit,
    }
    for who, names in (("selection", SELECTING), ("control", ("random_plan",))):
        cell = best(names)
        if cell is not None:
            apart = gap(cell, f"sc-{REFERENCE_K}")
            stated[who] = {
                "cell": cell,
                "accuracy": crossed(judged(cell))._asdict(),
                "gap": apart,
                "share": found[cell]["generated"] / reference["generated"],
                "reaches": bool(apart["low"] >= -WITHIN),
            }
    if "selection" in stated and "greedy-1" in found:
        chosen = stated["selection"]["cell"]
        stated["greedy"] = {
            "cell": "greedy-1",
            "gap": gap(chosen, "greedy-1"),
            "share": found["greedy-1"]["generated"] / reference["generated"],
        }
    return stated


def idle(found: dict[str, dict], cell: str) -> bool:
    """True if a cell of the ReAct loop generated what select_judge generated, and no more."""
    return found[cell]["generated"] == found[cell.replace("react-", "select_judge-")]["generated"]


def twins(found: dict[str, dict]) -> list[str]:
    """Cells of the ReAct loop with the same outcome on every problem as select_judge."""
    pairs = [(cell, cell.replace("react-", "select_judge-")) for cell in found]
    return [
        cell
        for cell, other in pairs
        if cell.startswith("react-")
        and other in found
        and (outcomes(found[cell]) == outcomes(found[other])).all()
    ]
