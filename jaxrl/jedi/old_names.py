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


ATTRIBUTES = """
epoch_end.look training.epoch_end:end_epoch
evaluate.evaluate_run cli.evaluate:evaluate_run
figures.figure_bytes report.figures:png_bytes
held_out.examine_heads offline.held_out:examine_reward_end
horizon.judge_classes diagnostics.horizon:compare_classes
judge.Judgement learn.gate:GateResult # old name
judge.judge learn.gate:run_gate
learn_behaviour.behaviour_loss learn.actor_critic:behavior_loss # old name
learn_behaviour.update_behaviour learn.actor_critic:update_actor_critic # old name
learn_heads.update_heads learn.reward_end:update_reward_end
learn_probe.update_probe learn.decoder:update_decoder
objectives.frozen_heads_loss learn.world_model:frozen_reward_end_loss
phases.Counts algorithm:Counts
phases.Tally learn.loops:UpdateStats # old name
phases.drawer_of_heads learn.loops:reward_end_drawer
phases.judge_replay algorithm:run_gate_on_replay
phases.run_epoch algorithm:run_epoch
reward_end.REWARD_CLASSES nets.reward_values:REWARD_CLASSES
reward_end.beginning_at nets.reward_values:add_log_prior # old name
reward_end.class_reward nets.reward_values:class_reward
reward_end.reward_class nets.reward_values:reward_class
session.COUNTS training.validate:COUNTS
session.batch_sizes training.validate:batch_sizes
session.check training.validate:check
store.run_phase learn.loops:run_phase
train.STAGES training.stages:STAGES
train.call_size training.stages:call_size
train.collect training.stages:collect
train.count training.stages:count
train.counts training.stages:counts
train.initial_steps_due training.stages:initial_steps_due
train.learn training.stages:learn
train.learn_epoch training.stages:learn_epoch
train.next_stage training.stages:next_stage
train.note_judgement training.stages:note_gate
train.open_gate training.stages:open_gate
train.play_chunk training.stages:play_chunk
train.report_failure training.stages:report_failure
train.whole_epoch_at_once training.stages:whole_epoch_at_once
"""
"""Function or class of an old module, and where it is now, inside of jaxrl.jedi."""


def moved_attributes() -> dict[str, dict[str, str]]:
    """`ATTRIBUTES` as `jaxrl.app.old_names.modules` takes them."""
    found: dict[str, dict[str, str]] = {}
    for line in ATTRIBUTES.strip().splitlines():
        old, new = line.split()[:2]
        module, _, name = old.rpartition(".")
        found.setdefault(f"jaxrl.jedi.{module}", {})[name] = f"jaxrl.jedi.{new}"
    return found


def install() -> None:
    """Make the old paths importable."""
    old_names.modules(
        {f"jaxrl.jedi.{old}": f"jaxrl.jedi.{new}" for old, new in OLD.items()}
        | {"jaxrl.jedi.script": "jaxrl.envs.action_names"},
        moved_attributes(),
    )
