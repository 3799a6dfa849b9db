"""The policies by the names that command lines and reports use."""

from jaxrl.app.errors import UserError
from reasoning.e2c.asking import Policy
from reasoning.e2c.policies.direct import (
    combine,
    greedy,
    plan_consistency,
    random_plan,
    self_consistency,
)
from reasoning.e2c.policies.react import react
from reasoning.e2c.policies.selecting import select_by_clusters, select_by_judge
from reasoning.e2c.policies.settings import Settings, check
from reasoning.e2c.policies.trees import fot, fot_official, tot, tot_official

POLICIES: dict[str, Policy] = {
    "greedy": greedy,
    "sc": self_consistency,
    "e2c_sc": plan_consistency,
    "select_judge": select_by_judge,
    "select_clusters": select_by_clusters,
    "random_plan": random_plan,
    "combine": combine,
    "tot": tot,
    "fot": fot,
    "tot_official": tot_official,
    "fot_official": fot_official,
    "react": react,
}

BUDGETED = ("sc", "e2c_sc", "select_judge", "select_clusters", "random_plan", "combine")
"""Policies that can stop at a number of tokens: they sample one thing after the other."""


def check_policy(name: str, settings: Settings) -> None:
    """Refuse settings that make no sense, or that the policy would not keep.

    Raises:
      UserError: with the field.
    """
    if name not in POLICIES:
        raise UserError(f"{name!r} is no policy: choose one of {', '.join(POLICIES)}")
    check(settings)
    if settings.budget is not None and name not in BUDGETED:
        raise UserError(
            f"the policy {name} keeps no budget of tokens: leave it out, or choose one of "
            f"{', '.join(BUDGETED)}"
        )
    reserve = reserve_of(name, settings)
    if settings.budget is not None and reserve and settings.budget <= reserve:
        raise UserError(
            f"budget is {settings.budget} tokens, and {name} keeps {reserve} for executions and "
            "the verdict, so that it would sample a single plan: raise it, or lower the most "
            "tokens of an execution"
        )


def reserve_of(name: str, settings: Settings) -> int:
    """Tokens of a budget that a selecting policy keeps while it samples plans; 0 for the others."""
    if name not in ("select_judge", "select_clusters"):
        return 0
    count = settings.clusters if name == "select_clusters" else 1
    verdict = settings.judging.max_tokens if settings.judge == "text" and count == 1 else 0
    return count * (settings.execution.max_tokens + settings.rescue) + verdict
