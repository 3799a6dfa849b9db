"""Networks in files: `kernel_0`, `bias_0`, `kernel_1`, ... and the name of the activation, in one
.npz.
"""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_npz
from reasoning.compositionality import network
from reasoning.compositionality.activations import FUNCTIONS
from reasoning.compositionality.checkpoints import Origin, is_checkpoint, read_chain, write_chain
from reasoning.compositionality.prune.compact import Layer


class Stored(NamedTuple):
    """A chain of linear layers with one activation between them."""

    layers: list[Layer]
    activation: str = "tanh"
    origins: tuple[Origin, ...] = ()
    """Names in the checkpoint that it was read from."""

    @property
    def inputs(self) -> int:
        """n."""
        return self.layers[0].kernel.shape[0]

    @property
    def depth(self) -> int:
        """Hidden layers."""
        return len(self.layers) - 1

    def params(self) -> dict:
        """Parameters as in Flax: {"layers_0": {"kernel", "bias"}, ...}."""
        return {
            f"layers_{i}": {"kernel": jnp.asarray(k), "bias": jnp.asarray(b)}
            for i, (k, b) in enumerate(self.layers)
        }

    def with_params(self, params: dict) -> "Stored":
        """The same chain with other weights."""
        return self._replace(
            layers=[
                Layer(
                    np.asarray(params[f"layers_{i}"]["kernel"]),
                    np.asarray(params[f"layers_{i}"]["bias"]),
                )
                for i in range(len(self.layers))
            ]
        )


def read_network(path: str | Path, activation: str | None = None) -> Stored:
    """Read a network: an .npz file of ours, a .safetensors file, or an Orbax folder.

    Args:
      path: of the file or folder.
      activation: between the layers; checkpoints do not say it, our own files do.

    Raises:
      UserError: the file cannot be read, lacks an array, or its layers do not fit each other.
    """
    path = Path(path).expanduser()
    if is_checkpoint(path):
        if activation is None:
            raise UserError(
                f"{path} does not say the activation between its layers: add --activation, such as "
                "relu"
            )
        layers, origins = read_chain(path)
        return Stored(_checked(path, layers), _known(path, activation), tuple(origins))
    arrays = _arrays(path)
    count = sum(name.startswith("kernel_") for name in arrays)
    if count < 2:
        raise UserError(
            f"network {path} has {count} kernels: it needs kernel_0, kernel_1, ... of at least two "
            "layers, and bias_0, ..."
        )
    layers = []
    for i in range(count):
        if f"kernel_{i}" not in arrays:
            raise UserError(
                f"network {path} has no kernel_{i}: number the layers from 0 without gaps"
            )
        kernel = arrays[f"kernel_{i}"]
        layers.append(Layer(kernel, arrays.get(f"bias_{i}", np.zeros(kernel.shape[-1:]))))
    stated = str(arrays["activation"]) if "activation" in arrays else None
    if stated and activation and stated != activation:
        raise UserError(
            f"network {path} says that its activation is {stated!r}: leave out --activation"
        )
    chosen = _known(path, stated or activation or "tanh")
    return Stored(_checked(path, layers), chosen)


def _known(path: Path, activation: str) -> str:
    if activation not in FUNCTIONS:
        raise UserError(
            f"network {path} has the activation {activation!r}: those known are "
            f"{', '.join(FUNCTIONS)}"
        )
    return activation


def _is_real(array: np.ndarray) -> bool:
    """True for floats (bfloat16 too, which NumPy takes for a record) and integers."""
    return any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer))


def _checked(path: Path, layers: list[Layer]) -> list[Layer]:
    """The layers in float32, if they are real, finite and fit each other."""
    found: list[Layer] = []
    for i, (kernel, bias) in enumerate(layers):
        if not (_is_real(kernel) and _is_real(bias)):
            raise UserError(
                f"network {path}: layer {i} is of type {kernel.dtype} with bias {bias.dtype}: it "
                "must be of real numbers"
            )
        kernel, bias = kernel.astype(np.float32), bias.astype(np.float32)
        fits = (
            kernel.ndim == 2
            and bias.shape == kernel.shape[1:]
            and (i == 0 or found[-1].kernel.shape[1] == kernel.shape[0])
        )
        if not fits:
            raise UserError(
                f"network {path}: kernel_{i} of shape {kernel.shape} with bias {bias.shape} does "
                "not fit the layer below"
            )
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise UserError(
                f"network {path}: layer {i} holds a NaN or infinity: save it before the training "
                "diverged"
            )
        found.append(Layer(kernel, bias))
    return found


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with loaded as stored:
            arrays = {name: stored[name] for name in stored.files}
    except OSError as error:
        raise UserError(
            f"network {path} cannot be read ({error.strerror or error}): name an existing .npz file"
        ) from None
    except ValueError as error:
        raise UserError(
            f"network {path} is no .npz file of arrays ({error}): see docs/compositionality.md"
        ) from None
    return arrays


def write_network(path: str | Path, stored: Stored) -> None:
    """The inverse, whole or not at all; a .safetensors file keeps the names that were read."""
    path = Path(path).expanduser()
    if path.suffix == ".safetensors":
        names = [Origin(f"layers.{i}.kernel", f"layers.{i}.bias", False) for i in range(99)]
        origins = stored.origins or names[: len(stored.layers)]
        write_chain(path, stored.layers, list(origins))
        return
    arrays = {f"kernel_{i}": layer.kernel for i, layer in enumerate(stored.layers)}
    arrays |= {f"bias_{i}": layer.bias for i, layer in enumerate(stored.layers)}
    named = {"activation": np.array(stored.activation)} | arrays
    write_npz(path, named)


def stacked(stored: Stored) -> tuple[network.Params, network.Masks]:
    """In the layout of `network`, layers padded to the widest with units that nothing reaches; zero
    weights are masked.

    A dead network that was made smaller may have layers without units: they get one that nothing
      reaches.
    """
    width, hidden = (
        max(1, *(layer.kernel.shape[1] for layer in stored.layers[:-1])),
        stored.layers[1:-1],
    )
    params = {
        "win": _padded(stored.layers[0].kernel, (stored.inputs, width)),
        "wh": np.stack([_padded(layer.kernel, (width, width)) for layer in hidden])
        if hidden
        else np.zeros((0, width, width), np.float32),
        "wo": _padded(stored.layers[-1].kernel, (width, stored.layers[-1].kernel.shape[1])),
        "b": np.stack([_padded(layer.bias, (width,)) for layer in stored.layers[:-1]]),
        "bo": stored.layers[-1].bias,
    }
    masks = {name: jnp.asarray((params[name] != 0).astype(np.float32)) for name in network.WEIGHTS}
    return {name: jnp.asarray(a) for name, a in params.items()}, masks


def unstacked(params: network.Params, masks: network.Masks, depth: int) -> Stored:
    """The used layers of one network of `network`'s layout."""
    arrays = {name: np.asarray(a) for name, a in network.masked(params, masks).items()}
    kernels = [arrays["win"], *arrays["wh"][: depth - 1], arrays["wo"]]
    biases = [*arrays["b"][:depth], arrays["bo"]]
    return Stored([Layer(k, b) for k, b in zip(kernels, biases, strict=True)])


def read_inputs(path: str | Path, inputs: int) -> np.ndarray:
    """A probe batch `[N, n]` from .npy.

    Raises:
      UserError: it cannot be read, or has another shape.
    """
    try:
        x = np.load(Path(path).expanduser(), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"inputs {path} cannot be read ({error}): save an array [examples, {inputs}] with "
            "numpy.save"
        ) from None
    if (
        not isinstance(x, np.ndarray)
        or x.dtype.kind not in "fiu"
        or x.ndim != 2
        or x.shape[1] != inputs
        or len(x) < 2
    ):
        found = (
            f"shape {x.shape} and type {x.dtype}" if isinstance(x, np.ndarray) else "several arrays"
        )
        raise UserError(
            f"inputs {path} have {found}: they must be real numbers [examples, {inputs}], two "
            "examples or more"
        )
    if not np.isfinite(x).all():
        raise UserError(
            f"inputs {path} hold a NaN or infinity in row "
            f"{int(np.argwhere(~np.isfinite(x))[0, 0])}: remove it"
        )
    return x.astype(np.float32)


def _padded(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.pad(
        array, [(0, new - old) for old, new in zip(array.shape, shape, strict=True)]
    ).astype(np.float32)
