"""The policies by the names that command lines and reports use."""

from reasoning.e2c.asking import Policy
from reasoning.e2c.policies.direct import combine, greedy, plan_consistency, random_plan, self_consistency
from reasoning.e2c.policies.react import react
from reasoning.e2c.policies.selecting import select_by_clusters, select_by_judge
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
