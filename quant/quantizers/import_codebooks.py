"""Codebooks of other libraries: read from .safetensors or .npz, and used here with the same
indices.
"""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from quant.codebooks.affine import Moments, neutral
from quant.codebooks.updates import Codebook
from quant.errors import QuantError, require
from quant.quantizers.vq import VQConfig, VQState


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
        raise QuantError(
            "reading .safetensors needs the package safetensors: pip install 'latentax[data]'"
        ) from None
    except Exception as error:
        raise QuantError(f"{path} cannot be read: {error}") from error


def from_vector_quantize_pytorch(
    arrays: dict[str, np.ndarray],
    prefix: str = "",
    heads: int = 1,
    changes: dict[str, Any] | None = None,
) -> tuple[dict, VQState, VQConfig]:
    """The state of a `VectorQuantize` module: parameters, state and a configuration that gives the
    same indices.

    Args:
      arrays: the `state_dict` (as NumPy arrays), or part of it.
      prefix: of the module's names, such as "quantizer.".
      heads: of the module, if its heads share a codebook (with separate codebooks their number
        shows in the arrays).
      changes: fields of the configuration that the arrays do not show.

    Returns:
      See `vq.init`. Affine parameters come along. The configuration has the sizes and the
      projection; set decay, wrapper and weights as the module had them (`presets.lucidrains` has
      its defaults), and metric="cosine" if it used cosine similarity.

    Raises:
      QuantError: no codebook under this prefix, or arrays that do not fit together.
    """
    own = under(arrays, prefix)
    found = ", ".join(sorted(arrays)[:8])
    require(
        "_codebook.embed" in own,
        f"there is no {prefix}_codebook.embed among the arrays ({found}): check the prefix",
    )
    codes = own["_codebook.embed"].astype(np.float32)
    require(
        codes.ndim == 3, f"{prefix}_codebook.embed has shape {codes.shape}, not [codebooks, K, D]"
    )
    count = own.get("_codebook.cluster_size", np.ones(codes.shape[:2])).astype(np.float32)
    total = own.get("_codebook.embed_avg", codes).astype(np.float32)
    require(
        count.shape == codes.shape[:2] and total.shape == codes.shape,
        f"{prefix}_codebook: cluster_size or embed_avg do not fit embed",
    )
    books = codes.shape[0]
    require(
        books == 1 or heads in (1, books),
        f"{prefix}_codebook holds {books} codebooks, which do not go with {heads} heads",
    )
    heads = max(heads, books)
    unknown = sorted(
        name for name in own if name.startswith("_codebook.") and name[10:] not in KNOWN
    )
    require(
        not unknown,
        f"{prefix}{unknown[0] if unknown else ''} is not taken over: indices would differ",
    )
    params, dim = projections(own, prefix), heads * codes.shape[2]
    if params:
        inner, dim = params["project_in"].shape[1], params["project_in"].shape[0]
        require(
            inner == heads * codes.shape[2],
            f"{prefix}project_in gives {inner} features, not {heads} x {codes.shape[2]}: give "
            "heads",
        )
    more = {"heads": heads, "share_heads": books == 1 and heads > 1, "code_dim": codes.shape[2]}
    state = state_of(codes, count, total)
    if "_codebook.codebook_mean" in own:
        more["affine"] = True
        state = state.replace(moments=_moments(own, prefix, state.moments))
    config = VQConfig(
        codes.shape[1], dim, **{"decay": 0.8, "commitment": 1.0} | more | (changes or {})
    )
    return params, state, config


KNOWN = (
    *("embed", "embed_avg", "cluster_size", "initted", "batch_mean", "batch_variance"),
    *("codebook_mean", "codebook_variance", "codebook_mean_needs_init"),
    "codebook_variance_needs_init",
)
"""Arrays of a codebook that are taken over, or say nothing."""


def under(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Arrays whose names begin with a prefix, without it; those of half precision as float32, so
    that what is computed of them is no less exact than in the library.
    """

    def widened(array):
        array = np.asarray(array)
        half = jnp.issubdtype(array.dtype, jnp.floating) and array.itemsize < 4
        return array.astype(np.float32) if half else array

    return {
        name.removeprefix(prefix): widened(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def needed(own: dict[str, np.ndarray], name: str, prefix: str) -> np.ndarray:
    """One of the arrays.

    Raises:
      QuantError: it is not among them.
    """
    require(
        name in own,
        f"there is no {prefix}{name} among the arrays: is it a quantizer of this library?",
    )
    return own[name]


def _moments(own: dict[str, np.ndarray], prefix: str, neutral_: Moments) -> Moments:
    """Moving moments of a codebook with affine parameters, `[books, D]` each."""
    names = ("batch_mean", "batch_variance", "codebook_mean", "codebook_variance")
    missing = [name for name in names if f"_codebook.{name}" not in own]
    require(
        not missing,
        f"{prefix}_codebook has affine parameters but no {missing[0] if missing else ''}: train it "
        "for a step first",
    )
    held = [jnp.asarray(own[f"_codebook.{name}"])[:, 0] for name in names]
    return Moments(*held, jnp.ones_like(neutral_.seen))


def projections(own: dict[str, np.ndarray], prefix: str) -> dict:
    """Weights and biases of the linear layers around the codebook, if there are any. In some
    versions the first one's name has a number.
    """
    renamed = {
        name.replace("project_in.0.", "project_in."): array
        for name, array in own.items()
        if name.startswith("project_")
    }
    known = {f"project_{side}.{part}" for side in ("in", "out") for part in ("weight", "bias")}
    strange = sorted(set(renamed) - known)
    require(
        not strange,
        f"{prefix}{strange[0] if strange else ''} is no linear projection: it cannot be taken over",
    )
    params = {}
    for side in ("in", "out"):
        if f"project_{side}.weight" in renamed:
            params[f"project_{side}"] = jnp.asarray(renamed[f"project_{side}.weight"].T)
        if f"project_{side}.bias" in renamed:
            params[f"project_{side}_bias"] = jnp.asarray(renamed[f"project_{side}.bias"])
    require(
        len({"project_in", "project_out"} & set(params)) != 1,
        f"{prefix}: there is a projection on one side only",
    )
    return params


def from_haiku_ema(
    arrays: dict[str, np.ndarray], decay: float = 0.99
) -> tuple[dict, VQState, VQConfig]:
    """The state of an `hk.nets.VectorQuantizerEMA`: "embeddings" `[D, K]`, and its averages
    "ema_cluster_size/hidden" and "ema_dw/hidden" if present.

    Raises:
      QuantError: no embeddings.
    """
    require(
        "embeddings" in arrays,
        f"there is no array embeddings among {', '.join(sorted(arrays)[:8])}",
    )
    codes = np.asarray(arrays["embeddings"], np.float32).T
    count = np.asarray(arrays.get("ema_cluster_size/hidden", np.ones(len(codes))), np.float32)
    total = np.asarray(arrays.get("ema_dw/hidden", (codes * count[:, None]).T), np.float32).T
    config = VQConfig(codes.shape[0], codes.shape[1], decay=decay)
    return {}, state_of(codes[None], count[None], total[None]), config


def state_of(codes: np.ndarray, count: np.ndarray, total: np.ndarray) -> VQState:
    """State of `vq` from codes `[books, K, D]`, counts `[books, K]` and sums."""
    books, size, width = codes.shape
    book = Codebook(
        *(jnp.asarray(a, jnp.float32) for a in (codes, count, total)),
        jnp.zeros((books, size), jnp.int32),
        jnp.zeros(books, jnp.int32),
    )
    moments = neutral(width)
    stacked = type(moments)(
        *(jnp.broadcast_to(a, (books, *a.shape)) for a in vars(moments).values())
    )
    return VQState(book, stacked)
