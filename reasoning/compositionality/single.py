"""Commands about one function or one network; each returns the text to print."""

import importlib
import json
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_npz
from reasoning.compositionality import network
from reasoning.compositionality.activations import FUNCTIONS
from reasoning.compositionality.depth import predict_depth
from reasoning.compositionality.depth.predict import EXACT, TRAINED, Prediction
from reasoning.compositionality.files import (
    Stored,
    read_inputs,
    read_network,
    stacked,
    unstacked,
    write_network,
)
from reasoning.compositionality.measure import finish, sentence
from reasoning.compositionality.prune import capture, compact, prune_once, summarize_sparsity
from reasoning.compositionality.prune import score as scoring
from reasoning.compositionality.prune.kernels import kernels, ones_like, replaced
from reasoning.compositionality.prune.merge import merge_similar_units
from reasoning.compositionality.prune.summary import table
from reasoning.compositionality.structure import make_probe, structure
from reasoning.compositionality.study.config import SweepConfig
from reasoning.compositionality.study.pruners import setting_of
from reasoning.compositionality.study.train import begin
from reasoning.compositionality.targets import target_by_name
from reasoning.compositionality.targets.samples import draw, scale


def named(path: str):
    """Import the object that a path such as my_package.my_file:f names.

    Raises:
      UserError: there is no such module or name.
    """
    module, _, attribute = path.partition(":")
    if not module or not attribute:
        raise UserError(
            f"{path!r} is no Python path: write module:name, such as my_package.my_file:f"
        )
    sys.path.insert(0, "")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{path}: there is no module {error.name!r}: run the command in the folder that holds "
            "it"
        ) from None
    except (ImportError, SyntaxError) as error:
        raise UserError(
            f"{path}: module {module} cannot be imported ({error}): correct it"
        ) from None
    finally:
        sys.path.remove("")
    if not callable(getattr(loaded, attribute, None)):
        raise UserError(
            f"{path}: module {module} has no function {attribute!r}: name one that it has"
        )
    return getattr(loaded, attribute)


def predict(command) -> str:
    """The depth of a target, a function or a network."""
    given = [kind for kind in ("target", "function", "network") if getattr(command, kind)]
    if len(given) != 1:
        raise UserError(
            f"name one of --target, --function and --network; given were {given or 'none'}"
        )
    tolerance, data = EXACT, None
    if command.target:
        f = target_by_name(command.target)
        inputs = f.inputs
    elif command.function:
        if command.inputs is None:
            raise UserError("--function needs --inputs, the length of the array that it takes")
        f, inputs = named(command.function), command.inputs
    else:
        stored = read_network(command.network, command.activation)
        f, data, inputs = _net(stored.activation), stacked(stored)[0], stored.inputs
        tolerance = TRAINED
    tolerance = tolerance if command.tolerance is None else command.tolerance
    options = {
        "data": data,
        "low": command.low,
        "high": command.high,
        "tolerance": tolerance,
        "most_arity": command.most_arity,
    }
    return describe(predict_depth(f, inputs, **options))


def _net(activation: str):
    return lambda params, x: network.forward(
        params, x[None], params["b"].shape[0], FUNCTIONS[activation]
    ).y[0]


def describe(found: Prediction) -> str:
    """A prediction in words."""
    lines = [
        f"depth {found.depth}"
        + (
            ", ambiguous: overlapping sets of inputs are separable, so other trees fit as well"
            if found.ambiguous
            else ""
        )
    ]
    lines += [f"output {i}: {tree if tree else 'constant'}" for i, tree in enumerate(found.trees)]
    if found.ignored:
        lines.append(f"inputs without influence: {', '.join(map(str, found.ignored))}")
    if found.left_over > 2:
        lines.append(
            f"nothing separates {found.left_over} groups at the top: they were taken as one node"
        )
    if found.jumps:
        numbers = ", ".join(map(str, found.jumps))
        lines.append(
            f"outputs with jumps: {numbers}; their trees are estimates from averages over small "
            "balls, not from gradients: test them with a function of the same kind and a known tree"
        )
    return "\n".join([*lines, f"nearest decision: {found.nearest:.4f} from the threshold"])


def train(command) -> str:
    """A dense network of one target."""
    target = target_by_name(command.target)
    if min(command.depth, command.width, command.steps) < 1:
        raise UserError("--depth, --width and --steps must be at least 1")
    config = SweepConfig(
        seeds=1,
        seed=command.seed,
        width=command.width,
        depths=(command.depth,),
        steps=command.steps,
    )
    here = setting_of(config, target, None)
    cells = begin(
        here.keys,
        jnp.zeros(1, jnp.int32),
        jnp.full(1, command.depth, jnp.int32),
        config.shape(target),
    )
    done = here.train(jax.tree.map(jnp.copy, cells.params), cells, command.steps)

    def first(tree):
        return jax.tree.map(lambda a: a[0], tree)

    stored = unstacked(first(done.params), first(done.masks), command.depth)
    write_network(command.out, stored)
    found = _measured(stored, target, 2048, command.seed, False)
    return f"{sentence(found)}\nnetwork: {command.out}"


def measure(command) -> str:
    """The measures of a network, as JSON, and a sentence."""
    stored, target = (
        read_network(command.network, command.activation),
        target_by_name(command.target),
    )
    outputs = stored.layers[-1].kernel.shape[1]
    if (stored.inputs, outputs) != (target.inputs, len(target.outputs)):
        raise UserError(
            f"the network has {stored.inputs} inputs and {outputs} outputs, {target.name} has "
            f"{target.inputs} and {len(target.outputs)}: "
            "name the target that it was trained on"
        )
    if command.examples < 32:
        raise UserError(f"--examples is {command.examples}: correlations need at least 32")
    found = _measured(stored, target, command.examples, command.seed, command.raw)
    shown = {name: value if np.isfinite(value) else None for name, value in found._asdict().items()}
    return f"{json.dumps(shown, indent=1)}\n{sentence(found)}"


def _measured(stored: Stored, target, examples: int, seed: int, raw: bool):
    if raw:
        known = scale(target)
        std, mean = np.asarray(known.std, np.float32), np.asarray(known.mean, np.float32)
        last = stored.layers[-1]
        stored = stored._replace(
            layers=[
                *stored.layers[:-1],
                last._replace(kernel=last.kernel / std, bias=(last.bias - mean) / std),
            ]
        )
    params, masks = stacked(stored)
    probe = make_probe(target, jax.random.key(seed), examples)
    return finish(
        jax.jit(structure, static_argnums=4)(
            params, masks, stored.depth, probe, FUNCTIONS[stored.activation]
        ),
        stored.depth,
        False,
    )


class Chain(nn.Module):
    """The network of a file as a Flax module, so that its layers can be captured."""

    widths: tuple[int, ...]
    activation: str

    @nn.compact
    def __call__(self, x):
        for i, width in enumerate(self.widths):
            x = nn.Dense(width, name=f"layers_{i}")(x if i == 0 else FUNCTIONS[self.activation](x))
        return x


def prune(command) -> str:
    """A network of a file, or a Flax model."""
    if bool(command.network) == bool(command.model):
        raise UserError("name one of --network and --model")
    if not 0 < command.density <= 1:
        raise UserError(f"--density is {command.density}: it must be above 0 and at most 1")
    return _prune_model(command) if command.model else _prune_file(command)


def _prune_file(command) -> str:
    stored = read_network(command.network, command.activation)
    if bool(command.data) == bool(command.target):
        raise UserError("pruning needs probe inputs: name one of --data and --target")
    if command.data:
        x = read_inputs(command.data, stored.inputs)
    else:
        target = target_by_name(command.target)
        if target.inputs != stored.inputs:
            raise UserError(
                f"{target.name} has {target.inputs} inputs, the network {stored.inputs}: name the "
                "target that it was trained on"
            )
        x = np.asarray(draw(target, jax.random.key(command.seed), 1024))
    module = Chain(tuple(len(layer.bias) for layer in stored.layers), stored.activation)
    before = module.apply({"params": stored.params()}, x)
    if float(before.var(0).max()) < 1e-12:
        raise UserError(
            "the outputs of the network are constant on these inputs (it is dead, or they are all "
            "alike): there is nothing to keep"
        )
    params, masks = _pruned(command, module.apply, stored.params(), x, FUNCTIONS[stored.activation])
    after = module.apply({"params": params}, x)
    change = float(((before - after) ** 2).mean() / before.var(0).mean())
    result = stored.with_params(params)
    if command.compact:
        flat = [np.asarray(masks[f"layers_{i}"]["kernel"]) for i in range(len(stored.layers))]
        result = result._replace(layers=compact(result.layers, flat, FUNCTIONS[stored.activation]))
    write_network(command.out, result)
    widths = " - ".join(map(str, [result.inputs, *(len(layer.bias) for layer in result.layers)]))
    stated = (
        "mean squared change of the outputs, as a share of their variance, before any more training"
    )
    return (
        f"{table(summarize_sparsity(masks))}\n{stated}: {change:.4g}\nlayers: {widths}\nnetwork: "
        f"{command.out}"
    )


def _prune_model(command) -> str:
    try:
        apply, params, inputs = named(command.model)()
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{command.model} must return (apply, params, inputs) of a Flax model ({error})"
        ) from error
    if command.mode == "node" or command.compact:
        raise UserError(
            "--mode node and --compact are for --network; in Python, "
            "similarity_pruning(mode='node', layers=...) takes any chain"
        )
    _, masks = _pruned(command, apply, params, inputs, None)
    arrays = {name.replace("/", "."): np.asarray(mask) for name, mask in kernels(masks).items()}
    write_npz(Path(command.out).expanduser(), arrays, compress=True)
    return f"{table(summarize_sparsity(masks))}\nmasks: {command.out}"


def _pruned(command, apply, params, x, activation):
    known = capture(apply, params, x, after=activation)
    if command.mode == "node":
        names = tuple(sorted(params, key=lambda name: int(name.rpartition("_")[2])))
        whole = {name: jnp.ones(k.shape) for name, k in kernels(params).items()}
        masks, merged = merge_similar_units(params, known, names, command.density, 0.95, whole)
        full = replaced(ones_like(params), {name: m.astype(jnp.uint8) for name, m in masks.items()})
        return replaced(merged, {n: kernels(merged)[n] * m for n, m in masks.items()}), full
    score = getattr(scoring, command.mode)
    return prune_once(
        params,
        known,
        command.density,
        score,
        command.distribution,
        key=jax.random.key(command.seed),
    )
