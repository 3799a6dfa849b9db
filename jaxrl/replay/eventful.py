"""Segments in which something happens, or is about to, drawn more often than chance would, and
weighted so that sums stay what they were.

Where a reward comes once in forty steps, a batch drawn by chance holds hardly any, and a classifier
of rewards stays for long at the base rate. UNREAL (Jaderberg et al., arXiv 1611.05397, section 3.2)
therefore shows rewarded moments as often as others, and pays with a biased rate. Here several
candidates are drawn by the usual law and one is chosen,

    i ~ w_i / sum_k w_k,    w_i = preference if candidate i is preferred, else 1

and counts (1/K sum_k w_k) / w_i times. This is sampling-importance-resampling: the expectation of a
weighted sum over chosen segments is exactly that of the plain sum over segments drawn by the usual
law. A batch divides its sum by its weights, which leaves some preference in small batches. Our
choice.

Preferred are segments that hold a reward or an end (`eventful`) or, for imagination, end shortly
before one (`event_ahead`). What is imagined from there is not weighted: it is imagined anew,
whatever followed in the replay.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrl.replay.buffer import Draw, Drawer, ReplayIndex


def preferring(
    drawer: Drawer, candidates: int, preference: float, preferred: Callable | None = None
) -> Drawer:
    """`drawer` with a choice among `candidates` segments (at least 1), preferred ones `preference`
    (at least 1) times as likely.

    Args:
      drawer: draws one segment by the usual law.
      candidates: segments drawn for each that is chosen.
      preference: factor of the chance of a preferred segment.
      preferred: `(index, draw) -> bool`, for draws with any leading axes; None: `eventful`.

    Returns:
      A drawer whose draws have a `weight`, between 1 / preference and preference.
    """
    preferred = preferred or eventful

    def draw(index: ReplayIndex, key: jax.Array, size: int, age_weights: tuple[float, ...]) -> Draw:
        key_draw, key_choice = jax.random.split(key)
        found = jax.vmap(lambda key: drawer(index, key, size, age_weights))(
            jax.random.split(key_draw, candidates)
        )
        chance = jnp.where(preferred(index, found), preference, 1.0)
        chosen = jax.random.categorical(key_choice, jnp.log(chance))
        weight = jnp.broadcast_to(chance.mean() / chance[chosen], (size,))
        return Draw(*(values[chosen] for values in found[:3]), weight)

    return draw


def eventful(index: ReplayIndex, draw: Draw) -> jax.Array:
    """bool `[...]`: a real step of the segment `[..., T]` brings a reward other than 0, or an end.

    The last row does not count if there are others: its frame is only what the step before leads
      to.
    """
    steps = slice(0, max(1, draw.row.shape[-1] - 1))
    row, real = draw.row[..., steps], draw.step_mask[..., steps]
    return (real & ((index.reward[row] != 0) | index.end[row])).any(-1)


def event_ahead(steps: int) -> Callable[[ReplayIndex, Draw], jax.Array]:
    """Prefer segments from whose last row an event of the same episode is at most `steps` steps
    away: a reward other than 0, or an end; the last row's own step is the first.

    Imagination from there meets what the policy must decide about. Our choice.

    Args:
      steps: steps that are looked at, at least 1.
    """

    def ahead(index: ReplayIndex, draw: Draw) -> jax.Array:
        lane, place = jnp.divmod(draw.row[..., -1], index.rows_per_lane)
        # rows from the lane's newest one on hold no steps yet, or old ones
        left = (index.head[lane] - place) % index.rows_per_lane

        def of(step):
            row = lane * index.rows_per_lane + (place + step) % index.rows_per_lane
            taken, end = step < left, index.end[row]
            event = taken & ((index.reward[row] != 0) | end)
            return event, taken & (end | index.trunc[row])

        event, over = jax.vmap(of, out_axes=-1)(jnp.arange(steps))
        before_over = jnp.cumsum(over, axis=-1) - over == 0
        return (event & before_over).any(-1)

    return ahead
