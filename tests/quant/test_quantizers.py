"""The other quantizers against the golden files, and one table of promises that every quantizer
keeps.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.codebooks.finite_checks import checked
from quant.codebooks.straight_through import rotation
from quant.codebooks.updates import Restart
from quant.errors import QuantError
from quant.quantizers import fsq, gmvq, lfq, random_projection, rvq, simvq, vq
from tests.golden import Golden, relative_error
from tests.quant.table import ALL, LEVEL, MORE, QUANTIZERS, floats, made

each = pytest.mark.parametrize(
    "name", [*QUANTIZERS, *(pytest.param(n, marks=pytest.mark.slow) for n in MORE)]
)
FEW = ("vq", "vq heads projected restart", "residual", "gm-vq")
few = pytest.mark.parametrize(
    "name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in QUANTIZERS]
)
"""The others are as likely to break as these, but take long together."""
X = jax.random.normal(jax.random.key(1), (3, 5, 6))


@functools.partial(jax.jit, static_argnames=("name", "train"))
def run(name, params, state, x, key, train=True, mask=None):
    module, config, *_ = made(name)
    return module.quantize(params, state, x, config, key=key, train=train, mask=mask)


@functools.partial(jax.jit, static_argnames="name")
def encode(name, params, state, x):
    module, config, *_ = made(name)
    return module.encode(params, state, x, config)


@functools.partial(jax.jit, static_argnames="name")
def decode(name, params, state, indices):
    module, config, *_ = made(name)
    return module.decode(params, state, indices, config)


@each
@pytest.mark.parametrize("shape", [(6,), (2, 3, 2, 6)])
def test_shapes_dtypes_and_ranges(name, shape):
    _, config, params, state = made(name)
    x = jax.random.normal(jax.random.key(2), shape)
    out, after = run(name, params, state, x, jax.random.key(3))
    features = decode(name, params, state, out.indices).shape[-1]
    assert out.quantized.shape == (*shape[:-1], features) and out.quantized.dtype == jnp.float32
    assert out.indices.dtype == jnp.int32 and out.indices.shape[: len(shape) - 1] == shape[:-1]
    assert (out.indices < config.num_codes).all() and (
        out.indices >= (-1 if "dropout" in name else 0)
    ).all()
    assert out.loss.shape == () and out.loss.dtype == jnp.float32
    if name != "fsq levels":  # too many codes to count
        assert 1 <= out.metrics["perplexity"] <= config.num_codes + 1e-3
        assert 0 < out.metrics["usage"] <= 1
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((out, after)))


@each
def test_decode_of_encode_is_what_evaluation_gives_bit_for_bit(name):
    *_, params, state = made(name)
    out, after = run(name, params, state, X, None, train=False)
    codes = encode(name, params, state, X)
    np.testing.assert_array_equal(decode(name, params, state, codes), out.quantized)
    jax.tree.map(np.testing.assert_array_equal, after, state)


@few
def test_jit_equals_no_jit_and_vmap_a_loop(name):
    module, config, params, state = made(name)
    key = jax.random.key(3)
    jitted, _ = run(name, params, state, X, key)
    plain, _ = module.quantize(params, state, X, config, key=key)
    np.testing.assert_array_equal(jitted.indices, plain.indices)
    np.testing.assert_allclose(jitted.quantized, plain.quantized, rtol=1e-5, atol=1e-6)

    def codes(x):
        return module.quantize(params, state, x, config, train=False)[0].indices

    many = jax.jit(jax.vmap(codes))(X)
    np.testing.assert_array_equal(many, run(name, params, state, X, None, train=False)[0].indices)


@each
def test_bfloat16_goes_in_and_out(name):
    *_, params, state = made(name)
    out, _ = run(name, params, state, X.astype(jnp.bfloat16), jax.random.key(3))
    assert out.quantized.dtype == jnp.bfloat16 and out.loss.dtype == jnp.float32
    many = jax.random.normal(jax.random.key(5), (2000, 6)).astype(jnp.bfloat16)
    wide = run(name, params, state, many.astype(jnp.float32), None, train=False)[0]
    narrow = run(name, params, state, many, None, train=False)[0]
    np.testing.assert_array_equal(narrow.indices, wide.indices)
    decoded = decode(name, params, state, narrow.indices)
    np.testing.assert_array_equal(narrow.quantized, decoded.astype(jnp.bfloat16))


@each
def test_masked_rows_change_nothing(name):
    *_, params, state = made(name)
    mask = jnp.arange(15).reshape(3, 5) % 3 > 0
    poisoned = jnp.where(mask[..., None], X, jnp.nan)
    ours, ours_after = run(name, params, state, poisoned, jax.random.key(3), mask=mask)
    theirs, theirs_after = run(
        name, params, state, jnp.where(mask[..., None], X, 7.0), jax.random.key(3), mask=mask
    )
    assert (ours.indices[~mask] == -1).all()
    np.testing.assert_array_equal(ours.indices, theirs.indices)
    np.testing.assert_array_equal(ours.quantized[mask], theirs.quantized[mask])
    jax.tree.map(
        np.testing.assert_array_equal,
        (ours.losses, ours.metrics, ours_after),
        (theirs.losses, theirs.metrics, theirs_after),
    )
    alone = run(name, params, state, X[mask], None, train=False)[0]
    np.testing.assert_array_equal(
        alone.indices,
        run(name, params, state, poisoned, None, train=False, mask=mask)[0].indices[mask],
    )


@few
def test_all_rows_masked(name):
    *_, params, state = made(name)
    out, after = run(name, params, state, X, jax.random.key(3), mask=jnp.zeros((3, 5), bool))
    assert (out.indices == -1).all() and all(
        jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((out.losses, out.metrics, after))
    )


@each
def test_gradients_reach_the_input_and_never_the_state(name):
    module, config, params, state = made(name)

    def total(params, state, x):
        out, _ = module.quantize(params, state, x, config, key=jax.random.key(3))
        return (
            out.quantized * jnp.arange(1.0, 1 + out.quantized.size).reshape(out.quantized.shape)
        ).sum() + out.loss

    of_params, of_state, of_x = jax.jit(jax.grad(total, argnums=(0, 1, 2), allow_int=True))(
        params, state, X
    )
    assert all(jnp.isfinite(g).all() for g in floats((of_params, of_x)))
    assert all((g == 0).all() for g in floats(of_state))
    assert (of_x == 0).all() == (name == "random projection")
    assert all((g != 0).any() for g in floats(of_params))


@pytest.mark.parametrize(
    "name", [*FEW, "vq affine diveq", "residual shared dropout", "gumbel-vq", "sq-vae"]
)
def test_four_devices_learn_what_one_does(name):
    module, config, params, state = made(name)
    x = jax.random.normal(jax.random.key(4), (8, 5, 6))
    key = jax.random.key(3)

    def step(x, axis_name=None):
        return module.quantize(params, state, x, config, key=key, axis_name=axis_name)

    one, one_after = jax.jit(step)(x)
    four, four_after = jax.pmap(lambda x: step(x, "data"), axis_name="data")(x.reshape(4, 2, 5, 6))
    np.testing.assert_array_equal(four.indices.reshape(one.indices.shape), one.indices)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(
        lambda a, b: [close(part, b) for part in a],
        (four.losses, four.metrics),
        (one.losses, one.metrics),
    )
    if "restart" not in name:
        jax.tree.map(lambda a, b: [close(part, b) for part in a], four_after, one_after)


@each
def test_orbax_keeps_the_state(name, tmp_path):
    import orbax.checkpoint as ocp

    *_, params, state = made(name)
    _, after = run(name, params, state, X, jax.random.key(3))
    if not jax.tree.leaves((params, after)):
        return
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "kept", (params, after))
        checkpointer.wait_until_finished()
        jax.tree.map(
            np.testing.assert_array_equal,
            checkpointer.restore(tmp_path / "kept", (params, after)),
            (params, after),
        )


@each
def test_a_fresh_state_can_be_donated(name):
    module, config, params, state = made(name)
    fresh = module.init(jax.random.key(0), config)
    after = jax.jit(lambda made: jax.tree.map(lambda a: a + 1, made), donate_argnums=0)(fresh)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b + 1, rtol=1e-6, atol=1e-6),
        after,
        (params, state),
    )


@each
def test_no_array_is_as_large_as_a_one_hot(name):
    """Rows by codes as numbers would be the whole memory at K = 16 384."""
    module, config = ALL[name]
    if name in ("gm-vq", "gumbel-vq", "sq-vae", "vq gradient synchronous", "lfq", "bsq"):
        pytest.skip("a soft assignment is rows by codes")
    if name in MORE:
        pytest.skip("made of the others, or of a soft assignment")
    if name.startswith("residual"):
        config = dataclasses.replace(
            config, level=dataclasses.replace(config.level, num_codes=4096)
        )
    elif "fsq" not in name:
        config = dataclasses.replace(config, num_codes=4096)
    rows = 100_003
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), config))
    traced = jax.make_jaxpr(
        lambda p, s, x: module.quantize(p, s, x, config, key=jax.random.key(0))
    )(*shapes, jax.ShapeDtypeStruct((rows, 6), jnp.float32))
    largest = max(
        variable.aval.size
        for variable in _variables(traced.jaxpr)
        if hasattr(variable.aval, "size")
    )
    assert largest <= max(
        3 * 4096 * 512, rows * 6 * 4
    )  # a tile of every head, or a few copies of the input


def _variables(jaxpr):
    for equation in jaxpr.eqns:
        yield from equation.outvars
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else [value]:
                if hasattr(inner, "jaxpr") or hasattr(inner, "eqns"):
                    yield from _variables(getattr(inner, "jaxpr", inner))


@pytest.mark.parametrize("name", [n for n in QUANTIZERS if n != "vq"])
def test_another_number_of_features_is_refused(name):
    module, config, params, state = made(name)
    with pytest.raises(QuantError, match=r"\(2, 7\)"):
        module.quantize(params, state, jnp.ones((2, 7)), config, key=jax.random.key(0))


# ---- goldens
# ------------------------------------------------------------


def golden_case(file, case, name):
    """The golden file, the settings of a case, its input and the cotangent of the output."""
    golden = Golden(f"quantizers/{file}")
    (spec,) = (c for c in golden.config["cases"] if c["name"] == case)
    return golden, spec, *(jnp.asarray(golden[f"in/{case}/{n}"]) for n in (name, "cotangent"))


@pytest.mark.parametrize("case", ["8x5x5", "7x5x5x5", "8x5x5_sym", "4x3"])
def test_fsq_equals_the_reference_program(case):
    golden, spec, z, cotangent = golden_case("fsq", case, "z")
    config = fsq.FSQConfig(tuple(spec["levels"]), spec["preserve_symmetry"])

    @jax.jit
    def one(z):
        return fsq.quantize({}, {}, z, config)[0]

    out = one(z)
    np.testing.assert_array_equal(out.indices, golden[f"out/{case}/indices"])
    np.testing.assert_allclose(out.quantized, golden[f"out/{case}/codes"], atol=1e-6)
    grad = jax.jit(jax.grad(lambda z: (one(z).quantized * cotangent).sum()))(z)
    assert relative_error(grad, golden[f"out/{case}/grad_z"]) < 1e-5
    book = fsq.decode({}, {}, jnp.arange(config.num_codes), config)
    np.testing.assert_allclose(book, golden[f"out/{case}/codebook"], atol=1e-6)
    # Every code is its own image, and the squashing of extreme inputs reaches the outermost levels
    # only.
    far = fsq.quantize({}, {}, jnp.array([[50.0] * config.dim, [-50.0] * config.dim]), config)[0]
    np.testing.assert_array_equal(far.indices, [config.num_codes - 1, 0])


@pytest.mark.parametrize("case", ["plain_t100", "plain_t2", "spherical", "scaled"])
def test_lfq_equals_the_reference_program(case):
    golden, spec, x, cotangent = golden_case("lfq", case, "x")
    config = lfq.LFQConfig(
        spec["dim"],
        spec.get("spherical", False),
        spec.get("codebook_scale", 1.0),
        spec.get("commitment_loss_weight", 0.0),
        spec["entropy_loss_weight"],
        spec.get("diversity_gamma", 1.0),
        spec["inv_temperature"],
    )

    @jax.jit
    def one(x):
        return lfq.quantize({}, {}, x, config)[0]

    out = one(x)
    np.testing.assert_array_equal(out.indices, golden[f"out/{case}/indices"])
    assert relative_error(out.quantized, golden[f"out/{case}/quantized"]) < 1e-5
    # The reference clamps the logarithm of probabilities at 1e-5, which ours need not.
    for ours, theirs in (("row_entropy", "per_sample_entropy"), ("mean_entropy", "batch_entropy")):
        np.testing.assert_allclose(
            out.metrics[ours], golden[f"out/{case}/{theirs}"], rtol=2e-3, atol=1e-4
        )
    np.testing.assert_allclose(out.loss, golden[f"out/{case}/aux_loss"], rtol=2e-3, atol=1e-4)
    through = jax.jit(jax.grad(lambda x: (one(x).quantized * cotangent).sum()))(x)
    assert relative_error(through, golden[f"out/{case}/grad_x_from_quantized"]) < 1e-4
    codes = lfq.decode({}, {}, out.indices, config)
    np.testing.assert_allclose(codes, golden[f"out/{case}/codes_from_indices"], atol=1e-6)


def test_residual_equals_the_reference_program():
    golden = Golden("quantizers/residual_vq")
    config = rvq.ResidualConfig(
        vq.VQConfig(16, 8, decay=0.8, commitment=1.0), 3, straight_through_all=True
    )
    params, state = rvq.init(jax.random.key(0), config)
    codes = jnp.stack([golden[f"in/embed/{level}"] for level in range(3)])[:, None]
    state = state.replace(
        book=state.book.replace(codes=codes, count=jnp.full((3, 1, 16), 2.0), total=2 * codes)
    )
    x, cotangent = jnp.asarray(golden["in/x"]), jnp.asarray(golden["in/cotangent"])

    @functools.partial(jax.jit, static_argnames="config")
    def one(x, config=config):
        return rvq.quantize(params, state, x, config)

    out, after = one(x)
    np.testing.assert_array_equal(out.indices, golden["out/train/indices"])
    assert relative_error(out.quantized, golden["out/train/quantized"]) < 1e-5
    np.testing.assert_allclose(out.loss, golden["out/train/losses"].mean(), rtol=1e-5)
    grad = jax.jit(jax.grad(lambda x: (one(x)[0].quantized * cotangent).sum()))(x)
    assert relative_error(grad, golden["out/train/grad_x_from_quantized"]) < 1e-5
    grad = jax.jit(jax.grad(lambda x: 3 * one(x)[0].loss))(x)
    assert relative_error(grad, golden["out/train/grad_x_from_losses_sum"]) < 1e-5
    for level in range(3):
        assert (
            relative_error(after.book.codes[level, 0], golden[f"out/train/embed_after/{level}"])
            < 1e-5
        )
    once = dataclasses.replace(config, straight_through_all=False)
    grad = jax.jit(jax.grad(lambda x: (one(x, once)[0].quantized * cotangent).sum()))(x)
    np.testing.assert_allclose(grad, cotangent, rtol=1e-6)


@pytest.mark.parametrize("case", ["ste", "rotation"])
def test_simvq_equals_the_reference_program(case):
    golden = Golden("quantizers/simvq")
    weights = golden.params(f"{case}/")
    params, state = (
        {"map": weights["code_transform.weight"].T},
        {"frozen": weights["frozen_codebook"]},
    )
    config = simvq.SimVQConfig(
        32,
        8,
        weights["frozen_codebook"].shape[1],
        0.25,
        wrapper="rotation" if case == "rotation" else "straight_through",
    )
    x, cotangent = (jnp.asarray(golden[f"in/{case}/{n}"]) for n in ("x", "cotangent"))

    @jax.jit
    def one(params, x):
        return simvq.quantize(params, state, x, config)[0]

    out = one(params, x)
    np.testing.assert_array_equal(out.indices, golden[f"out/{case}/indices"])
    assert relative_error(out.quantized, golden[f"out/{case}/quantized"]) < 1e-5
    np.testing.assert_allclose(out.loss, golden[f"out/{case}/loss"], rtol=1e-5)
    through = jax.jit(jax.grad(lambda x: (one(params, x).quantized * cotangent).sum()))(x)
    assert relative_error(through, golden[f"out/{case}/grad_x_from_quantized"]) < 1e-5
    of_params, of_x = jax.jit(jax.grad(lambda p, x: one(p, x).loss, argnums=(0, 1)))(params, x)
    assert relative_error(of_x, golden[f"out/{case}/grad_x_from_loss"]) < 1e-5
    assert relative_error(of_params["map"].T, golden[f"out/{case}/grad_weight_from_loss"]) < 1e-5


@pytest.mark.parametrize("case", ["d8", "d3", "near"])
def test_rotation_equals_the_reference_program(case):
    golden = Golden("quantizers/rotate_to")
    e, q, cotangent = (jnp.asarray(golden[f"in/{case}/{n}"]) for n in ("e", "q", "cotangent"))
    value, back = jax.vjp(lambda e: jax.vmap(rotation)(e, q), e)
    tolerance = 1e-5 if case != "near" else 1e-4
    assert relative_error(value, golden[f"out/{case}/value"]) < tolerance
    assert relative_error(back(cotangent)[0], golden[f"out/{case}/grad_e"]) < tolerance


def test_rotation_of_opposite_rows_is_straight_through():
    x = jnp.array([1.0, 2.0, -1.0])
    for q in (-x, -3 * x, jnp.zeros(3)):
        value, back = jax.vjp(lambda x, q=q: rotation(x, q), x)
        np.testing.assert_array_equal(value, q)
        assert jnp.isfinite(back(jnp.ones(3))[0]).all()
    np.testing.assert_array_equal(
        jax.vjp(lambda x: rotation(x, -x), x)[1](jnp.ones(3))[0], jnp.ones(3)
    )


# ---- refusals
# ------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: fsq.FSQConfig((4, 1)), "needs at least 2 levels"),
        (lambda: fsq.FSQConfig(()), "levels is empty"),
        (lambda: fsq.FSQConfig((2048, 2048, 2048)), "more than int32"),
        (lambda: lfq.LFQConfig(31), "1 to 30 bits"),
        (lambda: simvq.SimVQConfig(0, 3), "at least one code"),
        (lambda: rvq.ResidualConfig(LEVEL, 0), "at least one"),
        (lambda: rvq.ResidualConfig(dataclasses.replace(LEVEL, heads=2), 2), "one head each"),
        (lambda: random_projection.RandomProjectionConfig(3, 3, heads=0), "at least one"),
        (lambda: gmvq.GMVQConfig(0, 3), "at least one code"),
        (
            lambda: gmvq.GMVQConfig(5, 3, objective="ELBO"),
            "objective is 'ELBO': choose among 'albo', 'literal', 'elbo'",
        ),
        (
            lambda: vq.VQConfig(5, 4, update="grad"),
            "update is 'grad': choose among 'ema', 'gradient'",
        ),
        (lambda: vq.VQConfig(5, 4, metric="cos"), "metric is 'cos'"),
        (lambda: vq.VQConfig(5, 4, wrapper="ste"), "wrapper is 'ste'"),
        (lambda: vq.VQConfig(5, 4, init="random"), "init is 'random'"),
        (lambda: vq.VQConfig(5, 4, way="triton"), "way is 'triton'"),
        (lambda: vq.VQConfig(5, 4, code_dim=0), "code_dim is 0"),
        (lambda: vq.VQConfig(5, 4, temperature=0.0), "temperature is 0.0"),
        (lambda: fsq.FSQConfig(8), "give a number for every feature"),
    ],
)
def test_configurations_that_cannot_work_are_refused(make, sentence):
    with pytest.raises(QuantError, match=sentence):
        make()


@pytest.mark.parametrize(
    "config",
    [
        rvq.ResidualConfig(LEVEL, 2, dropout=True),
        rvq.ResidualConfig(dataclasses.replace(LEVEL, restart=Restart()), 2),
    ],
)
def test_levels_that_draw_want_a_key_in_training(config):
    made = rvq.init(jax.random.key(0), config)
    with pytest.raises(QuantError, match="give quantize a key"):
        rvq.quantize(*made, X, config)
    rvq.quantize(*made, X, config, train=False)


def test_residual_init_looks_at_what_is_left():
    config = rvq.ResidualConfig(vq.VQConfig(8, 6, init="kmeans"), 4)
    x = jax.random.normal(jax.random.key(5), (200, 6))

    @jax.jit
    def measured(x):
        params, state = rvq.init(jax.random.key(0), config, x)
        return rvq.quantize(params, state, x, config, train=False)[0].metrics

    errors = measured(x)
    left = [float(errors[f"error_{level}"]) for level in range(4)]
    assert left == sorted(left, reverse=True) and left[3] < 0.5 * left[0]


def test_one_level_is_the_vector_quantizer():
    config = rvq.ResidualConfig(LEVEL, 1)
    params, state = rvq.init(jax.random.key(0), config)
    ours, ours_after = rvq.quantize(params, state, X, config)

    def pick(tree):
        return jax.tree.map(lambda a: a[0], tree)

    theirs, theirs_after = vq.quantize(pick(params), pick(state), X, LEVEL)
    np.testing.assert_allclose(ours.quantized, theirs.quantized, rtol=1e-6)
    np.testing.assert_array_equal(ours.indices[..., 0], theirs.indices)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-6), pick(ours_after), theirs_after
    )


@pytest.mark.parametrize("name", ["vq", "residual", "fsq", "gm-vq"])
def test_numbers_that_are_not_finite_are_named_if_one_asks(name):
    module, config, params, state = made(name)
    ask, key = checked(module.quantize), jax.random.key(3)
    out, after = ask(params, state, X, config, key=key)
    expected, expected_after = run(name, params, state, X, key)
    np.testing.assert_array_equal(out.indices, expected.indices)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), after, expected_after)
    bad = X.at[1, 2, 0].set(jnp.nan).at[2, 4, 3].set(jnp.inf)
    with pytest.raises(
        QuantError,
        match=r"^x \(3, 5, 6\): row 7 holds numbers that are not finite, as do 2 rows in all$",
    ):
        ask(params, state, bad, config, key=key)
    mask = jnp.isfinite(bad).all(-1)
    assert (ask(params, state, bad, config, key=key, mask=mask)[0].indices[~mask] == -1).all()


@pytest.mark.parametrize("levels", [1001, 2048, 65536])
@pytest.mark.parametrize("symmetric", [False, True])
def test_many_levels_stay_in_range(levels, symmetric):
    config = fsq.FSQConfig([levels], symmetric=symmetric)

    @jax.jit
    def there_and_back(x):
        out, _ = fsq.quantize({}, {}, x, config)
        return out, fsq.decode({}, {}, out.indices, config)

    out, back = there_and_back(jnp.array([[-20.0], [20.0], [0.1]]))
    assert out.indices[0] == 0 and out.indices[1] == levels - 1
    assert (jnp.abs(out.quantized) <= 1).all()
    np.testing.assert_array_equal(back, out.quantized)


def test_masked_rows_of_labels_are_zero():
    module, config, params, state = made("random projection")
    out, _ = module.quantize(params, state, X, config, mask=jnp.zeros((3, 5), bool).at[0].set(True))
    assert (out.quantized[1:] == 0).all() and jnp.isfinite(out.quantized).all()


def test_cosine_codes_begin_at_the_centers_of_directions():
    """Two directions, one with short rows and one with a few very long ones: both get a code."""
    angle = jnp.concatenate([jnp.full(50, 0.1), jnp.full(50, 1.4)])
    length = jnp.concatenate([jnp.full(50, 1e-3), jnp.linspace(1, 1000, 50)])
    sample = jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1) * length[:, None]
    config = vq.VQConfig(2, 2, metric="cosine", init="kmeans++")
    _, state = jax.jit(lambda x: vq.init(jax.random.key(0), config, x))(sample)
    found = jnp.sort(jnp.arctan2(state.book.codes[0, :, 1], state.book.codes[0, :, 0]))
    np.testing.assert_allclose(found, [0.1, 1.4], atol=1e-3)


def test_decode_of_another_number_of_heads_is_refused():
    module, config, params, state = made("vq heads projected restart")
    with pytest.raises(QuantError, match="last axis must have the quantizer's 3 heads"):
        module.decode(params, state, jnp.zeros((4, 2), jnp.int32), config)
