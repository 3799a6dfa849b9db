"""The page of a language model's patterns: each latent by the contexts in which it is strongest,
and by the tokens that it speaks for.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl.app import html
from jaxrl.app.files import write_atomic
from sae.language import activations

CONTEXTS = 6
"""Contexts of a latent, each of another window."""
AROUND = 12
"""Tokens shown before and after the strongest one."""
MOST_DENSITY = 0.1
"""Latents active on more tokens than that are left out: their contexts say nothing."""


class Patterns(NamedTuple):
    """Activations, texts and directions that the page is made of."""

    z: np.ndarray
    """`[N (T - 1), F]`, latents of the tokens, without each window's first."""
    windows: np.ndarray
    """int `[N, T]`."""
    directions: np.ndarray
    """`[F, D]`, rows of the decoder as the model's last norm scales them."""
    head: Any
    """`[V, D]`."""


def chosen(z: np.ndarray, count: int) -> np.ndarray:
    """Latents with a place on the page: those that explain most while rarely active.

    Args:
      z: `[n, F]`.
      count: at most so many.
    """
    density = (z > 0).mean(0)
    weight = np.where((density > 0) & (density <= MOST_DENSITY), np.square(z).sum(0), -1)
    order = np.argsort(-weight, kind="stable")[:count]
    return order[weight[order] > 0]


def contexts(signal: np.ndarray, count: int = CONTEXTS) -> list[tuple[int, int]]:
    """`(window, token)` of the strongest activations `[N, T - 1]`, each of another window; tokens
    are counted from the window's beginning.
    """
    at = signal.argmax(1)
    best = signal[np.arange(len(signal)), at]
    order = np.argsort(-best, kind="stable")[:count]
    return [(int(w), int(at[w]) + 1) for w in order if best[w] > 0]


def write(folder: Path, facts: dict[str, Any], patterns: Patterns, config) -> Path:
    """Write report/index.html below the run's folder.

    Args:
      folder: of the run.
      facts: settings and measures.
      patterns: see the class.
      config: for the model's tokenizer and the number of patterns.
    """
    read = activations.tokenizer(config.model)
    parts = [_pattern(read, patterns, number) for number in chosen(patterns.z, config.patterns)]
    page = html.page(
        f"Patterns in block {config.layer}",
        html.facts({name: html.show(value) for name, value in facts.items()}),
        *parts,
        lead="Contexts in which the latents of one perceptron's transcoder are most active, in the "
        "text that it was trained on, and the language model's loss with the transcoder in place.",
    )
    path = folder / "report" / "index.html"
    write_atomic(path, page)
    return path


def _pattern(read, patterns, number):
    from markupsafe import Markup, escape

    count, length = patterns.windows.shape
    signal = patterns.z[:, number].reshape(count, length - 1)
    rows = []
    for window, token in contexts(signal):
        ids = patterns.windows[window].tolist()
        before = read.decode(ids[max(0, token - AROUND) : token])
        after = read.decode(ids[token + 1 : token + 1 + AROUND])
        here = read.decode([ids[token]])
        text = Markup("{}<mark>{}</mark>{}").format(escape(before), escape(here), escape(after))
        rows.append([f"{signal[window, token - 1]:.2f}", text])
    effects = np.asarray(patterns.head @ patterns.directions[number])
    says = ", ".join(repr(read.decode([int(v)])) for v in np.argsort(-effects)[:6])
    return html.section(
        f"Latent {number}",
        html.paragraph(
            f"Active on {(signal > 0).mean():.2%} of the tokens. Raises most, on the direct way to "
            f"the output: {says}."
        ),
        html.table(["activation", "context"], rows, f"Strongest contexts of latent {number}"),
    )
