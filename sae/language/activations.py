"""Text, cut into windows of tokens, and what a perceptron reads and writes there."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError, need
from sae.language import llama
from sae.language.llama import Llama

AT_ONCE = 16
"""Windows that are read at once."""


class Windows(NamedTuple):
    """Windows of tokens, those kept for measuring at the end of the text."""

    train: np.ndarray
    """int32 `[N, T]`."""
    held: np.ndarray
    """int32 `[K, T]`."""


def tokenizer(folder: str | Path) -> Any:
    """The tokenizer of a checkpoint.

    Raises:
      UserError: there is none, or the package tokenizers is not installed.
    """
    tokenizers = need("tokenizers", "films")
    file = Path(folder).expanduser() / "tokenizer.json"
    if not file.is_file():
        raise UserError(f"there is no {file}: copy the checkpoint's tokenizer.json there")
    return tokenizers.Tokenizer.from_file(str(file))


def text_of(files: tuple[str, ...]) -> str:
    """The text of files, or of Python's own help topics (`pydoc_data`, PSF license) without any.

    Raises:
      UserError: a file cannot be read as UTF-8.
    """
    if not files:
        from pydoc_data.topics import topics

        return "\n\n".join(topics[name] for name in sorted(topics))
    try:
        return "\n\n".join(Path(file).read_text(encoding="utf-8") for file in files)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"a text cannot be read as UTF-8 ({error}): name text files") from None


def windows(ids: np.ndarray, length: int, tokens: int, share: float = 0.1) -> Windows:
    """Cut tokens into windows.

    Args:
      ids: int `[n]`, of the whole text.
      length: tokens of a window.
      tokens: most tokens that are used, from the beginning.
      share: of the windows, from the end, to measure on.

    Raises:
      UserError: the text is too short, or a window holds no prediction.
    """
    if length < 2:
        raise UserError(f"length is {length}: choose at least 2 tokens per window")
    count = min(len(ids), tokens) // length
    held = max(1, round(share * count))
    if count < 2:
        raise UserError(
            f"{min(len(ids), tokens)} tokens make {count} windows of {length}: give more text, "
            "more tokens or shorter windows"
        )
    cut = np.asarray(ids[: count * length], np.int32).reshape(count, length)
    return Windows(cut[: count - held], cut[count - held :])


@functools.partial(jax.jit, static_argnames=("sizes", "layer"))
def _before(weights, tokens, sizes, layer):
    return llama.before(Llama(sizes, weights), tokens, layer)


def read_windows(model: Llama, cut: np.ndarray, layer: int) -> tuple[np.ndarray, ...]:
    """Read windows `[N, T]`; `(h, x, y)`, float32 `[N, T, D]` each, see `llama.before`."""
    parts = []
    for first in range(0, len(cut), AT_ONCE):
        some = cut[first : first + AT_ONCE]
        whole = np.concatenate([some, np.repeat(some[:1], AT_ONCE - len(some), 0)])
        found = _before(model.weights, jnp.asarray(whole), model.sizes, layer)
        parts.append([np.asarray(a[: len(some)]) for a in found])
    return tuple(np.concatenate(a) for a in zip(*parts, strict=True))


def rows_of(values: np.ndarray) -> np.ndarray:
    """Rows `[N (T - 1), D]` of values `[N, T, D]`, without each window's first token: the model
    uses it as a sink of attention, its length is hundreds of times the others', and it alone would
    decide the variance. Our choice.
    """
    return values[:, 1:].reshape(-1, values.shape[-1])


@functools.partial(jax.jit, static_argnames="spec")
def _nats(weights, tokens, h, y, spec):
    sizes, layer = spec
    return llama.nats_after(Llama(sizes, weights), tokens, h, y, layer)


def downstream(model: Llama, cut: np.ndarray, h: np.ndarray, y: np.ndarray, layer: int) -> float:
    """Mean nats per token of windows `[N, T]` when the perceptron writes y `[N, T, D]`."""
    found = [
        _nats(model.weights, cut[i : i + 1], h[i : i + 1], y[i : i + 1], (model.sizes, layer))
        for i in range(len(cut))
    ]
    return float(jnp.stack(found).mean())
