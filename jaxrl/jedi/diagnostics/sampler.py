"""Another sampler for an agent that is already trained: speed against quality, without touching
what it learned.
"""

from dataclasses import dataclass, replace

from jaxrl.app.errors import UserError
from jaxrl.diffusion.noise import karras_sigmas
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import SamplerConfig


@dataclass(frozen=True)
class SamplerChoice:
    """Changes to the sampler that a run was trained with. Absent: as trained."""

    denoising_steps: int | None = None
    """Denoising passes per imagined frame."""
    order: int | None = None
    """1 Euler, 2 Heun (twice the passes, but for the last step)."""
    churn: float | None = None
    """Noise put back while sampling, shared by all steps (EDM's s_churn); 0 none."""
    churn_noise: float | None = None
    """Standard deviation of that noise, relative to what the level asks for (s_noise)."""
    churn_min: float | None = None
    """Lowest noise level at which noise is put back (s_min)."""
    churn_max: float | None = None
    """Highest noise level at which noise is put back (s_max)."""


AS_TRAINED = SamplerChoice()


def chosen_sampler(sampler: SamplerConfig, choice: SamplerChoice) -> SamplerConfig:
    """`sampler` with what `choice` changes.

    Raises:
      UserError: a value that no sampler can have.
    """
    if choice.denoising_steps is not None and choice.denoising_steps < 1:
        raise UserError(f"--denoising-steps is {choice.denoising_steps}: it must be at least 1")
    if choice.order not in (None, 1, 2):
        raise UserError(f"--order is {choice.order}: it must be 1 (Euler) or 2 (Heun)")
    churn = _given(
        s_churn=choice.churn,
        s_noise=choice.churn_noise,
        s_min=choice.churn_min,
        s_max=choice.churn_max,
    )
    for name, value in churn.items():
        if not value >= 0:
            raise UserError(
                f"--churn{name[1:].replace('_churn', '').replace('_', '-')} is {value}: it must be "
                "at least 0"
            )
    changed = _given(steps=choice.denoising_steps, order=choice.order)
    return replace(sampler, **changed, churn=replace(sampler.churn, **churn))


def _given(**values):
    return {name: value for name, value in values.items() if value is not None}


def with_sampler(agent: AgentState, choice: SamplerChoice) -> AgentState:
    """The same agent, imagining by another sampler."""
    config = agent.spec.config
    sampler = chosen_sampler(config.sampler, choice)
    return agent.replace(spec=replace(agent.spec, config=replace(config, sampler=sampler)))


def describe_sampler(sampler: SamplerConfig) -> str:
    """A few words: "3 Euler steps from 5 to 0.002, churn 0.5"."""
    method = {1: "Euler", 2: "Heun"}[sampler.order]
    levels = karras_sigmas(sampler.steps, sampler.sigma_min, sampler.sigma_max, sampler.rho)
    churn = f", churn {sampler.churn.s_churn:g}" if sampler.churn.s_churn else ""
    plural = "" if sampler.steps == 1 else "s"
    return f"{sampler.steps} {method} step{plural} from {levels[0]:g} to {levels[-2]:g}{churn}"
