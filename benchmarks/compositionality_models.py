"""Real models pruned once, without any training afterwards: `python -m
benchmarks.compositionality_models` writes `results/compositionality_models.json`.

A classifier of Fashion-MNIST, an autoencoder with a quantizer, JEDI's encoder of Freeway, and the
perceptrons in all blocks of SmolLM2 (`--smollm2 FOLDER`, from `python -m reasoning.e2c fetch
smollm2`): quality over density, for share, magnitude and random at equal density.
"""

import functools
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import command
from benchmarks.recording import RESULTS, Claim, record
from jaxrl.app.cells import Cells
from jaxrl.app.errors import UserError
from quant import FSQConfig
from quant.data.data_by_name import load
from quant.models.autoencoder import VectorAutoencoder
from quant.quantizers import fsq
from reasoning.compositionality.prune import apply_masks, capture, oracle_pruning, prune_once
from reasoning.compositionality.prune import score as scoring
from reasoning.compositionality.prune.kernels import (
    Prunable,
    kernels,
    ones_like,
    replaced,
    weights_only,
)

NAME = "compositionality_models"
SCORES = {"share": scoring.share, "magnitude": scoring.magnitude, "random": scoring.random}


@dataclass(frozen=True)
class Settings:
    """Sizes of the measurement."""

    densities: tuple[float, ...] = (0.5, 0.25, 0.125)
    """Share of the weights that every unit keeps."""
    seeds: int = 2
    """Trainings of the small models; also random masks of the large ones."""
    steps: int = 400
    """Updates of the small models."""
    finetune: int = 100
    """Updates of the classifier after pruning, in a second measurement."""
    probe: int = 512
    """Examples that activations are captured on, of the training data."""
    tokens: int = 256
    """Tokens of SmolLM2's texts, for the activations and again for the loss."""
    models: tuple[str, ...] = ("classifier", "autoencoder", "encoder", "smollm2")
    """Models to prune."""
    smollm2: str | None = None
    """Folder of its checkpoint; without, it is not measured."""
    cells: str = "runs/compositionality/models"
    """Folder of the finished rows: a second start does what is missing."""


class Subject(NamedTuple):
    """A trained model."""

    name: str
    measure: str
    """Measure of quality, with its unit."""
    params: Any
    activations: dict[str, Any]
    quality: Callable[[Any], float]
    prunable: Prunable = weights_only
    tune: Callable[[Any], Any] | None = None
    """Parameters after more training in which the given masks stay."""


class Classifier(nn.Module):
    """Two convolutions and two linear layers."""

    @nn.compact
    def __call__(self, x):
        """`[B, 28, 28, 1]` to logits `[B, 10]`."""
        x = nn.relu(nn.Conv(8, (3, 3), strides=2, name="conv_0")(x))
        x = nn.relu(nn.Conv(16, (3, 3), strides=2, name="conv_1")(x))
        x = nn.relu(nn.Dense(64, name="hidden")(x.reshape(len(x), -1)))
        return nn.Dense(10, name="out")(x)


class Quantized(nn.Module):
    """An autoencoder whose token is rounded to 5^8 codes."""

    @nn.compact
    def __call__(self, x):
        """`[B, 28, 28, 1]` to its reconstruction."""
        model = VectorAutoencoder((28, 28, 1), 8)
        z = model.encode(x)
        return model.decode(fsq.quantize({}, {}, z, FSQConfig((5,) * 8))[0].quantized)


def trained(module: nn.Module, loss: Callable, data, settings: Settings, seed: int):
    """Train by Adam.

    Args:
      module: the network.
      loss: `loss(params, x, y)`, a scalar.
      data: has `train`, inputs and outputs of all examples.
      settings: updates before and after the pruning.
      seed: seed of initial weights and batches.

    Returns:
      `(params, tune)`: the trained parameters, and a function `tune(masks)` that continues the
      training with given masks.
    """
    x, y = map(jnp.asarray, data.train)
    start, key = jax.random.split(jax.random.key(seed))
    adam = optax.adam(2e-3)

    def run(params, tx, examples, keys):
        def step(carry, key):
            params, state = carry
            rows = jax.random.randint(key, (128,), 0, len(examples[0]))
            grads = jax.grad(loss)(params, *(part[rows] for part in examples))
            updates, state = tx.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, tx.init(params)), keys)[0][0]

    # Examples are arguments: as constants of a program they would be compiled into it.
    first = jax.jit(module.init)(start, x[:1])["params"]
    learn = jax.jit(lambda params, examples, keys: run(params, adam, examples, keys))
    params = learn(first, (x, y), jax.random.split(key, settings.steps))

    @jax.jit
    def continued(params, masks, examples, keys):
        return run(params, oracle_pruning(adam, masks), examples, keys)

    more = jax.random.split(jax.random.fold_in(key, 1), settings.finetune)
    return params, lambda masks: continued(params, masks, (x, y), more)


def classifier(settings: Settings, seed: int) -> Subject:
    """Fashion-MNIST, accuracy on its test images."""
    data, module = fashion(), Classifier()

    def loss(params, x, y):
        logits = module.apply({"params": params}, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    params, tune = trained(module, loss, data, settings, seed)
    predict = jax.jit(lambda p, x: module.apply({"params": p}, x).argmax(-1))

    x, y = (jnp.asarray(part[:4000]) for part in data.test)

    def accuracy(params) -> float:
        return 100 * float((predict(params, x) == y).mean())

    known = jax.jit(functools.partial(capture, module.apply))(
        params, data.train.x[: settings.probe]
    )
    return Subject(
        "Fashion-MNIST classifier", "test accuracy, %", params, known, accuracy, tune=tune
    )


def autoencoder(settings: Settings, seed: int) -> Subject:
    """Fashion-MNIST through a finite scalar quantizer, R² of the reconstruction."""
    data, module = fashion(), Quantized()

    def loss(params, x, y):
        return ((module.apply({"params": params}, x) - x) ** 2).mean()

    params, _ = trained(module, loss, data, settings, seed)
    error = jax.jit(lambda p, x: ((module.apply({"params": p}, x) - x) ** 2).mean())
    x = jnp.asarray(data.test.x[:2000])
    spread = float(((x - x.mean(0)) ** 2).mean())
    known = jax.jit(functools.partial(capture, module.apply))(
        params, data.train.x[: settings.probe]
    )
    return Subject(
        "quantized autoencoder (FSQ)",
        "R² of the reconstruction",
        params,
        known,
        lambda p: 1 - float(error(p, x)) / spread,
    )


def encoder(settings: Settings, seed: int) -> Subject:
    """JEDI's pretrained encoder of Freeway, R² of its latents on frames of random play."""
    from jaxrl.jedi.agent import networks
    from jaxrl.jedi.config import JediConfig
    from jaxrl.jedi.nets import encoder as seeing
    from jaxrl.jedi.play.game import make_game
    from jaxrl.jedi.pretrained import pretrained_folder
    from jaxrl.jedi.training.checkpoints import restore_agent
    from jaxrl.train.config import from_dict
    from jaxrl.train.rundir import read_config

    folder = pretrained_folder("freeway")
    config = from_dict(JediConfig, read_config(folder))
    env = make_game(config)
    agent, _ = restore_agent(folder, config, env)
    module = networks(agent.spec).encoder
    random = np.random.default_rng(seed)
    frames = [env.reset(seed)]
    while len(frames) < 384:
        after = env.step(int(random.integers(env.num_actions)))
        frames.append(env.reset(seed + len(frames)) if after.game_over else after.frame)
    env.close()
    order = random.permutation(len(frames))
    x = jnp.asarray(np.stack(frames))[order]

    def apply(variables, batch):
        return seeing.encode(module, variables["params"], batch)

    run = jax.jit(lambda p, batch: apply({"params": p}, batch))
    params = jax.tree.map(jnp.asarray, dict(agent.target))
    truth = run(params, x[128:])
    spread = float(((truth - truth.mean(0)) ** 2).mean())
    return Subject(
        "JEDI's encoder of Freeway",
        "R² of the latents",
        params,
        jax.jit(functools.partial(capture, apply))(params, x[:128]),
        lambda p: 1 - float(((run(p, x[128:]) - truth) ** 2).mean()) / spread,
    )


TEXTS = ("exceptions", "objects", "try", "naming")
"""Topics of Python's own help whose beginnings SmolLM2 reads: two for the activations, two for the
loss.
"""


def smollm2(settings: Settings, seed: int) -> Subject:
    """The perceptrons of all blocks of SmolLM2-135M, nats per token on Python's help."""
    from pydoc_data.topics import topics

    from flax import nnx

    from reasoning.e2c.llm.config import LocalModel
    from reasoning.e2c.llm.load import load_model

    loaded = load_model(LocalModel(Path(settings.smollm2), dtype="float32", chat=False))
    model = loaded.model
    length = settings.tokens // 2
    encode = loaded.tokenizer.encode
    ids = [encode(topics[name], add_special_tokens=False)[:length] for name in TEXTS]
    probe, judged = np.array(ids[:2]), np.array(ids[2:])
    places = jnp.broadcast_to(jnp.arange(length), probe.shape)
    seen = jnp.broadcast_to(jnp.tril(jnp.ones((length, length), bool)), (2, length, length))
    graph, state = nnx.split(model)
    params = nnx.to_pure_dict(nnx.state(model, nnx.Param))

    @jax.jit
    def nats(state, tokens):
        logits = nnx.merge(graph, state)(tokens, places, None, seen)[0][:, :-1]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:])
        return losses.mean()

    def quality(pruned) -> float:
        whole = jax.tree.map(lambda leaf: leaf, state)
        nnx.replace_by_pure_dict(whole, pruned)
        with jax.set_mesh(loaded.mesh):
            return float(nats(whole, jnp.asarray(judged)))

    with jax.set_mesh(loaded.mesh):
        known = capture(model, jnp.asarray(probe), places, None, seen)
    known = {name: found for name, found in known.items() if not name.endswith("inputs")}

    def perceptrons(path, leaf):
        return path[-1] == "kernel" and "mlp" in path

    return Subject(
        "SmolLM2-135M, perceptrons of 30 blocks",
        "nats per token (lower is better)",
        params,
        known,
        quality,
        perceptrons,
    )


@functools.cache
def fashion():
    """Fashion-MNIST."""
    return load("fashion_mnist")


@functools.partial(jax.jit, static_argnames=("score", "prunable"))
def kept(kernel, known, density, key, score: Callable, prunable: Prunable):
    """Mask of one kernel.

    Args:
      kernel: of any layer; one program serves all of a shape.
      known: its activations, from `capture`.
      density: scalar, share of weights that is kept.
      key: PRNG key, for random scores.
      score: a function of `score.py`.
      prunable: chooses the leaves that are pruned; True for this one.

    Returns:
      The mask, 0 where the kernel is pruned.
    """
    tree, seen = {"mlp": {"kernel": kernel}}, {"mlp/kernel": known}
    return prune_once(tree, seen, density, score, key=key, prunable=prunable)[1]["mlp"]["kernel"]


def pruned(subject: Subject, density: float, name: str, seed: int) -> tuple[Any, Any]:
    """Prune a model once: `(params with zeros, masks)`. Every unit keeps the same share of its
    inputs, so each kernel is pruned by itself.

    Args:
      subject: the model.
      density: share of weights that is kept.
      name: of the score, in `SCORES`.
      seed: seed of random scores.
    """
    params, keys = subject.params, jax.random.key(seed)
    found = kernels(params, subject.prunable)
    masks = {
        path: kept(
            kernel,
            subject.activations[path],
            jnp.float32(density),
            jax.random.fold_in(keys, number),
            SCORES[name],
            subject.prunable,
        )
        for number, (path, kernel) in enumerate(found.items())
    }
    whole = replaced(ones_like(params), masks)
    return apply_masks(params, whole), whole


def rows_of(make: Callable, settings: Settings, seed: int) -> Iterator[dict]:
    """Quality of one trained model, dense and for every score and density. Rows that are finished
    are read from `settings.cells`; the model is made when the first is missing.

    Args:
      make: makes the model, `(settings, seed) -> Subject`.
      settings: sizes, densities, folder.
      seed: of the training and of random masks.
    """
    wanted = [("dense", 1.0), *itertools.product(SCORES, settings.densities)]
    sizes = (settings.steps, settings.finetune, settings.probe, settings.tokens)
    named = {
        f"{make.__name__}-{seed}-{score}-{density:g}-{sizes}": (score, density)
        for score, density in wanted
    }
    cells, subject = Cells(Path(settings.cells), named), None
    for name, (score, density) in named.items():
        if not cells.finished(name):
            subject = subject or make(settings, seed)
            params, masks = subject.params, None
            if score != "dense":
                params, masks = pruned(subject, density, score, seed)
            row = {"model": subject.name, "measure": subject.measure, "seed": seed}
            row |= {"score": score, "density": density, "quality": subject.quality(params)}
            if subject.tune is not None and masks is not None:
                row["finetuned"] = subject.quality(subject.tune(masks))
            cells.keep(name, row)
        yield cells.read(name)


MODELS = {
    "classifier": (classifier, True),
    "autoencoder": (autoencoder, True),
    "encoder": (encoder, False),
    "smollm2": (smollm2, False),
}
"""By name: how it is made, and whether it is trained here, with every seed."""


def measure(settings: Settings) -> Path:
    """Measure, print, and write the result; returns its path.

    Raises:
      UserError: an unknown model, or no seeds.
    """
    unknown = set(settings.models) - MODELS.keys()
    if unknown or settings.seeds < 1:
        raise UserError(f"--models knows {', '.join(MODELS)}, and --seeds must be at least 1")
    path = RESULTS / f"{NAME}.json"
    for name in settings.models:
        if name == "smollm2" and settings.smollm2 is None:
            continue
        (make, learns), rows = MODELS[name], []
        for seed in range(settings.seeds if learns else 1):
            for row in rows_of(make, settings, seed):
                print({key: row[key] for key in row if key != "measure"}, flush=True)
                rows.append(row)
        kept = [row for row in kept_rows() if row["model"] != rows[0]["model"]]
        figures = asdict(settings) | {"rows": kept + rows}
        figures.pop("smollm2")
        figures.pop("models")
        figures.pop("cells")
        path = record(NAME, figures, claims(kept + rows))
    return path


def kept_rows() -> list[dict]:
    """Rows of the last record: models that are not measured again keep theirs."""
    path = RESULTS / f"{NAME}.json"
    return json.loads(path.read_text())["figures"]["rows"] if path.exists() else []


def mean(rows: list[dict], model: str, score: str, density: float, column="quality") -> float:
    """Mean of a column over seeds.

    Args:
      rows: measured rows.
      model: name of the model.
      score: name of the score.
      density: density, one of the measured ones.
      column: name of the figure.
    """
    return float(
        np.mean(
            [
                row[column]
                for row in rows
                if (row["model"], row["score"], row["density"]) == (model, score, density)
            ]
        )
    )


def claims(rows: list[dict]) -> list[Claim]:
    """For every model and density: how far share is above magnitude, in the measure's unit."""
    found = []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        better = -1 if "lower" in mine[0]["measure"] else 1
        for density in sorted({row["density"] for row in mine} - {1.0}, reverse=True):
            gap = mean(mine, model, "share", density) - mean(mine, model, "magnitude", density)
            text = f"{model} at density {density:g}: share better than magnitude"
            unit = mine[0]["measure"].removesuffix(" (lower is better)")
            seeds = len({row["seed"] for row in mine})
            found.append(Claim(f"{text}, {unit}", 0.0, ">", round(better * gap, 4), seeds))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the path of the result; 2 if refused."""
    return command.run("compositionality_models", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
