"""The LSTM against a float64 loop; resets against separate runs; what gradients may cross."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.nn.recurrent import LSTM, LSTMState

T, F, D, BATCH = 6, 3, 4, 2
MODEL = LSTM(D)
apply = jax.jit(MODEL.apply)


def setup(seed=0):
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.normal(size=(BATCH, T, F)), jnp.float32)
    state = LSTMState(*(jnp.asarray(rng.normal(size=(BATCH, D)), jnp.float32) for _ in range(2)))
    shapes = jax.eval_shape(MODEL.init, jax.random.key(0), state, x)
    return (
        jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), shapes),
        state,
        x,
    )


def slow_lstm(params, hidden, cell, xs):
    """PyTorch's equations, step by step, for one example."""
    p = {name: np.asarray(leaf, np.float64) for name, leaf in params["params"].items()}

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    hiddens, cells = [], []
    for x in np.asarray(xs, np.float64):
        i, f, g, o = np.split(
            x @ p["kernel_ih"] + p["bias_ih"] + hidden @ p["kernel_hh"] + p["bias_hh"], 4
        )
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        hiddens.append(hidden)
        cells.append(cell)
    return np.array(hiddens), np.array(cells)


def test_equals_a_slow_loop():
    params, state, x = setup()
    last, states = apply(params, state, x)
    for b in range(BATCH):
        hidden, cell = slow_lstm(
            params, np.asarray(state.hidden[b]), np.asarray(state.cell[b]), x[b]
        )
        np.testing.assert_allclose(states.hidden[b], hidden, atol=1e-5)
        np.testing.assert_allclose(states.cell[b], cell, atol=1e-5)
    np.testing.assert_array_equal(last.hidden, states.hidden[:, -1])
    np.testing.assert_array_equal(last.cell, states.cell[:, -1])


RESET = np.array([[0, 0, 1, 0, 0, 1], [1, 0, 0, 0, 1, 1]], bool)


def test_a_reset_begins_anew_before_its_step():
    params, state, x = setup(1)
    _, states = apply(params, state, x, RESET)
    for b in range(BATCH):
        starts = sorted({0, *np.flatnonzero(RESET[b])})
        for start, stop in zip(starts, [*starts[1:], T], strict=True):
            begin = (
                LSTMState(np.zeros(D), np.zeros(D))
                if RESET[b, start]
                else jax.tree.map(lambda a, b=b: np.asarray(a[b]), state)
            )
            hidden, cell = slow_lstm(params, *begin, x[b, start:stop])
            np.testing.assert_allclose(states.hidden[b, start:stop], hidden, atol=1e-5)
            np.testing.assert_allclose(states.cell[b, start:stop], cell, atol=1e-5)


def restarts(seed=5):
    rng = np.random.default_rng(seed)
    return LSTMState(*(jnp.asarray(rng.normal(size=(BATCH, T, D)), jnp.float32) for _ in range(2)))


def test_a_restart_begins_from_the_given_state():
    params, state, x = setup(2)
    restart = restarts()
    _, states = apply(params, state, x, RESET, restart)
    hidden, _ = slow_lstm(
        params, np.asarray(restart.hidden[0, 2]), np.asarray(restart.cell[0, 2]), x[0, 2:5]
    )
    np.testing.assert_allclose(states.hidden[0, 2:5], hidden, atol=1e-5)


def test_without_a_reset_restarts_do_not_matter():
    params, state, x = setup(3)
    plain = apply(params, state, x)
    jax.tree.map(
        np.testing.assert_array_equal,
        apply(params, state, x, np.zeros_like(RESET), restarts()),
        plain,
    )


def test_no_gradient_crosses_a_reset():
    params, state, x = setup(4)
    reset = np.zeros((BATCH, T), bool)
    reset[0, 3] = True

    def after(state, x):
        return MODEL.apply(params, state, x, reset)[0].hidden.sum()

    by_state, by_x = jax.jit(jax.grad(after, argnums=(0, 1)))(state, x)
    for gradient in (by_state.hidden[0], by_state.cell[0], by_x[0, :3]):
        np.testing.assert_array_equal(gradient, 0)
    for gradient in (by_state.hidden[1], by_x[0, 3:], by_x[1]):
        assert (np.abs(gradient).max(-1) > 0).all()


def test_steps_one_by_one_equal_a_run():
    params, state, x = setup(6)
    _, run = apply(params, state, x)
    for t in range(T):
        state, _ = apply(params, state, x[:, t : t + 1])
        np.testing.assert_allclose(state.hidden, run.hidden[:, t], atol=1e-6)


def test_any_leading_axes():
    params, state, x = setup(7)
    one = apply(params, jax.tree.map(lambda a: a[1], state), x[1], RESET[1])
    both = apply(params, state, x, RESET)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[1], atol=1e-6), one, both)


def test_initial_weights():
    """Xavier input weights, orthogonal recurrent ones, and a forget gate that starts open, on the
    input bias alone.
    """
    _, state, x = setup()
    p = MODEL.init(jax.random.key(1), state, x)["params"]
    np.testing.assert_array_equal(p["bias_ih"], [0] * D + [1] * D + [0] * 2 * D)
    np.testing.assert_array_equal(p["bias_hh"], 0)
    np.testing.assert_allclose(p["kernel_hh"] @ p["kernel_hh"].T, np.eye(D), atol=1e-5)
    bound = np.sqrt(6 / (F + 4 * D))
    assert 0.8 * bound < np.abs(p["kernel_ih"]).max() <= bound


def test_the_state_is_float32_whatever_the_arithmetic():
    _, state, x = setup()
    last, states = jax.eval_shape(
        lambda: LSTM(D, jnp.bfloat16).init_with_output(jax.random.key(0), state, x)[0]
    )
    assert {leaf.dtype for leaf in jax.tree.leaves((last, states))} == {jnp.dtype("float32")}
    assert jax.tree.map(lambda a: a.shape, LSTMState.zeros((2, 3), D)) == LSTMState(
        (2, 3, D), (2, 3, D)
    )
