"""Vector quantization against the golden files, hand numbers, and what its docstrings promise."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.codebooks.updates import Codebook, Restart
from quant.errors import QuantError
from quant.quantizers import vq
from quant.quantizers.vq import VQConfig
from tests.golden import Golden, relative_error

CONFIG = VQConfig(num_codes=6, dim=4)


def book_of(golden, case):
    """A codebook as the golden file has it, with the axis of the heads."""
    codes, total, count = (
        jnp.asarray(golden[f"in/{case}/{name}"])[None]
        for name in ("embed", "embed_avg", "cluster_size")
    )
    return Codebook(codes, count, total, jnp.zeros(count.shape, jnp.int32), jnp.zeros(1, jnp.int32))


quantize = jax.jit(vq.quantize, static_argnames=("config", "train", "axis_name"))


def start(config, key=0, sample=None):
    return vq.init(jax.random.key(key), config, sample)


@functools.partial(jax.jit, static_argnames="config")
def gradients(params, state, x, cotangent, config):
    """With respect to x: of the output against a cotangent, and of the loss."""

    def one(x):
        return vq.quantize(params, state, x, config)[0]

    return jax.grad(lambda x: (one(x).quantized * cotangent).sum())(x), jax.grad(
        lambda x: one(x).loss
    )(x)


GOLDENS = {
    "vq_ema": {},
    "vq_ema_decay99_cw025": {"decay": 0.99, "commitment": 0.25, "smoothing": 1e-3},
    "vq_cosine": {"metric": "cosine"},
    "vq_rotation": {"wrapper": "rotation"},
}


@pytest.mark.parametrize("name", GOLDENS)
def test_training_equals_the_reference_program(name):
    golden = Golden(f"quantizers/{name}")
    config = VQConfig(16, 8, **({"decay": 0.8, "commitment": 1.0} | GOLDENS[name]))
    params, state = start(config)
    for case in range(golden.config["steps"]):
        state = state.replace(book=book_of(golden, case))
        x, cotangent = (jnp.asarray(golden[f"in/{case}/{n}"]) for n in ("x", "cotangent"))
        out, after = quantize(params, state, x, config)
        through, of_loss = gradients(params, state, x, cotangent, config)
        np.testing.assert_array_equal(out.indices, golden[f"out/{case}/indices"])
        for ours, theirs in {
            "quantized": out.quantized,
            "loss": out.loss,
            "grad_x_from_quantized": through,
            "grad_x_from_loss": of_loss,
            "embed_after": after.book.codes[0],
            "embed_avg_after": after.book.total[0],
            "cluster_size_after": after.book.count[0],
        }.items():
            assert relative_error(theirs, golden[f"out/{case}/{ours}"]) < 1e-5, ours
    out, same = quantize(params, after, jnp.asarray(golden[f"in/{case}/x"]), config, train=False)
    np.testing.assert_array_equal(out.indices, golden["out/eval/indices"])
    assert relative_error(out.quantized, golden["out/eval/quantized"]) < 1e-5
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), same, after))


def test_dead_codes_come_back_where_the_reference_program_replaces_them():
    golden = Golden("quantizers/vq_dead_codes")
    config = VQConfig(24, 8, decay=0.8, commitment=1.0, restart=Restart(threshold=2.0))
    params, state = start(config)
    for case in range(2):
        state = state.replace(book=book_of(golden, case))
        x = jnp.asarray(golden[f"in/{case}/x"])
        out, after = quantize(params, state, x, config, key=jax.random.key(case))
        rows_per_code = np.bincount(golden[f"out/{case}/indices"].reshape(-1), minlength=24)
        alive = 0.8 * golden[f"in/{case}/cluster_size"] + 0.2 * rows_per_code >= 2
        assert 0 < alive.sum() < 24
        assert (
            relative_error(after.book.codes[0][alive], golden[f"out/{case}/embed_after"][alive])
            < 1e-5
        )
        np.testing.assert_allclose(
            after.book.count[0], golden[f"out/{case}/cluster_size_after"], rtol=1e-5
        )
        reborn = np.asarray(after.book.codes[0])[~alive]
        rows = np.asarray(x).reshape(-1, 8)
        assert all((row == rows).all(1).any() for row in reborn)
        np.testing.assert_array_equal(after.book.total[0][~alive], 2 * reborn)
        assert out.metrics["restarted"] == (~alive).sum()


def test_a_restarted_code_survives_the_next_step():
    """A reset of the code without its averages would be undone at once."""
    config = VQConfig(8, 2, restart=Restart(threshold=1.0))
    x = jax.random.normal(jax.random.key(1), (40, 2))
    params, state = start(config, sample=x)
    far = state.book.replace(
        codes=state.book.codes.at[0, 3].set(100.0), count=state.book.count.at[0, 3].set(0.0)
    )
    _, state = quantize(params, state.replace(book=far), x, config, key=jax.random.key(2))
    reborn = state.book.codes[0, 3]
    assert jnp.abs(reborn).max() < 10
    _, later = quantize(params, state, x, config, key=jax.random.key(3))
    assert jnp.linalg.norm(later.book.codes[0, 3] - reborn) < 0.2


def test_the_automatic_rule_draws_rows_that_lie_far_from_their_codes():
    """One row of a thousand is far; masked ones farther still. By chance alone it would be drawn
    one time in a thousand.
    """
    config = VQConfig(6, 1, decay=1.0, restart=Restart())
    params, state = start(config)
    book = state.book
    idle = book.idle.at[0, 2:].set(10**6)
    state = state.replace(book=book.replace(codes=jnp.zeros((1, 6, 1)), idle=idle))
    x = jnp.full((1000, 1), 1e-3).at[17].set(5.0).at[30].set(99.0)
    out, after = quantize(
        params, state, x, config, key=jax.random.key(0), mask=jnp.arange(1000) != 30
    )
    assert out.metrics["restarted"] == 4
    np.testing.assert_array_equal(after.book.codes[0, 2:, 0], 5)


def test_codes_idle_for_long_are_restarted():
    config = VQConfig(4, 2, decay=1.0, restart=Restart(kind="idle", patience=3))
    params, state = start(config)
    away = state.book.codes.at[0, 1:].add(50.0)
    state = state.replace(book=state.book.replace(codes=away, total=away))
    x = jax.random.normal(jax.random.key(1), (10, 2))
    for step in range(3):
        out, state = quantize(params, state, x, config, key=jax.random.key(step))
        assert out.metrics["restarted"] == (3 if step == 2 else 0)
    assert jnp.abs(state.book.codes).max() < 10


def test_one_step_without_memory_is_a_step_of_lloyd():
    config = VQConfig(5, 3, decay=0.0, smoothing=0.0)
    x = np.asarray(jax.random.normal(jax.random.key(1), (50, 3)))
    params, state = start(config)
    codes = np.asarray(state.book.codes[0])
    nearest = ((x[:, None] - codes[None]) ** 2).sum(-1).argmin(1)
    _, after = quantize(params, state, jnp.asarray(x), config)
    for k in range(5):
        expected = x[nearest == k].mean(0) if (nearest == k).any() else codes[k]
        np.testing.assert_allclose(after.book.codes[0, k], expected, rtol=1e-5, atol=1e-6)


def test_with_fixed_assignments_codes_converge_at_the_rate_of_the_decay():
    config = VQConfig(2, 1, decay=0.5, smoothing=0.0)
    params, state = start(config)
    book = Codebook(
        *(
            jnp.asarray(a)[None]
            for a in (
                [[0.0], [10.0]],
                [2.0, 2.0],
                [[0.0], [20.0]],
                np.zeros(2, np.int32),
                np.int32(0),
            )
        )
    )
    state, x = state.replace(book=book), jnp.array([[1.0], [1.0], [9.0], [9.0]])
    for step in range(1, 6):
        _, state = quantize(params, state, x, config)
        np.testing.assert_allclose(
            state.book.codes[0, :, 0], [1 - 0.5**step, 9 + 0.5**step], rtol=1e-5
        )


def test_masked_rows_change_nothing():
    config = dataclasses.replace(CONFIG, restart=Restart(threshold=0.5))
    x = jax.random.normal(jax.random.key(1), (3, 7, 4))
    mask = jax.random.bernoulli(jax.random.key(2), 0.6, (3, 7))
    params, state = start(config)
    poisoned = jnp.where(mask[..., None], x, jnp.nan)

    def loss(x):
        return quantize(params, state, x, config, key=jax.random.key(3), mask=mask)[0].loss

    ours, after = quantize(params, state, poisoned, config, key=jax.random.key(3), mask=mask)
    theirs, theirs_after = quantize(
        params, state, x[mask], dataclasses.replace(config, restart=None)
    )
    np.testing.assert_array_equal(ours.indices[mask], theirs.indices)
    np.testing.assert_array_equal(ours.quantized[mask], theirs.quantized)
    assert (ours.indices[~mask] == -1).all() and jnp.isnan(ours.quantized[~mask]).all()
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-6)
    np.testing.assert_allclose(ours.metrics["perplexity"], theirs.metrics["perplexity"], rtol=1e-6)
    kept = after.book.count[0] == theirs_after.book.count[0]
    np.testing.assert_allclose(
        after.book.codes[0][kept], theirs_after.book.codes[0][kept], rtol=1e-5
    )
    assert jnp.isfinite(after.book.codes).all()
    grads = jax.grad(loss)(x)
    assert (grads[~mask] == 0).all() and (grads[mask] != 0).any()


@pytest.mark.parametrize("train", [True, False])
def test_a_batch_of_masked_rows_only_changes_no_code(train):
    config = dataclasses.replace(CONFIG, restart=Restart(), affine=True)
    params, state = start(config)
    x, mask = jnp.ones((5, 4)), jnp.zeros(5, bool)
    out, after = quantize(params, state, x, config, key=jax.random.key(0), mask=mask, train=train)
    assert out.loss == 0 and out.metrics["perplexity"] == 1 and out.metrics["usage"] == 0
    np.testing.assert_allclose(after.book.codes, state.book.codes, rtol=1e-5)
    np.testing.assert_array_equal(out.quantized, x)


def test_heads_are_quantizers_of_their_parts():
    config = VQConfig(5, 6, heads=3, commitment=1.0)
    params, state = start(config)
    x = jax.random.normal(jax.random.key(1), (4, 7, 6))
    out, after = quantize(params, state, x, config)
    assert out.indices.shape == (4, 7, 3)
    losses = []
    for head in range(3):
        alone = jax.tree.map(lambda a, h=head: a[h : h + 1], state)
        part, part_after = quantize(
            params, alone, x[..., 2 * head : 2 * head + 2], VQConfig(5, 2, commitment=1.0)
        )
        np.testing.assert_array_equal(out.quantized[..., 2 * head : 2 * head + 2], part.quantized)
        np.testing.assert_array_equal(out.indices[..., head], part.indices)
        np.testing.assert_allclose(after.book.codes[head], part_after.book.codes[0], rtol=1e-6)
        losses.append(part.loss)
    np.testing.assert_allclose(out.loss, np.mean(losses), rtol=1e-6)


def test_shared_heads_are_rows_of_one_codebook():
    config = VQConfig(5, 6, heads=3, share_heads=True)
    params, state = start(config)
    x = jax.random.normal(jax.random.key(1), (8, 6))
    out, after = quantize(params, state, x, config)
    flat, flat_after = quantize(params, state, x.reshape(24, 2), VQConfig(5, 2))
    np.testing.assert_array_equal(out.indices.reshape(-1), flat.indices)
    np.testing.assert_array_equal(out.quantized.reshape(24, 2), flat.quantized)
    np.testing.assert_array_equal(after.book.codes, flat_after.book.codes)


def test_a_gradient_codebook_gets_the_gradients_of_its_losses():
    config = VQConfig(6, 4, update="gradient", codebook_weight=0.5, commitment=0.25)
    params, state = start(config)
    x = jax.random.normal(jax.random.key(1), (9, 4))
    out = quantize(params, state, x, config)[0]
    expected = np.zeros((6, 4))
    for row, k in zip(np.asarray(x), np.asarray(out.indices), strict=True):
        expected[k] += 0.5 * 2 * (np.asarray(params["codes"])[0, k] - row) / x.size
    grads = jax.grad(lambda p: quantize(p, state, x, config)[0].loss)(params)
    np.testing.assert_allclose(grads["codes"][0], expected, rtol=1e-4, atol=1e-7)

    def value(p, c=config):
        return quantize(p, state, x, c)[0].quantized.sum()

    assert (jax.grad(value)(params)["codes"] == 0).all()
    both = dataclasses.replace(config, nu=2.0)
    assert jax.grad(value)(params, both)["codes"].sum() == pytest.approx(2.0 * x.size)


def test_the_affine_codebook_follows_a_shift_that_moves_no_code():
    """Embeddings go away by 5; moving averages reach only the chosen code, mean and spread reach
    all.
    """
    x = jax.random.normal(jax.random.key(1), (200, 2)) * 0.1 + 5
    used = {}
    for follows in (True, False):
        config = VQConfig(16, 2, affine=follows, decay=0.999)
        params, state = start(config)
        step = jax.jit(lambda s, p=params, c=config: quantize(p, s, x, c))
        for _ in range(300):
            out, state = step(state)
        used[follows] = float(out.metrics["usage"])
    assert used[True] > 0.5 and used[False] < 0.2


def test_the_diversity_term_pushes_towards_even_use_and_orthogonality_codes_apart():
    x = jax.random.normal(jax.random.key(1), (30, 4))
    for name in ("diversity", "orthogonal"):
        config = VQConfig(6, 4, update="gradient", **{name: 1.0})
        params, state = start(config)

        def term(p, s=state, c=config, n=name):
            return quantize(p, s, x, c)[0].losses[n]

        before = term(params)
        after = term(jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(term)(params)))
        assert after < before


def test_low_dimensional_search_projects_there_and_back():
    config = VQConfig(6, 8, code_dim=2, heads=2)
    params, state = start(config)
    assert params["project_in"].shape == (8, 4) and state.book.codes.shape == (2, 6, 2)
    out, _ = quantize(params, state, jax.random.normal(jax.random.key(1), (5, 8)), config)
    assert out.quantized.shape == (5, 8) and out.indices.shape == (5, 2)


def test_indices_out_of_range_do_not_look_like_codes():
    params, state = start(CONFIG)
    decoded = vq.decode(params, state, jnp.array([0, 5, 6, -1]), CONFIG)
    np.testing.assert_array_equal(jnp.isnan(decoded).any(1), [False, False, True, True])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: VQConfig(0, 4), "at least one code"),
        (lambda: VQConfig(4, 0), "at least one feature"),
        (lambda: VQConfig(4, 5, heads=2), "cannot be cut into 2 heads"),
        (lambda: VQConfig(4, 4, decay=1.5), "decay is 1.5"),
        (lambda: VQConfig(4, 4, nu=1.0), "need update='gradient'"),
        (
            lambda: VQConfig(4, 4, update="gradient", restart=Restart()),
            "restart needs update='ema'",
        ),
        (lambda: start(VQConfig(4, 4, init="kmeans")), "give a sample"),
        (
            lambda: start(VQConfig(4, 4, init="kmeans"), sample=jnp.ones((9, 3))),
            "quantizer's 4 features",
        ),
        (lambda: vq.quantize(*start(CONFIG), jnp.ones((3, 5)), CONFIG), "quantizer's 4 features"),
        (
            lambda: vq.quantize(*start(CONFIG), jnp.ones((3, 4)), CONFIG, mask=jnp.ones((3, 4))),
            "must have shape (3,)",
        ),
        (
            lambda: quantize(
                *start(CONFIG), jnp.ones((3, 4)), dataclasses.replace(CONFIG, restart=Restart())
            ),
            "give quantize a key",
        ),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(QuantError) as error:
        make()
    assert sentence in str(error.value)
