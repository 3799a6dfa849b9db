"""The command `imagine`: a stretch of a real game, and what one or several runs imagine of it."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic, write_npz
from jaxrl.envs.action_names import read_actions
from jaxrl.envs.protocol import MakeEnv
from jaxrl.envs.single import as_host
from jaxrl.jedi.diagnostics.open_loop import Comparison, Stretch, compare_agents
from jaxrl.jedi.diagnostics.sampler import AS_TRAINED, SamplerChoice, describe_sampler, with_sampler
from jaxrl.jedi.report.film import animation, film_strip
from jaxrl.jedi.training.checkpoints import need_pictures, open_runs

DEFAULT = Stretch()
ENDINGS = (".gif", ".png", ".npz")


def check_out(out: Path) -> None:
    """Refuse a file of another kind."""
    if out.suffix not in ENDINGS:
        raise UserError(f"--out {out} must end in .gif, .png or .npz")


def imagine_runs(
    run_dirs: Sequence[str | Path],
    out: Path,
    stretch: Stretch = DEFAULT,
    actions: Sequence[str] = (),
    choice: SamplerChoice = AS_TRAINED,
    make_env: MakeEnv | None = None,
) -> str:
    """Imagine the same real stretch by every run and write it; returns one sentence per run.

    The policy of the first run plays the real game, unless `actions` say what to do.

    Args:
      run_dirs: runs of one game with frames of one size.
      out: a .gif, .png or .npz.
      stretch: which part of the game.
      actions: see `read_actions`.
      choice: what to change in the samplers.
      make_env: makes the game, if the runs' `config.env` cannot name it.

    Raises:
      UserError: any of these does not fit.
    """
    check_out(out)
    stretch.check()
    runs = open_runs(run_dirs, make_env)
    script = read_actions(actions, runs.env)
    agents = {name: with_sampler(agent, choice) for name, agent in runs.agents.items()}
    need_pictures(agents)
    found = compare_agents(agents, as_host(runs.env), stretch, script)
    write_comparisons(found, out)
    lines = [
        f"{describe(each)} ({describe_sampler(agents[name].spec.config.sampler)})"
        for name, each in found.items()
    ]
    if len(lines) == 1:
        return f"{out}: {lines[0]}"
    return "\n".join(
        [str(out), *(f"  {name}: {line}" for name, line in zip(found, lines, strict=True))]
    )


def describe(comparison: Comparison) -> str:
    """Summary of imagination in a sentence."""
    right = np.sign(comparison.reward) == comparison.imagined_reward
    ends = (
        f"real end at step {int(comparison.end.argmax()) + 1}"
        if comparison.end.any()
        else "no real end"
    )
    dreamt = (
        f"imagined at {int(comparison.imagined_end.argmax()) + 1}"
        if comparison.imagined_end.any()
        else "none imagined"
    )
    return f"{len(right)} steps, rewards right at {right.mean():.0%} of them, {ends}, {dreamt}"


def write_comparisons(found: dict[str, Comparison], out: Path) -> Path:
    """Write a .gif, .png or .npz, whole or not at all.

    The arrays of a .npz are the fields of `Comparison`; of several runs, "real", "action", "reward"
    and "end", and for each run "NAME.seen", "NAME.imagined", "NAME.imagined_reward" and
    "NAME.imagined_end".

    Raises:
      UserError: another ending, or the file cannot be written.
    """
    check_out(out)
    if out.suffix == ".npz":
        write_npz(out, _arrays(found), compress=True)
        return out
    buffer = io.BytesIO()
    (only, *others) = found.values()
    shown = found if others else only
    if out.suffix == ".gif":
        first, *rest = animation(shown)
        first.save(buffer, "GIF", save_all=True, append_images=rest, duration=120, loop=0)
    else:
        film_strip(shown).save(buffer, "PNG")
    write_atomic(out, buffer.getvalue())
    return out


SHARED = ("real", "action", "reward", "end")


def _arrays(found):
    first = vars(next(iter(found.values())))
    if len(found) == 1:
        return first
    own = {
        f"{name}.{field}": array
        for name, c in found.items()
        for field, array in vars(c).items()
        if field not in SHARED
    }
    return {field: first[field] for field in SHARED} | own
