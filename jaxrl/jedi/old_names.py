"""Module paths and parts of version 0.1 (see `jaxrl.app.old_names`)."""

from typing import Any

from jaxrl.app import old_names

MOVED = """
actor_critic nets.actor_critic
beside report.imagine # old name
collect play.collect
collect_host play.collect
commands cli.options
dataset offline.dataset
denoiser nets.denoiser
denoising learn.world_model
encoder nets.encoder
epoch_end training.epoch_end
evaluate play.evaluate
figures report.figures
film report.film
held_out offline.held_out
horizon diagnostics.horizon
horizon_report report.horizon
judge learn.gate
learn_behaviour learn.actor_critic
learn_heads learn.reward_end
learn_probe learn.decoder
learn_world_model learn.world_model
monitor diagnostics.collapse
objectives learn.world_model
offline_config offline.config
offline_report report.offline
opening training.setup
phases learn.loops
pictures diagnostics.open_loop
plan cli.plan
programs training.precompile
recorded report.recorded
report_seeds report.seeds
reward_end nets.reward_end
runs training.checkpoints
sampling diagnostics.sampler
saving training.checkpoints
seeds training.many_runs
session training.run
store training.replay_store
suite atari100k
suite.board atari100k.progress_board
suite.comparison atari100k.comparison
suite.figures atari100k.figures
suite.intervals atari100k.intervals
suite.launch atari100k.launch
suite.logbook atari100k.run_log
suite.runs atari100k.runs
suite.scores atari100k.scores
suite.table atari100k.table
together learn.batched_loops
train training.loop
whole algorithm
world imagination
"""
"""Module, and where it is now, inside of jaxrl.jedi."""

OLD = dict(line.split()[:2] for line in MOVED.strip().splitlines())


PARTS = {
    "heads": "reward_end",
    "behaviour": "behavior",  # old name
    "judge": "gate",
    "look": "end_epoch",
}
"""Parts of learning and stages of an epoch, in metrics and checkpoints."""


def present_part(name: str) -> str:
    """The present name of a part, or of a metric such as "heads/reward_loss" or "time/judge"."""
    return "/".join(PARTS.get(word, word) for word in name.split("/"))


def present_names(tree: Any) -> Any:
    """Nested dictionaries with the present names of parts as keys."""
    if not isinstance(tree, dict):
        return tree
    return {present_part(name): present_names(value) for name, value in tree.items()}


def install() -> None:
    """Make the old paths importable."""
    old_names.modules(
        {f"jaxrl.jedi.{old}": f"jaxrl.jedi.{new}" for old, new in OLD.items()}
        | {"jaxrl.jedi.script": "jaxrl.envs.action_names"}
    )
