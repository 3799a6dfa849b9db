"""The four tasks as pairs of functions, `init(key)` and `loss(params, batch, key, estimator)`, with
their data on the device.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from quant.data.loaders import Data
from quant.estimators import ste_softmax
from quant.estimators.sample import Sample
from quant.models.binary_autoencoder import BinaryAutoencoder, reconstruction_loss
from quant.models.categorical_vae import CategoricalVAE, negative_elbo
from quant.models.logic_gates import LogicGates, classification_loss, most_likely
from quant.models.stochastic_binary import StochasticBinaryNetwork, halves, prediction_loss
from quant.studies.estimators.config import Autoencoder, Gates, Network, StudyConfig, Training, Vae

Estimator = Callable[..., Sample]


class Task(NamedTuple):
    """Something to train."""

    name: str
    measure: str
    """Name of the test loss, with its unit."""
    training: Training
    init: Callable[[jax.Array], dict]
    """Function from a key to initial parameters."""
    loss: Callable[..., tuple[jax.Array, dict]]
    """`(params, batch, key, estimator) -> (scalar, parts)`; the batch is a tuple of arrays."""
    test_loss: Callable[..., tuple[jax.Array, dict]]
    """The same on test examples."""
    train: tuple[np.ndarray, ...]
    """All training examples."""
    test: tuple[np.ndarray, ...]
    """All test examples."""


def make_task(name: str, config: StudyConfig, data: Data) -> Task:
    """The task of that name on those data.

    Raises:
      UserError: the data are no images, hold too few, or have no labels where they are needed.
    """
    if data.train.x.ndim != 4:
        raise UserError(
            f"the estimator study needs images, and {data.name} holds vectors: choose another "
            "--data"
        )
    makers = {"autoencoder": autoencoder, "vae": vae, "network": network, "gates": gates}
    task = makers[name](getattr(config, name), data)
    if len(task.train[0]) < task.training.batch:
        raise UserError(
            f"{data.name} has {len(task.train[0])} examples, fewer than one batch: lower "
            f"--{name}.training.batch"
        )
    return task


def images(data: Data) -> tuple[tuple[np.ndarray], tuple[np.ndarray]]:
    """Training and test images without their labels."""
    return (data.train.x,), (data.test.x,)


def autoencoder(config: Autoencoder, data: Data) -> Task:
    """Reconstruction through drawn bits."""
    shape = data.train.x.shape[1:]
    places = 2 ** len(config.hidden)
    if config.convolutions and (shape[0] % places or shape[1] % places):
        raise UserError(
            f"images of {shape[0]} x {shape[1]} cannot be halved {len(config.hidden)} times: "
            "shorten --autoencoder.hidden"
        )
    module = BinaryAutoencoder(shape, config.bits, config.hidden, config.convolutions)

    def loss(params, batch, key, estimator):
        return reconstruction_loss(module, params, batch[0], key, estimator)

    def init(key):
        return module.init(key, jnp.zeros((1, *shape)))

    arrays = images(data)
    return Task("autoencoder", "nats per image", config.training, init, loss, loss, *arrays)


def vae_module(config: Vae, data: Data) -> CategoricalVAE:
    """The network of the task `vae`."""
    return CategoricalVAE(
        int(np.prod(data.train.x.shape[1:])), config.variables, config.categories, config.hidden
    )


def vae(config: Vae, data: Data) -> Task:
    """Negative evidence lower bound with categorical latents."""
    module = vae_module(config, data)

    def flat(x):
        return x.reshape(len(x), -1)

    def loss(params, batch, key, estimator):
        return negative_elbo(module, params, batch[0], key, estimator)

    def init(key):
        return module.init(key, jnp.zeros((1, module.pixels)))

    return Task(
        "vae",
        "-ELBO, nats per image",
        config.training,
        init,
        loss,
        loss,
        (flat(data.train.x),),
        (flat(data.test.x),),
    )


def network(config: Network, data: Data) -> Task:
    """Lower half from upper half through layers of drawn bits."""
    upper, lower = halves(data.train.x[:1])
    module = StochasticBinaryNetwork(lower.shape[1], config.hidden)

    def loss(params, batch, key, estimator):
        return prediction_loss(module, params, batch[0], key, estimator)

    def init(key):
        return module.init(key, jnp.zeros((1, upper.shape[1])), key, ste_softmax)

    arrays = images(data)
    return Task("network", "nats per lower half", config.training, init, loss, loss, *arrays)


def gates(config: Gates, data: Data) -> Task:
    """Classification by logic gates; tested with the most likely gates, as such a network
    is used.
    """
    if data.train.y is None or data.test.y is None:
        raise UserError(
            f"logic gates learn labels, and {data.name} has none: leave gates out of --tasks"
        )
    classes = int(max(data.train.y.max(), data.test.y.max())) + 1
    if config.gates[-1] % classes:
        raise UserError(
            f"{config.gates[-1]} gates cannot be shared out to {classes} classes: make the last of "
            "--gates.gates a multiple"
        )
    module = LogicGates(classes, config.gates)

    def bits(x):
        return (x.reshape(len(x), -1) > 0.5).astype(np.float32)

    def loss(params, batch, key, estimator):
        return classification_loss(module, params, *batch, key, estimator)

    def test_loss(params, batch, key, _):
        return classification_loss(module, params, *batch, key, most_likely)

    def init(key):
        return module.init(
            key, jnp.zeros((1, int(np.prod(data.train.x.shape[1:])))), key, most_likely
        )

    return Task(
        "gates",
        "cross-entropy of the chosen gates, nats",
        config.training,
        init,
        loss,
        test_loss,
        (bits(data.train.x), data.train.y),
        (bits(data.test.x), data.test.y),
    )
