"""Gradients inside the trained autoencoder against the exact ones, for every estimator and every
pair of temperatures.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quant.estimators import (
    gr_mck,
    gst,
    rebar,
    redge,
    reinforce,
    reinmax,
    reinmax_rao,
    rloo,
    st_gs,
    ste_identity,
    ste_softmax,
)
from quant.estimators.bias_variance import BiasVariance, bias_variance, bias_variance_grid
from quant.estimators.exact import gradient_of_table, local_expectation, tabulate
from quant.models.categorical_vae import CategoricalVAE, reconstruction_of
from quant.studies.estimators.config import Measure, RowName, UnbiasedName

ROWS: dict[RowName, Callable] = {
    "identity": lambda tau: ste_identity,
    "softmax": lambda tau: partial(ste_softmax, tau=tau),
    "st_gs": lambda tau: partial(st_gs, tau=tau),
    "gumbel_rao": lambda tau: partial(gr_mck, tau=tau),
    "gapped": lambda tau: partial(gst, tau=tau),
    "reinmax": lambda tau: partial(reinmax, tau=tau),
    "reinmax_rao": lambda tau: partial(reinmax_rao, tau=tau),
    "redge": lambda tau: partial(redge, time=tau / (1 + tau)),
}
"""Estimators with one temperature, by the name that the command line gives. That of redge stands
for t / (1 - t), the ratio of noise and signal (Our choice).
"""
UNBIASED: dict[UnbiasedName, tuple] = {
    "reinforce": (reinforce(), 1),
    "rloo": (rloo(), 2),
    "rebar": (rebar(), 1),
    "local": (local_expectation(), 1),
}
"""Estimators that evaluate the loss themselves, and draws per estimate. `local` evaluates it for
every variable and category.
"""


class Trained(NamedTuple):
    """A trained network."""

    module: CategoricalVAE
    params: Any

    def logits(self, x: jax.Array) -> jax.Array:
        """Logits of images `[E, D]`."""
        return self.module.apply(self.params, x, method="encode")

    def loss(self, image: jax.Array) -> Callable:
        """The reconstruction term of one image, of the latents."""
        return reconstruction_of(self.module, self.params, image)


def measure(
    settings: Measure,
    network: Trained,
    x: np.ndarray,
    taus: tuple[float, ...],
    row_taus: tuple[float, ...],
    names: tuple[RowName, ...] = tuple(ROWS),
) -> dict:
    """Everything about the gradient of the reconstruction term with respect to the encoder's
    logits.

    Args:
      settings: how many estimates.
      network: whose gradients are measured.
      x: images `[E, D]`.
      taus: temperatures of the grid, on both axes.
      row_taus: temperatures of the estimators that have one.
      names: which of `ROWS`.

    Returns:
      {"rows": {name: {tau: {measure: list [E]}}}, "grid": {measure: list [T, T], mean over
      images}}, ready for JSON.
    """
    x, key = jnp.asarray(x), jax.random.key(0)
    logits = network.logits(x)
    tables = jax.jit(jax.vmap(lambda image: tabulate(network.loss(image), logits[0])))(x)
    exact = jax.vmap(gradient_of_table)(tables, logits)

    def of(make, taus, draws=1):
        def one(tau, image, row, truth):
            return bias_variance(
                make(tau), network.loss(image), key, row, settings.repeats, truth, draws
            )

        def images(tau):
            return jax.lax.map(lambda each: one(tau, *each), (x, logits, exact))

        found = jax.jit(lambda taus: jax.lax.map(images, taus))(jnp.array(taus))
        return [
            dict(zip(BiasVariance._fields, map(_plain, row), strict=True))
            for row in zip(*found, strict=True)
        ]

    rows = {}
    for name in names:
        own = row_taus[:1] if name == "identity" else row_taus
        rows[name] = dict(zip(map(str, own), of(ROWS[name], own), strict=True))
    for name in settings.unbiased:
        estimator, draws = UNBIASED[name]
        rows[name] = {"": of(lambda _, e=estimator: e, (1.0,), draws)[0]}
    return {"rows": rows, "grid": _grid(settings, network, x, jnp.array(taus), key)}


def _grid(settings, network: Trained, x, taus, key):
    def one(image, row):
        return bias_variance_grid(
            network.loss(image), key, row, taus, taus, settings.grid_repeats, chunk=32
        )

    found = jax.jit(lambda *inputs: jax.lax.map(lambda each: one(*each), inputs))(
        x, network.logits(x)
    )
    return {
        name: _plain(values.mean(0))
        for name, values in zip(BiasVariance._fields, found, strict=True)
    }


def _plain(values) -> list:
    """Numbers for JSON, which knows no NaN."""
    return json_numbers(np.asarray(values, np.float64).round(6))


def json_numbers(values: np.ndarray):
    """Nested lists with None for what is not finite."""
    return (
        [json_numbers(row) for row in values]
        if values.ndim
        else (float(values) if np.isfinite(values) else None)
    )
