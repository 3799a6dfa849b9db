"""Vector quantization: the nearest of K learned codes takes the place of every row (van den Oord et
al. 2017).

Options are those of the literature: moving-average or gradient codebook, Euclidean, cosine or
inner-product search, a low-dimensional
search space, several heads, gradient wrappers, restart of dead codes, affine reparametrization,
regularizers.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.train.parallel import masked_mean
from quant.codebooks import affine
from quant.codebooks.affine import Moments
from quant.codebooks.extremes import bounded
from quant.codebooks.init import Init, initial_codes, random_projections
from quant.codebooks.nearest import Metric, Way, nearest, nearest_k, unit
from quant.codebooks.regularizers import diversity, orthogonality, similarity
from quant.codebooks.rows import by_book, flatten, from_books, lookup, to_books
from quant.codebooks.straight_through import Wrapper, synchronous, wrap_rows
from quant.codebooks.updates import (
    Codebook,
    Restart,
    age,
    check_sizes,
    count_rows,
    make_codebook,
    move,
    restart,
    sum_rows,
    usage_metrics,
)
from quant.errors import require, require_one_of, require_whole
from quant.estimators.sample import below_largest
from quant.quantizers.inputs import as_array, check_input, check_sample
from quant.quantizers.interface import Batch, Found, Options, call, decoding, encode_by
from quant.types import Params, Quantized

Update = Literal["ema", "gradient"]


@dataclass(frozen=True)
class VQConfig:
    """A vector quantizer. Static under jit."""

    num_codes: int
    """Number K of codes, of every head."""
    dim: int
    """Features D of the input and the output."""
    metric: Metric = "l2"
    """Measure by which the nearest code is found. With "cosine" embeddings and codes have
    length one, also on the way out.
    """
    unnormalized: bool = False
    """With metric "cosine": embeddings and codes keep their length; only the search does not see it
    (descript-audio-codec).
    """
    update: Update = "ema"
    """Way in which codes learn: as moving averages of their rows, or as parameters of the caller's
    optimizer.
    """
    decay: float = 0.99
    """Share of the past that the moving averages keep."""
    smoothing: float = 1e-5
    """Laplace smoothing of their counts."""
    commitment: float = 0.25
    """Weight of the mean squared distance that pulls embeddings to codes. (VQ-VAE's beta.)"""
    codebook_weight: float = 1.0
    """Weight of the one that pulls codes to embeddings; with update "gradient" only."""
    wrapper: Wrapper = "straight_through"
    """Gradient wrapper: the way gradients pass the choice."""
    nu: float = 0.0
    """Share of the incoming gradient that also reaches the codes (synchronized update); with update
    "gradient" only.
    """
    code_dim: int | None = None
    """Features of a code. If not D / heads, the input is projected to heads * code_dim features,
    and back.
    """
    heads: int = 1
    """Parts that the features are cut into, each with a code of its own."""
    share_heads: bool = False
    """One codebook for all heads."""
    init: Init = "normal"
    """Initial codes; "data", "kmeans" and "kmeans++" need a sample."""
    restart: Restart | None = None
    """Dead codes become rows of the batch; needs a key in training, and update "ema"."""
    affine: bool = False
    """Codes follow mean and variance of the embeddings."""
    diversity: float = 0.0
    """Weight of minus the entropy of the mean soft assignment. Builds all N x K scores."""
    temperature: float = 1.0
    """Temperature of that soft assignment, in units of the distance."""
    orthogonal: float = 0.0
    """Weight of the mean squared cosine between different codes; with update "gradient" only."""
    orthogonal_active: bool = False
    """Count in `orthogonal` only the codes that this batch chose."""
    cross_entropy: bool = False
    """Commitment by the cross-entropy of the soft assignment (see `temperature`) with the choice,
    instead of the squared distance. Builds all N x K scores.
    """
    sampling: float = 0.0
    """Temperature of drawing codes in training, by softmax of minus the distance over it; 0 takes
    the nearest. Needs a key; builds all N x K scores.
    """
    freeze: bool = False
    """Codes never learn: neither averages nor restarts nor gradients move them."""
    way: Way = "auto"
    """Way of the search, see `nearest`."""

    def __post_init__(self):
        check_sizes(self.num_codes, self.dim)
        for name, choices in {
            "metric": Metric,
            "update": Update,
            "wrapper": Wrapper,
            "init": Init,
            "way": Way,
        }.items():
            require_one_of(name, getattr(self, name), choices)
        for name in ("heads", "code_dim"):
            if getattr(self, name) is not None:
                require_whole(name, getattr(self, name))
        require(
            self.code_dim is None or self.code_dim >= 1,
            f"code_dim is {self.code_dim}: at least one, or None",
        )
        require(
            self.restart is None or isinstance(self.restart, Restart),
            f"restart is {self.restart!r}: give Restart(), or None",
        )
        require(self.smoothing >= 0, f"smoothing is {self.smoothing}: it must not be negative")
        require(self.temperature > 0, f"temperature is {self.temperature}: it must be above 0")
        require(self.heads >= 1, f"heads is {self.heads}: at least one")
        require(
            self.code_dim is not None or self.dim % self.heads == 0,
            f"{self.dim} features cannot be cut into {self.heads} heads: choose code_dim, or a "
            "divisor",
        )
        require(0 <= self.decay <= 1, f"decay is {self.decay}: it is a share, from 0 to 1")
        require(self.sampling >= 0, f"sampling is {self.sampling}: a temperature, or 0 for none")
        require(
            self.update == "gradient" or not (self.nu or self.orthogonal),
            "nu and orthogonal need update='gradient': a moving average gets no gradient",
        )
        require(
            self.update == "ema" or self.restart is None,
            "restart needs update='ema': with update='gradient' the codes belong to your optimizer",
        )

    @property
    def width(self) -> int:
        """Features of a code."""
        return self.code_dim or self.dim // self.heads

    @property
    def projected(self) -> bool:
        """True if there are projections."""
        return self.width * self.heads != self.dim

    @property
    def unit_length(self) -> bool:
        """True if embeddings and codes have length one."""
        return self.metric == "cosine" and not self.unnormalized

    @property
    def index_axes(self) -> int:
        """Axes of a row's indices."""
        return int(self.heads > 1)

    @property
    def books(self) -> int:
        """Codebooks."""
        return 1 if self.share_heads else self.heads


@struct.dataclass
class VQState:
    """State that training changes without the optimizer; leading axis `[books]`."""

    book: Codebook
    moments: Moments


def init(
    key: jax.Array, config: VQConfig, sample: jax.Array | None = None
) -> tuple[dict[str, Any], VQState]:
    """Parameters (for the optimizer) and state.

    Args:
      key: PRNG key.
      config: sizes and options.
      sample: `[..., D]`, for inits that need data.

    Returns:
      params: "project_in" `[D, heads * code_dim]` and "project_out" if there are projections;
        "codes" `[books, K, code_dim]` with update "gradient".
      state: the codebooks of update "ema", and moving moments.

    Raises:
      QuantError: an init that needs a sample has none, or one of another width.
    """
    sample = check_sample(sample, config.dim)
    key_in, key_out, key_codes = jax.random.split(key, 3)
    params = {}
    if config.projected:
        inner = config.width * config.heads
        params |= random_projections(key_in, key_out, config.dim, inner)
    parts = [None] * config.books
    if sample is not None:
        rows = _project(params, "project_in", flatten(sample.astype(jnp.float32), None)[0])
        parts = list(to_books(rows, config.heads, config.books))

    def make(key, part):
        return initial_codes(
            key, config.init, config.num_codes, config.width, part, metric=config.metric
        )

    codes = jnp.stack(
        [
            make(k, part)
            for k, part in zip(jax.random.split(key_codes, config.books), parts, strict=True)
        ]
    )
    codes = unit(codes) if config.unit_length else codes
    if config.update == "gradient":
        params["codes"] = codes
    moments = jax.tree.map(
        lambda a: jnp.broadcast_to(a, (config.books, *a.shape)), affine.neutral(config.width)
    )
    return params, VQState(jax.vmap(make_codebook)(codes), moments)


def quantize(
    params: Params, state: VQState, x: jax.Array, config: VQConfig, **options: Unpack[Options]
) -> tuple[Quantized, VQState]:
    """Replace every row by its nearest code, and let the codes learn.

    The codes that are returned are those from before this step's moving average.

    Args:
      params: from `init`; gradients reach projections and, with update "gradient", codes.
      state: from `init` or the last step.
      x: float `[..., D]`, any dtype; the search is in float32.
      config: the same as at `init`.
      **options: see `Options`. Restart and DiVeQ draw from the key, in training. Without train, the
        output is exactly the code.

    Returns:
      A `Quantized` with losses "commitment", "codebook", "diversity", "orthogonal" (those that have
      a weight), and metrics "perplexity", "usage", "distance" (mean squared), "restarted"; and the
      state.

    Raises:
      QuantError: another number of features; restart without a key.
    """
    return call(_nearest, params, state, x, config, options)


class _Heads(NamedTuple):
    """Rows as the codebooks see them, `[books, M, ...]`."""

    z: jax.Array
    index: jax.Array
    distance: jax.Array
    kept: jax.Array
    """bool `[books, M]`."""


def _nearest(
    params: dict[str, Any], state: VQState, batch: Batch, config: VQConfig
) -> tuple[Found, VQState]:
    key_wrap, key_restart = (None, None) if batch.key is None else jax.random.split(batch.key)
    draws = (config.restart is not None and not config.freeze) or config.sampling > 0
    require(
        not (batch.train and draws) or batch.key is not None,
        "restart draws rows and sampling draws codes: give quantize a key",
    )
    axis_name = batch.axis_name
    z = to_books(_project(params, "project_in", batch.z), config.heads, config.books)
    z = unit(z) if config.unit_length else bounded(z)
    kept = to_books(jnp.repeat(batch.usable[:, None], config.heads, 1), config.heads, config.books)[
        ..., 0
    ]
    learning = batch.train and not config.freeze
    if learning and config.affine:
        state = _follow(params, state, z, kept, config, axis_name)
    codes = effective_codes(params, state, config)
    index, distance = jax.vmap(lambda a, b: nearest(a, b, config.metric, config.way))(z, codes)
    if batch.train and config.sampling:
        index, distance = _drawn(batch, z, codes, config)
    q = jax.vmap(lambda c, i: c[i])(codes, index)

    found = _Heads(z, index, distance, kept)
    losses = _losses(found, q, codes, config, axis_name)
    counts = jax.vmap(lambda i, w: count_rows(i, config.num_codes, w, axis_name))(index, kept)
    metrics = jax.tree.map(jnp.mean, jax.vmap(usage_metrics)(counts)) | {
        "distance": masked_mean(distance, kept, None, axis_name)
    }
    value = q
    if batch.train:
        # In the order of the rows, not of the books: noise then is the same on any number of
        # devices, and rows stay where they are.
        parts = (from_books(a, config.heads).reshape(-1, config.width) for a in (z, q))
        value = wrap_rows(config.wrapper, *parts, key_wrap, axis_name)
        value = to_books(value.reshape(-1, config.heads * config.width), config.heads, config.books)
        value = synchronous(value, q, config.nu) if config.nu else value
    if learning:
        state, metrics["restarted"] = _learn(state, found, counts, config, key_restart, axis_name)
    out = _project(params, "project_out", from_books(value, config.heads))
    index = from_books(index[..., None], config.heads)
    return Found(out, index if config.heads > 1 else index[:, 0], losses, metrics), state


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: indices only: int32 `[...]`, or `[..., heads]` if there are
several.
"""


@decoding
def decode(
    params: dict[str, Any], state: VQState, indices: jax.Array, config: VQConfig
) -> jax.Array:
    """Return what `quantize` (in evaluation) gives for these indices, bit for bit.

    float32 `[..., D]`.

    Indices outside 0..K-1 give NaN: they are a mistake that must not look like a code.

    Args:
      params: from `init`: projections, and the codes with update "gradient".
      state: from `init` or the last step.
      indices: int32 `[...]`, or `[..., heads]` if there are several.
      config: the same as at `init`.

    Raises:
      QuantError: the last axis of the indices is not that of the heads, if there are several.
    """
    require(
        config.heads == 1 or indices.shape[-1:] == (config.heads,),
        f"indices have shape {indices.shape}: their last axis must have the quantizer's "
        f"{config.heads} heads",
    )
    leading = indices.shape if config.heads == 1 else indices.shape[:-1]
    rows = indices.reshape(-1, config.heads)
    codes = effective_codes(params, state, config)

    q = jax.vmap(lookup)(codes, to_books(rows, config.heads, config.books)[..., 0])
    return _project(params, "project_out", from_books(q, config.heads)).reshape(
        *leading, config.dim
    )


def effective_codes(params: dict[str, Any], state: VQState, config: VQConfig) -> jax.Array:
    """The codes that embeddings are compared with, float32 `[books, K, code_dim]`."""
    codes = params["codes"] if config.update == "gradient" else state.book.codes
    if config.update == "ema" or config.freeze:
        codes = jax.lax.stop_gradient(codes)
    codes = (
        jax.vmap(affine.to_embeddings)(jax.lax.stop_gradient(state.moments), codes)
        if config.affine
        else codes
    )
    return unit(codes) if config.unit_length else codes


def encode_top_k(
    params: dict[str, Any], state: VQState, x: jax.Array, config: VQConfig, k: int
) -> jax.Array:
    """The k nearest codes, nearest first: int32 `[..., k]`, or `[..., heads, k]`.

    Args:
      params: from `init`: projections, and the codes with update "gradient".
      state: from `init` or the last step.
      x: float `[..., D]`.
      config: the same as at `init`.
      k: codes per row (and head), 1..K.

    Raises:
      QuantError: another number of features; k is not in 1..K.
    """
    x = as_array(x)
    check_input(x, config.dim)
    rows = bounded(x.reshape(-1, config.dim))
    z = to_books(_project(params, "project_in", rows), config.heads, config.books)
    codes = effective_codes(params, state, config)
    index = jax.vmap(lambda a, c: nearest_k(a, c, k, config.metric))(z, codes)
    index = from_books(index, config.heads).reshape(*x.shape[:-1], config.heads, k)
    return index if config.heads > 1 else index[..., 0, :]


def _drawn(batch: Batch, z, codes, config: VQConfig) -> tuple[jax.Array, jax.Array]:
    """Index of a drawn code and its distance, `[books, M]`; row by row, so that they do not depend
    on the number of devices.
    """
    shape = (config.heads * config.num_codes,)
    keys = batch.replace(key=jax.random.fold_in(batch.key, 1)).row_keys()
    noise = jax.vmap(lambda k: jax.random.gumbel(k, shape, jnp.float32))(keys)
    noise = to_books(noise, config.heads, config.books)
    scores = jax.lax.stop_gradient(jax.vmap(lambda a, c: similarity(a, c, config.metric))(z, codes))
    index = (scores / config.sampling + noise).argmax(-1).astype(jnp.int32)
    chosen = jnp.take_along_axis(scores, index[..., None], -1)[..., 0]
    return index, chosen**2 if config.metric == "l2" else (config.metric == "cosine") - chosen


def _losses(rows: _Heads, q, codes, config: VQConfig, axis_name) -> dict[str, jax.Array]:
    """Every loss that has a weight, times its weight."""
    stop, (z, index, _, kept) = jax.lax.stop_gradient, rows

    def over(a):
        return masked_mean(a, jnp.broadcast_to(kept[..., None], a.shape), None, axis_name)

    def far(a, b):
        return over((a - b) ** 2)

    losses = {"commitment": far(z, stop(q)) * config.commitment}
    if config.cross_entropy:
        scores = jax.vmap(lambda a, c: similarity(a, stop(c), config.metric))(z, codes)
        log_p = jax.nn.log_softmax(below_largest(scores) / config.temperature, -1)
        chosen = jnp.take_along_axis(log_p, index[..., None], -1)[..., 0]
        losses["commitment"] = -config.commitment * masked_mean(chosen, kept, None, axis_name)
    if config.update == "gradient":
        losses["codebook"] = config.codebook_weight * far(stop(z), q)
    if config.diversity:
        each = jax.vmap(
            lambda a, c, w: diversity(a, c, w, config.metric, config.temperature, axis_name)
        )
        losses["diversity"] = config.diversity * each(z, codes, kept).mean()
    if config.orthogonal:
        active = jnp.ones(codes.shape[:2], bool)
        if config.orthogonal_active:
            count = jax.vmap(lambda i, w: count_rows(i, config.num_codes, w, axis_name))
            active = count(index, kept) > 0
        losses["orthogonal"] = config.orthogonal * jax.vmap(orthogonality)(codes, active).mean()
    return losses


def _follow(params, state: VQState, z, kept, config: VQConfig, axis_name) -> VQState:
    """The state with the moments of this batch taken in."""
    codes = params["codes"] if config.update == "gradient" else state.book.codes
    z, codes = jax.lax.stop_gradient((z.astype(jnp.float32), codes))

    def step(m, a, w, c):
        return affine.follow(m, a, w, c, axis_name=axis_name)

    return state.replace(moments=jax.vmap(step)(state.moments, z, kept, codes))


def _learn(
    state: VQState, rows: _Heads, counts, config: VQConfig, key, axis_name
) -> tuple[VQState, jax.Array]:
    """Moving averages, ages, restarts. With update "gradient" only the ages: its codes belong to
    the optimizer.
    """
    z, index, distance, kept = jax.lax.stop_gradient(rows)
    z, book = z.astype(jnp.float32), jax.vmap(age)(state.book, counts)
    z = jax.vmap(affine.to_codes)(state.moments, z) if config.affine else z
    if config.update == "ema":

        def summed(rows, index, kept):
            return sum_rows(rows, index, config.num_codes, kept, axis_name)

        sums = by_book(summed, z, index, kept)
        book = jax.vmap(lambda b, n, s: move(b, n, s, config.decay, config.smoothing))(
            book, counts, sums
        )
        book = book.replace(codes=unit(book.codes)) if config.unit_length else book
    restarted = jnp.float32(0)
    if config.restart is not None:
        keys = jax.random.split(key, config.books)

        def renew(book, rows, chance, key):
            return restart(book, config.restart, rows, chance, key, axis_name)

        chance = config.restart.chance(kept, distance, config.metric)
        book, numbers = by_book(renew, book, z, chance, keys)
        restarted = numbers.sum()
    return state.replace(book=book), restarted


def _project(params: dict[str, Any], name: str, rows: jax.Array) -> jax.Array:
    """Rows through a projection and its bias, if there are any; in full float32, so that codes do
    not depend on the device.
    """
    if name in params:
        rows = jnp.matmul(rows, params[name], precision="highest")
    return rows + params[f"{name}_bias"][None] if f"{name}_bias" in params else rows
