"""Settings that are refused before a run begins, each with one sentence."""

from jaxrl.app.errors import UserError
from jaxrl.jedi.config import JediConfig
from jaxrl.train.config import flatten, to_dict

COUNTS = (
    "game.num_envs",
    "game.frame_size",
    "agent.context",
    "agent.sampler.steps",
    "agent.world_model.batch",
    "agent.world_model.autoregressive_steps",
    "agent.reward_end_learning.batch",
    "agent.behavior.batch",
    "agent.behavior.horizon",
    "agent.behavior.num_reset_starts",
    "agent.behavior.replay_length",
    "agent.behavior.replay_every",
    "agent.probe.batch",
    "replay.capacity",
    "replay.episodes",
    "schedule.steps_per_epoch",
    "gate.horizon",
    "gate.segments",
    "monitor.segments",
    "monitor.probe_states",
    "evaluation.max_steps",
    "checkpoint.keep",
)
"""Fields that must be at least 1."""


def check(config: JediConfig) -> None:
    """Refuse settings that do not fit together, with one sentence."""
    values = flatten(to_dict(config))
    for name in COUNTS:
        if values[name] < 1:
            raise UserError(f"{name} is {values[name]}: it must be at least 1")
    if config.devices < 0:
        raise UserError(
            f"devices is {config.devices}: name how many share a batch, or 0 for all accelerators"
        )
    for name in ("s_churn", "s_noise"):
        if values[f"agent.sampler.churn.{name}"] < 0:
            raise UserError(
                f"agent.sampler.churn.{name} is {values[f'agent.sampler.churn.{name}']}: it must "
                "be at least 0"
            )
    if not config.game.temperature > 0:
        raise UserError(f"game.temperature is {config.game.temperature}: it must be above 0")
    for name in ("epsilon", "action_repeat_epsilon"):
        if not 0 <= values[f"game.{name}"] <= 1:
            raise UserError(f"game.{name} is {values[f'game.{name}']}: it must lie from 0 to 1")
    if config.game.restart_on_error < 0:
        raise UserError(
            f"game.restart_on_error is {config.game.restart_on_error}: it must be at least 0"
        )
    schedule, lanes = config.schedule, config.game.num_envs
    for name in ("initial_steps", "initial_extra", "steps_per_epoch"):
        steps = getattr(schedule, name)
        if steps < 1 or steps % lanes:
            raise UserError(
                f"schedule.{name} is {steps}: it must be a positive multiple of game.num_envs "
                f"({lanes})"
            )
    if schedule.env_steps < schedule.initial_steps:
        raise UserError(
            f"schedule.env_steps ({schedule.env_steps}) is less than schedule.initial_steps "
            f"({schedule.initial_steps}), the random play before all learning: lower that too"
        )
    longest = max(
        config.agent.context + config.agent.world_model.autoregressive_steps,
        config.agent.reward_end_learning.length,
        config.agent.context + config.gate.horizon,
    )
    if config.replay.capacity // lanes < 2 * longest:
        raise UserError(
            f"replay.capacity ({config.replay.capacity}) gives each of {lanes} games fewer than "
            f"{2 * longest} rows, but training cuts "
            f"segments of {longest}: raise it to {2 * longest * lanes} or more"
        )
    if schedule.initial_steps // lanes < longest:
        raise UserError(
            f"schedule.initial_steps ({schedule.initial_steps}) fills a replay smaller than one "
            f"segment of {longest} steps per game: "
            f"raise it to at least {longest * lanes}"
        )
    chunk = max(schedule.steps_per_epoch, schedule.initial_extra) // lanes
    if 2 * chunk > config.replay.capacity // lanes:
        raise UserError(
            f"replay.capacity ({config.replay.capacity}) is less than twice what is played at once "
            f"({chunk} steps in each of {lanes} "
            f"games): raise it to at least {2 * chunk * lanes}, or lower schedule.steps_per_epoch"
        )


def batch_sizes(config: JediConfig) -> dict[str, float]:
    """Batch sizes that several devices share. Under pmap each device chooses from its own share of
    the starts those that the value learns from.
    """
    sizes: dict[str, float] = {
        f"agent.{name}.batch": getattr(config.agent, name).batch
        for name in ("world_model", "reward_end_learning", "behavior", "probe")
    }
    learning = config.agent.behavior
    if config.parallel == "pmap" and learning.replay_weight > 0:
        name = "agent.behavior.batch / agent.behavior.replay_every"
        sizes[name] = learning.batch / learning.replay_every
    return sizes
