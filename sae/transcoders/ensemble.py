"""A hundred transcoders in one program: members stacked on a leading axis M, one step mapped over
it, members spread over devices.

Members differ by their initial parameters, by the examples they see, and by whatever
`MemberHParams` hold: k, step size, L1, number of latents, modality. A member's numbers depend on
its own number and the seed alone, so it does not matter how many members or devices there are.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.train.parallel import members_parallel
from sae.transcoders import model, train_step
from sae.transcoders.losses import LossConfig
from sae.transcoders.model import Params, TranscoderConfig
from sae.transcoders.train_step import LearnConfig, Learner, MemberHParams, Scaling, Setting


@dataclass(frozen=True)
class EnsembleConfig:
    """Number, differences and data of the members. Grids are gone through round
    by round.
    """

    members: int = 100
    """Number M of transcoders."""
    updates: int = 3000
    """Updates of every member."""
    batch: int = 1024
    """Examples per update."""
    sampling: Literal["shared", "own", "bootstrap"] = "bootstrap"
    """shared: all members see the same batch, whose encoding is one large product. own: every
    member draws its own. bootstrap: and from a resampling of the examples, drawn once per member.
    """
    fraction: float = 1.0
    """With bootstrap: size of the resampling, as a share of all examples."""
    ks: tuple[float, ...] = ()
    """Grid of k; empty: all have the configuration's."""
    learning_rates: tuple[float, ...] = ()
    """Grid of step sizes; empty: all alike."""
    l1s: tuple[float, ...] = ()
    """Grid of L1 weights; empty: all alike."""
    widths: tuple[int, ...] = ()
    """Grid of numbers of latents, at most the configuration's; empty: all have that."""
    chunk: int = 100
    """Updates per call of the program; between calls there is progress, a line of metrics, and
    perhaps a checkpoint.
    """
    seed: int = 0
    """Seed of everything random."""


class Store(NamedTuple):
    """Training rows of the members, resident on the devices, in the size that scaling.py's
    functions give it.
    """

    x: jax.Array
    """`[N, D]`."""
    y: jax.Array
    """`[N, E]`."""


class Trace(NamedTuple):
    """Per update and member, `[steps, M]`."""

    loss: jax.Array
    fvu: jax.Array
    l0: jax.Array
    dead: jax.Array
    """Latents that count as dead."""


def check(config: EnsembleConfig, shape: TranscoderConfig) -> None:
    """Refuse what cannot be trained.

    Raises:
      UserError: naming the field.
    """
    model.check(shape)
    if min(config.members, config.updates, config.batch, config.chunk) < 1:
        raise UserError("members, updates, batch and chunk of an ensemble must each be at least 1")
    if not 0 < config.fraction <= 1:
        raise UserError(
            f"fraction is {config.fraction:g}: it is a share of the examples, more than 0 and at "
            "most 1"
        )
    if any(not 1 <= width <= shape.latents for width in config.widths):
        raise UserError(
            f"widths {config.widths} must lie between 1 and the number of latents, {shape.latents}"
        )
    if config.widths and (shape.prefixes or shape.activation == "groupmax"):
        raise UserError(
            "widths cannot vary where latents are grouped (prefixes, groupmax): leave widths empty"
        )
    for k in config.ks or (shape.k,):
        if not 0 < k <= (min(config.widths) if config.widths else shape.latents):
            raise UserError(
                f"k is {k:g}, larger than the number of latents of some member: choose smaller ks "
                "or larger widths"
            )
    if config.ks and (shape.activation == "groupmax" or shape.block_ks):
        raise UserError(
            "ks cannot vary with groupmax or block_ks, whose shapes depend on them: leave ks empty"
        )


def grid(
    config: EnsembleConfig, shape: TranscoderConfig, loss: LossConfig, how: LearnConfig, inputs=None
) -> MemberHParams:
    """MemberHParams of all members, `[M]` each: member m takes entry m (modulo its length) of every
    grid.

    Args:
      config: number of members, and grids of k, learning rate, L1 and width.
      shape: of every member, but for the grids.
      loss: of every member, likewise.
      how: for the learning rate where there is no grid of it.
      inputs: float `[G, D]`, a grid of masks over the features of x; None: every member sees all.
    """
    alike = train_step.hparams(shape, loss, how)

    def cycle(values, kind=jnp.float32):
        """None where all members are alike: what is known when compiling costs nothing later."""
        return jnp.asarray(np.resize(values, config.members), kind) if len(values) else None

    masks = None
    if inputs is not None:
        inputs = np.asarray(inputs, np.float32)
        masks = jnp.asarray(inputs[np.arange(config.members) % len(inputs)])
    rates = cycle(config.learning_rates or (float(alike.learning_rate),))
    return MemberHParams(
        cycle(config.ks), rates, cycle(config.l1s), cycle(config.widths, jnp.int32), masks
    )


def member_keys(config: EnsembleConfig) -> jax.Array:
    """One key per member, `[M]`; member m has the same one in every ensemble of this seed."""
    return jax.vmap(lambda m: jax.random.fold_in(jax.random.key(config.seed), m))(
        jnp.arange(config.members)
    )


def start(
    config: EnsembleConfig, shape: TranscoderConfig, how: LearnConfig, mean_y: jax.Array
) -> Learner:
    """All members before their first update; arrays have a leading axis M.

    Args:
      config: members and seed.
      shape: of every member.
      how: for the optimizer's state.
      mean_y: `[E]`, where the decoders' biases begin.
    """

    def make(key):
        return train_step.start(model.init(jax.random.fold_in(key, 0), shape, mean_y), how)

    return jax.vmap(make)(member_keys(config))


def rows_for(key: jax.Array, config: EnsembleConfig, update: jax.Array, examples: int) -> jax.Array:
    """Indices of the examples that a member sees at an update: int32 `[B]`, drawn with replacement.
    They depend on the key and the update alone.

    A resampling is never stored: entry j of it is itself drawn from a key made of j.

    Args:
      key: typed PRNG key of the member; with sampling "shared" it is replaced by one for all.
      config: `sampling`, `batch`, `fraction` and `seed` are read.
      update: int32 scalar, number of the update from 0.
      examples: N.
    """
    if config.sampling == "shared":
        key = jax.random.key(config.seed)
    resampled = config.sampling == "bootstrap"
    size = max(1, round(config.fraction * examples)) if resampled else examples
    drawn = jax.random.randint(
        jax.random.fold_in(jax.random.fold_in(key, 1), update), (config.batch,), 0, size
    )
    if not resampled:
        return drawn
    own = jax.random.fold_in(key, 2)
    return jax.vmap(lambda j: jax.random.randint(jax.random.fold_in(own, j), (), 0, examples))(
        drawn
    )


def program(
    config: EnsembleConfig, setting: Setting, mesh=None, form="jit", at_once=None
) -> Callable:
    """The compiled program `(learners, (hparams, keys), (store, first)) -> (learners, Trace)` of
    `config.chunk` updates.

    Args:
      config: sampling, batch and chunk of the members.
      setting: of every member.
      mesh: devices that share the members (see `jaxrl.train.parallel.data_mesh`); None: one device.
      form: "jit" or "pmap".
      at_once: True: one step vmapped over the members. False: members after one another within the
        program; not with form jit and several devices. None: that on CPUs, where a member's arrays
        then stay in the cache and no time goes into auxiliary losses that are 0.

    Learners are donated in the form jit. Members never talk to each other, so the program has no
    communication.
    """

    def together(learners: Learner, own, given):
        (hparams, keys), (store, first) = own, given

        def one(learners, number):
            if config.sampling == "shared":
                rows = rows_for(keys[0], config, number, store.x.shape[0])

                def step(learner, hparam):
                    return _step(learner, hparam, store.x[rows], store.y[rows], config, setting)

                return jax.vmap(step)(learners, hparams)
            rows = jax.vmap(lambda key: rows_for(key, config, number, store.x.shape[0]))(keys)

            def step(learner, hparam, r):
                return _step(learner, hparam, store.x[r], store.y[r], config, setting)

            return jax.vmap(step)(learners, hparams, rows)

        return jax.lax.scan(one, learners, first + jnp.arange(config.chunk))

    def in_turn(learners: Learner, own, given):
        store, first = given

        def alone(pair):
            learner, (hparam, key) = pair

            def one(learner, number):
                rows = rows_for(key, config, number, store.x.shape[0])
                return _step(learner, hparam, store.x[rows], store.y[rows], config, setting)

            return jax.lax.scan(one, learner, first + jnp.arange(config.chunk))

        learners, trace = jax.lax.map(alone, (learners, own))
        return learners, jax.tree.map(lambda a: a.swapaxes(0, 1), trace)

    spread = (
        form == "jit" and mesh is not None and mesh.size > 1
    )  # the compiler divides the members among devices
    if at_once is None:
        at_once = spread or jax.default_backend() != "cpu"
    return members_parallel(together if at_once else in_turn, mesh, form)


def _step(learner, hparam, x, y, config, setting):
    learner, found = train_step.update(learner, hparam, x, y, *setting, config.updates)
    dead = (learner.silent >= setting.learn.dead_after).sum()
    return learner, Trace(found.total, found.fvu, found.l0, dead)


def finish(
    learners: Learner, hparams: MemberHParams, shape: TranscoderConfig, scale: Scaling
) -> Params:
    """Parameters of all members for raw x and y, `[M, ...]`.

    Args:
      learners: members after training, arrays `[M, ...]`.
      hparams: of the members.
      shape: of every member.
      scale: scaling of x and y in training, which is folded into the parameters.
    """

    def done(learner, hparam):
        return train_step.fold_scaling(
            train_step.trained(learner, hparam, shape), scale, shape.rescale
        )

    return jax.jit(jax.vmap(done))(learners, hparams)


def store_of(x: np.ndarray, y: np.ndarray, shape: TranscoderConfig) -> tuple[Store, Scaling]:
    """Rows for training, brought to a common size, and how.

    Raises:
      UserError: widths that do not fit, or rows with NaN or infinity (they are named).
    """
    for name, rows, width in (("x", x, shape.d_in), ("y", y, shape.d_out)):
        if rows.ndim != 2 or rows.shape[1] != width:
            raise UserError(
                f"the rows of {name} have shape {rows.shape}, but the transcoder wants [N, "
                f"{width}]: use embeddings of that width"
            )
        bad = np.flatnonzero(~np.isfinite(rows).all(1))
        if len(bad):
            raise UserError(
                f"{len(bad)} rows of {name} hold NaN or infinity, the first at row {bad[0]}: "
                "remove them"
            )
    x, y = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    scale = train_step.scaling(x, y, shape.centered)
    return Store((x - scale.shift_x[None]) * scale.scale_x, y * scale.scale_y), scale


@functools.partial(jax.jit, static_argnums=2)
def encode_all(params: Params, x: jax.Array, shape: TranscoderConfig) -> jax.Array:
    """Latents of every member, `[D] -> [M, F]` or `[B, D] -> [M, B, F]`."""
    return jax.vmap(lambda member: model.encode(member, x, shape))(params)


def concatenated(params: Params) -> Params:
    """The ensemble's mean as one transcoder of M F latents (arXiv 2505.16077): codes side by side,
    decoders divided by M.

    For activations that treat one latent at a time (relu, jumprelu, and batchtopk with its
    threshold).
    """
    members, _, latents = params["W_enc"].shape
    flat = {
        "W_enc": jnp.concatenate(list(params["W_enc"]), 1),
        "b_enc": params["b_enc"].reshape(-1),
        "W_dec": jnp.concatenate(list(params["W_dec"]), 0) / members,
        "b_dec": params["b_dec"].mean(0),
    }
    if "threshold" in params:
        each = (
            params["threshold"]
            if params["threshold"].ndim == 2
            else jnp.repeat(params["threshold"], latents)
        )
        flat["threshold"] = each.reshape(-1)
    if "W_skip" in params:
        flat["W_skip"] = params["W_skip"].mean(0)
    return flat
