"""State of one optimizer."""

import flax.struct
import jax
import jax.numpy as jnp
import optax


@flax.struct.dataclass
class Learner:
    """Parameters with their optimizer state and the number of updates so far."""

    params: object
    opt_state: object
    updates: jax.Array
    """int32 scalar."""


def init_learner(params, optimizer: optax.GradientTransformation) -> Learner:
    """A learner before its first update."""
    return Learner(params, optimizer.init(params), jnp.int32(0))


def apply_gradients(
    learner: Learner, grads, optimizer: optax.GradientTransformation
) -> tuple[Learner, jax.Array]:
    """One optimizer step. Returns the new learner and the global gradient norm before clipping."""
    updates, opt_state = optimizer.update(grads, learner.opt_state, learner.params)
    params = optax.apply_updates(learner.params, updates)
    return Learner(params, opt_state, learner.updates + 1), optax.tree.norm(grads)


def ema(average, params, decay: float):
    """Exponential moving average of a tree: `decay * average + (1 - decay) * params`."""
    return jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, params)


def count_params(params) -> int:
    """Number of trained parameters; fixed Fourier frequencies do not count."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return sum(leaf.size for path, leaf in leaves if path[-1].key != "frequencies")
