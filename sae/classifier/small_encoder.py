"""Embeddings without BiomedCLIP's weights: a small image network trained on the labels at hand, and
hashed words for reports.

They exist so that the whole way from radiograph to explanation runs anywhere. They know nothing but
what they were trained on; reports say so.
"""

import functools
import itertools
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxrl.app.errors import UserError
from jaxrl.app.progress import Progress
from jaxrl.nn.conv import Conv, space_to_depth
from jaxrl.nn.mlp import Dense
from jaxrl.train.config import from_dict, to_dict


@dataclass(frozen=True)
class EncoderConfig:
    """The small image network and its training."""

    width: int = 24
    """Channels after the first convolution; doubled twice."""
    features: int = 96
    """Width of the embedding."""
    size: int = 96
    """Radiographs are brought to this height and width."""
    epochs: int = 8
    """Passes over the training radiographs."""
    batch: int = 64
    """Radiographs per update."""
    learning_rate: float = 2e-3
    """Learning rate of Adam, falling to 0 along a cosine."""


class SmallEncoder(nn.Module):
    """Squares of 4 x 4 pixels, three convolutions of stride 2, all positions as one vector. `[...,
    H, W, 1] -> [..., features]`.
    """

    width: int
    features: int

    @nn.compact
    def __call__(self, x):
        x = space_to_depth(x, 4)
        x = nn.relu(Conv(self.width, name="conv_0")(x))
        for level in (1, 2):
            x = nn.relu(Conv(self.width * 2**level, stride=2, name=f"conv_{level}")(x))
        x = nn.relu(Conv(self.width, size=1, name="squeeze")(x))
        return Dense(self.features, name="out")(x.reshape(*x.shape[:-3], -1))


def prepared(radiograph: np.ndarray, size: int) -> np.ndarray:
    """A radiograph of any shape as uint8 `[size, size]`, gray: shorter side to `size`, then the
    middle.
    """
    from PIL import Image

    if radiograph.shape == (size, size):
        return radiograph
    image = Image.fromarray(radiograph).convert("L")
    scale = size / min(image.size)
    image = image.resize(
        (max(size, round(image.width * scale)), max(size, round(image.height * scale))),
        Image.Resampling.BICUBIC,
    )
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)))


def to_input(radiographs: jax.Array) -> jax.Array:
    """uint8 `[..., H, W]` as float32 `[..., H, W, 1]` in [-1, 1]."""
    return radiographs.astype(jnp.float32)[..., None] / 127.5 - 1


def embed(params, radiographs: jax.Array, config: EncoderConfig) -> jax.Array:
    """Embeddings of radiographs `[B, size, size]`, of length 1 as BiomedCLIP's are used, `[B,
    features]`.
    """
    h = SmallEncoder(config.width, config.features).apply(
        {"params": params["encoder"]}, to_input(radiographs)
    )
    return h / jnp.maximum(jnp.linalg.norm(h, axis=-1, keepdims=True), 1e-6)


class Labeled(NamedTuple):
    """Radiographs with what they show."""

    radiographs: np.ndarray
    """uint8 `[N, size, size]`."""
    targets: np.ndarray
    """`[N, T]`, in [0, 1]."""
    mask: np.ndarray
    """`[N, T]`: 0 where a target is not known."""

    def take(self, rows: np.ndarray) -> "Labeled":
        """Those of some rows."""
        return Labeled(*(a[rows] for a in self))


def train_encoder(
    data: Labeled,
    config: EncoderConfig,
    seed: int = 0,
    say: Callable = Progress,
    stop: Callable[[], bool] = lambda: False,
) -> dict | None:
    """Parameters of a network that tells the targets from radiographs: `{"encoder", "weights",
    "bias", "scale"}`; None if `stop` said so.

    Args:
      data: the training side.
      config, seed: as they say.
      say: makes the progress display.
      stop: asked after every pass.

    Targets are read linearly from the embedding of length 1, so that what it separates lies along
    directions.
    """
    radiographs, targets, _ = data
    keys = jax.random.split(jax.random.key(seed), 3)
    network = SmallEncoder(config.width, config.features)
    params = {
        "encoder": network.init(keys[0], to_input(jnp.asarray(radiographs[:1])))["params"],
        "weights": 0.1 * jax.random.normal(keys[1], (config.features, targets.shape[1])),
        "bias": jnp.zeros(targets.shape[1]),
        "scale": jnp.float32(10),
    }
    batch = min(config.batch, len(radiographs))
    per_epoch = len(radiographs) // batch
    optimizer = optax.adam(
        optax.cosine_decay_schedule(config.learning_rate, config.epochs * per_epoch)
    )
    opt_state = optimizer.init(params)
    with say("image network", config.epochs) as bar:
        for epoch in range(config.epochs):
            order = (
                np.random.default_rng((seed, epoch))
                .permutation(len(radiographs))[: per_epoch * batch]
                .reshape(per_epoch, batch)
            )
            for rows in order:
                params, opt_state, loss = _update(
                    (params, opt_state), data.take(rows), config, optimizer
                )
            bar.advance(1, loss=float(loss))
            if stop():
                return None
    return params


def to_arrays(params: dict, config: EncoderConfig) -> dict[str, np.ndarray]:
    """Parameters and configuration as named arrays, for a file."""
    return {"/".join(path): np.asarray(a) for path, a in flatten_dict(params).items()} | {
        "config": np.array(json.dumps(to_dict(config)))
    }


def from_arrays(arrays: Mapping[str, np.ndarray]) -> tuple[dict, EncoderConfig]:
    """The inverse of `to_arrays`.

    Raises:
      UserError: they hold no such network.
    """
    try:
        config = from_dict(EncoderConfig, json.loads(str(arrays["config"])))
        params = unflatten_dict(
            {
                tuple(name.split("/")): jnp.asarray(a)
                for name, a in arrays.items()
                if name != "config"
            }
        )
        blank, network = (
            jnp.zeros((1, config.size, config.size, 1)),
            SmallEncoder(config.width, config.features),
        )
        wanted = jax.eval_shape(lambda: network.init(jax.random.key(0), blank))
        if jax.tree.map(jnp.shape, params["encoder"]) != jax.tree.map(jnp.shape, wanted["params"]):
            raise ValueError("its shapes do not fit its sizes")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the stored image network is damaged ({error}): make it again") from None
    return params, config


@functools.partial(jax.jit, static_argnums=(2, 3), donate_argnums=0)
def _update(carry, batch, config, optimizer):
    params, opt_state = carry

    def objective(params):
        logits = (
            params["scale"] * (embed(params, batch.radiographs, config) @ params["weights"])
            + params["bias"][None]
        )
        losses = optax.sigmoid_binary_cross_entropy(logits, batch.targets) * batch.mask
        return losses.sum() / jnp.maximum(batch.mask.sum(), 1)

    loss, grads = jax.value_and_grad(objective)(params)
    steps, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, steps), opt_state, loss


def embed_all(
    params, radiographs: np.ndarray, config: EncoderConfig, batch: int = 256
) -> np.ndarray:
    """`embed` of any number of radiographs, float32 `[N, features]`, in batches of one shape.

    Args:
      params: of the network.
      radiographs: uint8 `[N, size, size]`.
      config: of the network.
      batch: radiographs that are embedded together.
    """
    run = jax.jit(functools.partial(embed, config=config))
    found = []
    for start in range(0, len(radiographs), batch):
        some = radiographs[start : start + batch]
        padded = np.concatenate([some, np.zeros((batch - len(some), *some.shape[1:]), some.dtype)])
        found.append(np.asarray(run(params, padded))[: len(some)])
    return np.concatenate(found)


def hashed_words(reports: tuple[str, ...], features: int = 64) -> np.ndarray:
    """Reports as float32 `[N, features]` of length 1: words and pairs of words, each at a place and
    with a sign that its name decides.
    """
    out = np.zeros((len(reports), features), np.float32)
    for row, text in enumerate(reports):
        words = re.findall(r"[a-z]+", text.lower())
        for term in words + [f"{a} {b}" for a, b in itertools.pairwise(words)]:
            code = zlib.crc32(term.encode())
            out[row, code % features] += 1.0 if code & 0x10000 else -1.0
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)
