"""Codebooks of other libraries: read from .safetensors or .npz, and used here with the same indices."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from quant.affine import neutral
from quant.codebook import Codebook
from quant.errors import QuantError, require
from quant.vq import VQConfig, VQState


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of a .safetensors or .npz file.

    Raises:
      QuantError: another kind of file, one that is not there, or one that cannot be read.
    """
    path = Path(path)
    require(path.suffix in (".safetensors", ".npz"), f"{path} is neither .safetensors nor .npz")
    require(path.is_file(), f"there is no file {path}")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return dict(file.items())
        from safetensors.numpy import load_file

        return load_file(path)
    except ImportError:
        raise QuantError("reading .safetensors needs the package safetensors: pip install 'latentax[data]'") from None
    except Exception as error:
        raise QuantError(f"{path} cannot be read: {error}") from error


def from_vector_quantize_pytorch(arrays: dict[str, np.ndarray], prefix: str = "") -> tuple[dict, VQState, VQConfig]:
    """The state of a `VectorQuantize` module: parameters, state and a configuration that gives the same indices.

    Args:
      arrays: the `state_dict` (as NumPy arrays), or part of it.
      prefix: of the module's names, such as "quantizer.".

    Returns:
      See `vq.init`. The configuration has the sizes and the projection; set decay, wrapper and weights as the module had them
      (`presets.lucidrains` has its defaults), and metric="cosine" if it used cosine similarity.

    Raises:
      QuantError: no codebook under this prefix, or arrays that do not fit together.
    """
    own = {name.removeprefix(prefix): np.asarray(a) for name, a in arrays.items() if name.startswith(prefix)}
    found = ", ".join(sorted(arrays)[:8])
    require("_codebook.embed" in own, f"there is no {prefix}_codebook.embed among the arrays ({found}): check the prefix")
    codes = own["_codebook.embed"].astype(np.float32)
    require(codes.ndim == 3, f"{prefix}_codebook.embed has shape {codes.shape}, not [codebooks, K, D]")
    count = own.get("_codebook.cluster_size", np.ones(codes.shape[:2])).astype(np.float32)
    total = own.get("_codebook.embed_avg", codes).astype(np.float32)
    require(
        count.shape == codes.shape[:2] and total.shape == codes.shape,
        f"{prefix}_codebook: cluster_size or embed_avg do not fit embed",
    )
    params, dim = {}, codes.shape[0] * codes.shape[2]
    if "project_in.weight" in own:
        require(not own.get("project_in.bias", np.zeros(1)).any(), f"{prefix}project_in has a bias, which our projection has not")
        params = {"project_in": jnp.asarray(own["project_in.weight"].T), "project_out": jnp.asarray(own["project_out.weight"].T)}
        dim = own["project_in.weight"].shape[1]
    config = VQConfig(codes.shape[1], dim, heads=codes.shape[0], code_dim=codes.shape[2], decay=0.8, commitment=1.0)
    return params, _state(codes, count, total), config


def from_haiku_ema(arrays: dict[str, np.ndarray], decay: float = 0.99) -> tuple[dict, VQState, VQConfig]:
    """The state of an `hk.nets.VectorQuantizerEMA`: "embeddings" `[D, K]`, and its averages "ema_cluster_size/hidden" and "ema_dw/hidden"
    if present.

    Raises:
      QuantError: no embeddings.
    """
    require("embeddings" in arrays, f"there is no array embeddings among {', '.join(sorted(arrays)[:8])}")
    codes = np.asarray(arrays["embeddings"], np.float32).T
    count = np.asarray(arrays.get("ema_cluster_size/hidden", np.ones(len(codes))), np.float32)
    total = np.asarray(arrays.get("ema_dw/hidden", (codes * count[:, None]).T), np.float32).T
    config = VQConfig(codes.shape[0], codes.shape[1], decay=decay)
    return {}, _state(codes[None], count[None], total[None]), config


def _state(codes: np.ndarray, count: np.ndarray, total: np.ndarray) -> VQState:
    books, size, width = codes.shape
    book = Codebook(*map(jnp.asarray, (codes, count, total)), jnp.zeros((books, size), jnp.int32), jnp.zeros(books, jnp.int32))
    moments = neutral(width)
    stacked = type(moments)(*(jnp.broadcast_to(a, (books, *a.shape)) for a in vars(moments).values()))
    return VQState(book, stacked)
