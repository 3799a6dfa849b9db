"""Every gradient transformation of optax and optax.contrib with arguments that it runs with, for
the tests of pruning inside and outside of them.
"""

import inspect

import jax
import jax.numpy as jnp
import optax
import optax.contrib as contrib

LR = 1e-2
PARAMS = {
    "a": {"kernel": jax.random.normal(jax.random.key(0), (6, 6)), "bias": jnp.zeros(6)},
    "b": {"kernel": jax.random.normal(jax.random.key(1), (6, 4)), "bias": jnp.zeros(4)},
}
KERNELS = jax.tree.map(lambda leaf: leaf.ndim == 2, PARAMS)
BIASES = jax.tree.map(lambda leaf: leaf.ndim == 1, PARAMS)
LABELS = jax.tree.map(lambda leaf: "t" if leaf.ndim == 2 else "f", PARAMS)

ARGUMENTS = {
    "adafactor": {"learning_rate": LR, "min_dim_size_to_factor": 4},
    "adaptive_grad_clip": {"clipping": 0.5},
    "add_decayed_weights": {"weight_decay": 1e-3},
    "add_noise": {"eta": 0.01, "gamma": 0.5, "key": 0},
    "apply_every": {"k": 2},
    "clip": {"max_delta": 1.0},
    "clip_by_block_rms": {"threshold": 1.0},
    "clip_by_global_norm": {"max_norm": 1.0},
    "differentially_private_aggregate": {"l2_norm_clip": 1.0, "noise_multiplier": 0.1, "key": 0},
    "dpsgd": {"learning_rate": LR, "l2_norm_clip": 1.0, "noise_multiplier": 0.1, "seed": 0},
    "ema": {"decay": 0.9},
    "freeze": {"mask": BIASES},
    "galore": {"learning_rate": LR, "rank": 2},
    "monitor": {
        "measures": {
            "norm": optax.tree.norm,
            "smooth": optax.measure_with_ema(optax.tree.norm, 0.9),
        }
    },
    "noisy_sgd": {"learning_rate": LR, "key": 0},
    "scale": {"step_size": -LR},
    "scale_by_backtracking_linesearch": {"max_backtracking_steps": 3},
    "scale_by_factored_rms": {"min_dim_size_to_factor": 4},
    "scale_by_galore": {"rank": 2},
    "scale_by_muon": {
        "weight_dimension_numbers": lambda updates: jax.tree.map(
            lambda _: contrib.MuonDimensionNumbers(), updates
        )
    },
    "scale_by_schedule": {"step_size_fn": lambda count: -LR / (1 + count)},
    "scale_by_zoom_linesearch": {"max_linesearch_steps": 3},
    "snapshot": {"measure_name": "norm", "measure": optax.tree.norm},
    "stateless": {"f": lambda updates, params: jax.tree.map(lambda u: -LR * u, updates)},
    "stateless_with_tree_map": {"f": lambda update, param: -LR * update},
    "trace": {"decay": 0.9},
}
"""Of transformations that need others than a learning rate, or smaller ones to matter here."""
EXTRA = {"dog": {}, "dowg": {}, "scale_by_factored_rms": {}, "monitor": {}}
"""Transformations whose signature does not say that they are."""


def _always(step, **_):
    return step >= 0


WRAPPERS = {
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, 3),
    "chain": lambda tx: optax.chain(optax.clip_by_global_norm(1.0), tx),
    "conditionally_mask": lambda tx: optax.conditionally_mask(tx, _always),
    "conditionally_transform": lambda tx: optax.conditionally_transform(tx, _always),
    "flatten": optax.flatten,
    "inject_hyperparams": lambda tx: _injected(optax.inject_hyperparams, tx),
    "inject_stateful_hyperparams": lambda tx: _injected(optax.inject_stateful_hyperparams, tx),
    "lookahead": lambda tx: optax.lookahead(tx, 2, 0.5),
    "masked": lambda tx: optax.masked(tx, KERNELS),
    "mechanize": contrib.mechanize,
    "multi_transform": lambda tx: optax.multi_transform(
        {"t": tx, "f": optax.set_to_zero()}, LABELS
    ),
    "named_chain": lambda tx: optax.named_chain(("clip", optax.clip(1.0)), ("rest", tx)),
    "partition": lambda tx: optax.partition({"t": tx, "f": optax.sgd(LR)}, LABELS),
    "sam": lambda tx: contrib.sam(tx, optax.chain(contrib.normalize(), optax.sgd(0.05))),
    "schedule_free": lambda tx: contrib.schedule_free(tx, LR),
    "selective_transform": lambda tx: optax.selective_transform(tx, freeze_mask=BIASES),
    "split_real_and_imaginary": contrib.split_real_and_imaginary,
    "with_extra_args_support": optax.with_extra_args_support,
    "MultiSteps": lambda tx: optax.MultiSteps(tx, 2).gradient_transformation(),
}
"""Transformations around another one."""
ELSEWHERE = {"measure_with_ema"}
"""No transformation of updates: it stands inside `monitor`."""
UNSTEADY = {"monitor"}
"""Transformations whose state has other shapes after an update, with and without pruning."""
PER_EXAMPLE = ("differentially_private_aggregate", "dpsgd")
"""Those that take gradients with a leading axis of examples."""


def _injected(inject, tx):
    return inject(lambda factor: optax.chain(optax.scale(factor), tx))(factor=1.0)


def names() -> list[str]:
    """All gradient transformations that optax has, by their signatures."""
    found = set(EXTRA)
    for module in (optax, contrib):
        for name, make in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(make):
                continue
            returned = inspect.signature(make).return_annotation
            if "GradientTransformation" in str(returned) and "Callable" not in str(returned):
                found.add(name)
    return sorted(found - WRAPPERS.keys() - ELSEWHERE)


def make(name: str) -> optax.GradientTransformation:
    """The transformation of that name, followed by a scale if it has no learning rate."""
    factory = getattr(optax, name, None) or getattr(contrib, name)
    given, known = dict(ARGUMENTS.get(name, {})), inspect.signature(factory).parameters
    if "learning_rate" in known and known["learning_rate"].default is inspect.Parameter.empty:
        given.setdefault("learning_rate", LR)
    made = factory(**given)
    if name == "scale_by_muon":  # of matrices alone
        made = optax.masked(made, KERNELS)
    return made if "learning_rate" in known else optax.chain(made, optax.scale(-LR))


def arguments(name: str, params, grads) -> dict:
    """What a transformation may read besides gradients: the loss, its value and its gradient."""

    def loss(p):
        return sum(((leaf + 0.1) ** 2).sum() for leaf in jax.tree.leaves(p)) / 2

    if name == "sam":  # takes none, though its signature says so
        return {}
    if name == "sophia":
        return {"obj_fn": loss}
    return {"value": loss(params), "grad": grads, "value_fn": loss}
