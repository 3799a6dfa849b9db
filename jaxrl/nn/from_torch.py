"""Load a PyTorch state dict into Flax parameters: names are matched, layouts turned, and every
difference is reported.
"""

import re
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

# How DIAMOND's module names (code commit 5bcd159) read here. Applied in order.
RENAMES = (
    (r"norm(\w*)\.norm\.", r"norm\1."),  # its GroupNorm wraps torch's
    (r"\bf\.0\.(norm\.)?", "norm."),  # SmallResBlock.f = Sequential(norm, silu, conv)
    (r"\bf\.2\.", "conv."),
    (r"\b(cond_proj|head)\.0\.", r"\1.layers.0."),
    (r"\b(cond_proj|head)\.2\.", r"\1.layers.1."),
    (r"\bact_emb\.0\.", "act_emb."),
    (
        r"^(.*\.)?encoder\.encoder\.0\.",
        r"\1conv_in.",
    ),  # ActorCriticEncoder = Sequential(conv, block, pool, block, pool, ...)
    (
        r"^(.*\.)?encoder\.encoder\.(\d+)\.",
        lambda match: f"{match[1] or ''}blocks.{int(match[2]) // 2}.",
    ),
    (r"_l0$", ""),  # LSTM and LSTMCell
)

_LEAVES = {
    "weight": ("kernel", "scale", "embedding", "frequencies"),
    "bias": ("bias",),
    "weight_ih": ("kernel_ih",),
    "weight_hh": ("kernel_hh",),
    "bias_ih": ("bias_ih",),
    "bias_hh": ("bias_hh",),
}


def from_torch(weights: Mapping[str, np.ndarray], template: dict, renames=RENAMES) -> dict:
    """Flax parameters with the values of a PyTorch state dict.

    Args:
      weights: parameter name -> array in torch layout: convolutions OIHW, linear layers [out, in],
        LSTM [4D, in] and [4D, D].
      template: parameters (or their shapes, `jax.eval_shape`) as `module.init` makes them, without
        the "params" level.
      renames: pairs (regular expression, replacement) applied to every torch name.

    Returns:
      A tree like `template`, float32.

    Raises:
      ValueError: names the parameters that are missing, left over, or of another shape.
    """
    flat = {"/".join(path): leaf for path, leaf in flatten_dict(template).items()}
    loaded, problems = {}, []
    for name, array in weights.items():
        path = _flax_path(name, flat, renames)
        if path is None:
            problems.append(f"no place for {name} {np.shape(array)}")
            continue
        value = _turn(np.asarray(array), path)
        if value.shape != flat[path].shape:
            problems.append(f"{name} has shape {np.shape(array)}, {path} wants {flat[path].shape}")
        loaded[path] = jnp.asarray(value, jnp.float32)
    problems += [
        f"nothing for {path} {leaf.shape}" for path, leaf in flat.items() if path not in loaded
    ]
    if problems:
        raise ValueError("the weights do not fit the network: " + "; ".join(problems))
    return unflatten_dict({tuple(path.split("/")): value for path, value in loaded.items()})


def _flax_path(name, flat, renames):
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    *modules, leaf = re.sub(r"\.(\d+)", r"_\1", name).split(".")
    candidates = ("/".join([*modules, flax_leaf]) for flax_leaf in _LEAVES.get(leaf, ()))
    return next((path for path in candidates if path in flat), None)


def _turn(array, path):
    leaf = path.rsplit("/", 1)[-1]
    if leaf == "kernel" and array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if leaf in ("kernel", "kernel_ih", "kernel_hh"):
        return array.T
    return array.reshape(-1) if leaf == "frequencies" else array
