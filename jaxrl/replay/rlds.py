"""Episodes from a tensorflow-datasets folder in the RLDS form (Ramos et al., 2021, arXiv
2111.02767), read without TensorFlow.

RLDS aligns a step's observation with the action taken at it and the reward that this action
brought. The last step of an episode only holds the final observation: its action and reward mean
nothing. `is_terminal` there says that the episode ended, else it was cut. Where a recording stops
without `is_last`, the frame that its last action reached is missing, and the action is left out.
"""

from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.replay.episodes import Episode, check_episode

FIELDS = ("observation", "action", "reward", "is_last", "is_terminal")


def is_rlds(folder: Path) -> bool:
    """Return True if a folder is one that tensorflow-datasets prepared."""
    return (folder / "dataset_info.json").is_file()


class Rlds:
    """The episodes of one split, by number. Those with fewer than two steps hold no transition and
    are left out.
    """

    def __init__(self, folder: str | Path, split: str = "train", observation: str = ""):
        """Open a prepared dataset.

        Args:
          folder: the one that holds dataset_info.json, e.g. `~/tensorflow_datasets/my_game/1.0.0`.
          split: a split or slice, e.g. "train" or "train[:25%]".
          observation: which entry of the observations is the image, if they are dictionaries.

        Raises:
          UserError: tensorflow-datasets is missing, or the folder, its file format, the split or
            the features are of another kind.
        """
        self._folder, self._observation = folder, observation
        try:
            import tensorflow_datasets as tfds
        except ImportError:
            raise UserError(
                f"{folder} is a tensorflow-datasets folder; reading it needs pip install "
                '"latentax[data]"'
            ) from None
        try:
            builder = tfds.builder_from_directory(str(Path(folder).expanduser()))
            self._source = builder.as_data_source(split=split)
        except NotImplementedError:
            raise UserError(
                f"{folder} is not stored as array_record: prepare it again with "
                "file_format='array_record'"
            ) from None
        except Exception as error:  # the library raises many kinds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"{folder} cannot be read as a tensorflow-datasets folder, split {split!r} "
                f"({reason})"
            ) from error
        self._check_features(builder.info.features)
        lengths = [len(example["steps"]) - 1 for example in self._source]
        self._kept = [i for i, length in enumerate(lengths) if length > 0]
        self.lengths = [lengths[i] for i in self._kept]
        """Steps of each episode."""

    def _check_features(self, features) -> None:
        steps = (
            getattr(features["steps"], "feature", None)
            if hasattr(features, "keys") and "steps" in features
            else None
        )
        missing = [name for name in FIELDS if not hasattr(steps, "keys") or name not in steps]
        if missing:
            raise UserError(
                f"{self._folder} is no RLDS dataset: its examples have no steps with {missing[0]}"
            )
        seen = steps["observation"]
        if hasattr(seen, "keys") and self._observation not in seen:
            raise UserError(
                f"the observations of {self._folder} hold {', '.join(sorted(seen.keys()))}: name "
                "the image with --observation"
            )

    def __len__(self) -> int:
        return len(self.lengths)

    def read(self, number: int) -> tuple:
        """Arrays `(obs, act, rew, end, trunc)` of an episode, frames as they are stored."""
        return aligned(
            list(self._source[self._kept[number]]["steps"]), self._observation, self.where(number)
        )

    def where(self, number: int) -> str:
        """Name of an episode in refusals."""
        return f"{self._folder}, episode {self._kept[number]}"

    def __getitem__(self, number: int) -> Episode:
        return check_episode(*self.read(number), where=self.where(number))


def aligned(steps: list[dict], observation: str, where: str) -> tuple:
    """RLDS steps (two at least) as arrays `(obs [T + 1], act [T], rew [T], end [T], trunc [T])`
    with T one less than steps.

    Raises:
      UserError: an episode's last step stands in the middle, or actions or rewards are not single
        numbers.
    """
    last, terminal = (
        np.array([bool(step[name]) for step in steps]) for name in ("is_last", "is_terminal")
    )
    if last[:-1].any() or terminal[:-1].any():
        raise UserError(
            f"{where}: is_last or is_terminal is True before the last step: an RLDS episode "
            "finishes there only"
        )
    act, rew = (
        np.stack([np.asarray(step[name]) for step in steps[:-1]]) for name in ("action", "reward")
    )
    if act.ndim != 1 or rew.ndim != 1:
        raise UserError(
            f"{where}: actions have shape {act.shape[1:]}, rewards {rew.shape[1:]}: only single "
            "discrete actions work"
        )
    seen = [step["observation"] for step in steps]
    obs = np.stack([frame[observation] if isinstance(frame, dict) else frame for frame in seen])
    end = np.zeros(len(act), bool)
    end[-1] = terminal[-1]
    trunc = np.zeros_like(end)
    trunc[-1] = not terminal[-1]
    return obs, act, rew, end, trunc
