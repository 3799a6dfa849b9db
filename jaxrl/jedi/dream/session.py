"""One player's session: the imagined game, the real one next to it if wanted, and the film."""

import io
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jaxrl.envs.protocol import HostEnv
from jaxrl.envs.single import as_host
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.diagnostics.open_loop import play_game
from jaxrl.jedi.diagnostics.sampler import SamplerChoice, with_sampler
from jaxrl.jedi.dream.world import Dream
from jaxrl.jedi.training.checkpoints import need_pictures, open_runs

WARM_UP = 24
"""Steps that the policy plays in the real game before imagination begins."""
MOST_PASSES = 12
"""Denoising passes per frame that a player may ask for."""
FILM_FRAMES = 600
"""Latest frames that a saved GIF holds."""
SHOWN_SIDE = 288
"""Pixels of a frame's side in a GIF, at least."""


@dataclass
class View:
    """Contents of the page after a step."""

    frame: np.ndarray
    """uint8 `[H, W, 3]`, imagined."""
    real: np.ndarray | None
    """uint8 `[H, W, 3]`, the real game after the same actions; None if it is not shown."""
    action: str
    reward: float
    end: float
    value: float
    total: float
    """Sum of the rewards since the reset, each rounded to -1, 0 or 1."""
    step: int
    real_total: float
    real_over: bool


class DreamSession:
    """Everything that a page's buttons do. Not thread-safe: one call at a time."""

    def __init__(self, agent: AgentState, env: HostEnv, seed: int = 0):
        """Play `env` with `agent` for a short while and begin to imagine."""
        self.trained, self.env, self.seed = agent, env, seed
        self.passes = agent.spec.config.sampler.steps
        self.names = tuple(getattr(env, "action_names", ())) or tuple(
            map(str, range(env.num_actions))
        )
        self.by_policy, self.with_real = False, False
        self.film: deque[np.ndarray] = deque(maxlen=FILM_FRAMES)
        self._dreams = {self.passes: Dream(agent)}
        self._number = -1
        self.reset()

    def reset(self) -> View:
        """Begin again from a new real situation."""
        self._number += 1
        words = np.random.SeedSequence((self.seed, self._number)).generate_state(1)
        self._seed = int(words[0]) % 2**31
        steps = WARM_UP
        while True:
            self._game = play_game(self.trained, self.env, self._seed, steps)
            played = len(self._game.action)
            if not self._game.end[-1] or steps == 1:
                break
            # Imagination cannot continue from an end. The same seed plays the same game, so stop it
            # halfway.
            steps = max(played // 2, 1)
        self._real, self._real_over = self._game.frame[-1], False
        return self._begin()

    def _begin(self) -> View:
        frame = self._dream().begin(self._game, self._seed)
        self.total, self.real_total, self.step_number = 0.0, 0.0, 0
        self.film.clear()
        return self._view(frame, "", 0.0, 0.0, self._dream().value)

    def _dream(self) -> Dream:
        return self._dreams[self.passes]

    def set_passes(self, passes: int) -> View:
        """Use another number of denoising passes; begins again from a new situation.

        Raises:
          ValueError: fewer than 1 or more than `MOST_PASSES`.
        """
        if not 1 <= passes <= MOST_PASSES:
            raise ValueError(f"denoising passes must be 1 to {MOST_PASSES}, got {passes}")
        if passes not in self._dreams:
            self._dreams[passes] = Dream(
                with_sampler(self.trained, SamplerChoice(denoising_steps=passes))
            )
        self.passes = passes
        return self.reset()

    def set_real(self, on: bool) -> View:
        """Show the real game, or hide it. Both begin again, so that they agree."""
        self.with_real = on
        return self.reset()

    def step(self, action: int) -> View:
        """One step by the player's action, or by the policy's if it has been handed over.

        Raises:
          ValueError: the game has no such action.
        """
        if not 0 <= action < self.env.num_actions:
            raise ValueError(f"actions are 0 to {self.env.num_actions - 1}, got {action}")
        shown = self._dream().step(action, self.by_policy)
        self.step_number += 1
        self.total += float(np.round(shown.reward))
        if self.with_real and not self._real_over:
            after = self.env.step(int(shown.action))
            self._real = np.asarray(after.frame)
            values = self.trained.spec.config.reward_end.values
            self.real_total += float(after.reward if values != "sign" else np.sign(after.reward))
            self._real_over = bool(after.end or after.trunc or after.game_over)
        return self._view(
            shown.frame,
            self.names[int(shown.action)],
            float(shown.reward),
            float(shown.end),
            float(shown.value),
        )

    def _view(self, frame, action, reward, end, value) -> View:
        real = self._real if self.with_real else None
        self.film.append(frame if real is None else np.concatenate([real, frame], axis=1))
        return View(
            np.asarray(frame),
            real,
            action,
            reward,
            end,
            value,
            self.total,
            self.step_number,
            self.real_total,
            self._real_over,
        )

    def gif(self, fps: int) -> bytes:
        """The latest frames as an animated GIF (the real game on the left, if it is shown)."""
        height = self.film[0].shape[0]
        zoom = max(1, -(-SHOWN_SIDE // height))
        pictures = [
            Image.fromarray(frame).resize(
                (frame.shape[1] * zoom, frame.shape[0] * zoom), Image.Resampling.NEAREST
            )
            for frame in self.film
        ]
        buffer = io.BytesIO()
        first, *rest = pictures
        first.save(
            buffer, "GIF", save_all=True, append_images=rest, duration=max(1000 // fps, 20), loop=0
        )
        return buffer.getvalue()


def open_dream(run_dir: str | Path, choice: SamplerChoice, seed: int) -> tuple[DreamSession, str]:
    """The session of a run's last checkpoint, and a title for the page.

    Raises:
      UserError: there is no checkpoint, or its latents cannot be shown.
    """
    runs = open_runs([run_dir])
    need_pictures(runs.agents)
    ((name, agent),) = runs.agents.items()
    session = DreamSession(with_sampler(agent, choice), as_host(runs.env), seed)
    return session, f"{runs.config.env}, imagined by {name} ({runs.env_steps[name]} steps)"
