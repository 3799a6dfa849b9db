"""Encoders, losses, gradients and optimizer steps of the peers, from golden files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sae.transcoders import activations, losses, model, train_step
from sae.transcoders.losses import LossConfig
from sae.transcoders.model import TranscoderConfig
from sae.transcoders.train_step import LearnConfig
from tests.golden import Golden, relative_error

SPARSIFY = Golden("transcoders/sparsify")
DICTIONARY = Golden("transcoders/dictionary_learning")
SAELENS = Golden("transcoders/saelens_training")
SAVED = Golden("transcoders/saelens_transcoders")
RENAMED = {
    "encoder.weight": "W_enc",
    "encoder.bias": "b_enc",
    "decoder.weight": "W_dec",
    "W_skip": "W_skip",
}


def ours(weights):
    """Parameters of the peers under our names, in our layout."""
    turned = {"encoder.weight", "decoder.weight", "W_skip"}
    return {
        RENAMED.get(name, name): jnp.asarray(a.T if name in turned else a)
        for name, a in weights.items()
    }


def by_name(golden, name):
    return next(case for case in golden.config["cases"] if case["name"] == name)


@pytest.mark.parametrize("case", SPARSIFY.config["cases"], ids=lambda case: case["name"])
def test_sparsify(case):
    name = case["name"]
    params = ours(SPARSIFY.params(f"{name}/"))
    x = jnp.asarray(SPARSIFY[f"in/{name}/x"])
    y = jnp.asarray(SPARSIFY.arrays.get(f"in/{name}/y", x))
    dead = jnp.asarray(SPARSIFY[f"in/{name}/dead_mask"])
    kind = "groupmax" if name == "groupmax" else "topk"
    width = params["b_enc"].shape[0]
    config = TranscoderConfig(
        x.shape[1], y.shape[1], width, kind, case["k"], "W_skip" in params, name == "autoencoder"
    )
    pre = model.pre_activations(params, x, config)
    z = model.encode(params, x, config)
    assert relative_error(jax.nn.relu(pre), SPARSIFY[f"out/{name}/pre_acts"]) < 1e-5
    assert relative_error(z, SPARSIFY[f"out/{name}/latents_dense"]) < 1e-5
    loss = LossConfig(aux=1.0)
    found = losses.parts(params, x, y, dead, config, loss)
    assert relative_error(found.fvu, SPARSIFY[f"out/{name}/fvu"]) < 1e-5
    assert relative_error(found.aux, SPARSIFY[f"out/{name}/auxk_loss"]) < 1e-5
    if name == "transcoder_multitopk":
        more = model.activate(params, pre, config, 4 * case["k"])
        assert relative_error(more, SPARSIFY[f"out/{name}/returned_latents_dense_4k"]) < 1e-5
        with_more = losses.parts(params, x, y, dead, config, LossConfig(aux=0.0, multi_k=4))
        apart = (with_more.error - found.error) * 8
        assert relative_error(apart, SPARSIFY[f"out/{name}/multi_topk_fvu"]) < 1e-4
    else:
        assert (
            relative_error(model.reconstruct(params, x, config), SPARSIFY[f"out/{name}/sae_out"])
            < 1e-5
        )
    grads = jax.grad(lambda p: losses.parts(p, x, y, dead, config, loss).error)(params)
    for key, expected in ours(SPARSIFY.under(f"out/{name}/grad_fvu/")).items():
        assert relative_error(grads[key], expected) < 1e-4, key
    assert (
        relative_error(
            train_step.without_parallel(params["W_dec"], grads["W_dec"]),
            SPARSIFY[f"out/{name}/grad_fvu_W_dec_without_parallel"],
        )
        < 1e-4
    )
    grads = jax.grad(lambda p: losses.parts(p, x, y, dead, config, loss).aux)(params)
    if not bool(dead.any()):
        assert float(found.aux) == 0
        return
    for key in (
        ("W_dec",) if config.centered else ("W_dec", "b_dec")
    ):  # its auxiliary loss gives the encoder no gradient; ours does
        expected = SPARSIFY[f"out/{name}/grad_auxk/{key}"]
        np.testing.assert_allclose(
            grads[key], expected, atol=1e-4 * max(np.abs(expected).max(), 1e-8)
        )


@pytest.mark.parametrize("golden", [DICTIONARY, SAELENS], ids=["dictionary_learning", "saelens"])
def test_straight_through_primitives(golden):
    x, cotangent = jnp.asarray(golden["in/ste/x"]), jnp.asarray(golden["in/ste/cotangent"])
    threshold = jnp.asarray(golden["in/ste/threshold"])
    if threshold.ndim == 2:
        forms, apply = (
            [("", False)],
            lambda f, to_input: (
                lambda x, t: jax.vmap(lambda a, b: f(a[None], b, 0.3, to_input)[0])(x, t)
            ),
        )
    else:
        forms = [("ste_to_input_False/", False), ("ste_to_input_True/", True)]

        def apply(f, to_input):
            return lambda x, t: f(x, t, 0.3, to_input)

    for name, function in (("jumprelu_fn", activations.jump_relu), ("step_fn", activations.step)):
        for form, to_input in forms:
            value, back = jax.vjp(apply(function, to_input), x, threshold)
            to_x, to_threshold = back(cotangent)
            assert relative_error(value, golden[f"out/{name}/value"]) < 1e-6
            np.testing.assert_allclose(to_x, golden[f"out/{name}/{form}grad_x"], atol=1e-5)
            assert relative_error(to_threshold, golden[f"out/{name}/{form}grad_threshold"]) < 1e-5


@pytest.mark.parametrize("case", SAVED.config["cases"], ids=lambda case: case["name"])
def test_saelens_transcoders_and_folding(case):
    name = case["name"]
    params = {
        key: jnp.asarray(a.T if key == "W_skip" else a)
        for key, a in SAVED.params(f"{name}/").items()
    }
    kind = "jumprelu" if "jumprelu" in name else "relu"
    config = TranscoderConfig(
        *params["W_enc"].shape[:1],
        params["b_dec"].size,
        params["b_enc"].size,
        kind,
        skip="skip" in name,
    )
    x = jnp.asarray(SAVED[f"in/{name}/x"])
    z = model.encode(params, x, config)
    assert relative_error(z, SAVED[f"out/{name}/feature_acts"]) < 1e-5
    without = {key: a for key, a in params.items() if key != "W_skip"}
    assert relative_error(model.decode(without, z), SAVED[f"out/{name}/decode"]) < 1e-5
    assert relative_error(model.decode(params, z, x), SAVED[f"out/{name}/forward"]) < 1e-5
    folded = model.fold_norms(params)
    for key, expected in SAVED.under(f"out/{name}/folded/").items():
        assert relative_error(folded[key], expected.T if key == "W_skip" else expected) < 1e-5, key
    assert (
        relative_error(model.encode(folded, x, config), SAVED[f"out/{name}/folded_feature_acts"])
        < 1e-5
    )
    assert (
        relative_error(model.reconstruct(folded, x, config), SAVED[f"out/{name}/folded_forward"])
        < 1e-5
    )


def saelens_setting(name):
    """Our configuration of one of SAELens' training cases."""
    case, d = by_name(SAELENS, name)["kwargs"], SAELENS["param/topk_plain/b_dec"].size
    width = SAELENS["param/topk_plain/b_enc"].size
    aux = dict(aux_relu=False, aux_by="none", by_variance=False)
    if name.startswith("jumprelu"):
        config = TranscoderConfig(
            d,
            d,
            width,
            "jumprelu",
            centered=True,
            bandwidth=0.3,
            to_input=case.get("jumprelu_ste_to_input", False),
        )
        return config, case, aux
    kind = "batchtopk" if name == "batchtopk" else "topk"
    config = TranscoderConfig(
        d,
        d,
        width,
        kind,
        case["k"],
        centered=True,
        rescale=case.get("rescale_acts_by_decoder_norm", True),
    )
    return config, case, aux | {"aux": case.get("aux_loss_coefficient", 1.0)}


@pytest.mark.parametrize("name", ["topk_rescale", "topk_plain", "batchtopk"])
def test_saelens_topk_training(name):
    config, case, fields = saelens_setting(name)
    loss = LossConfig(**fields)
    params = {key: jnp.asarray(a) for key, a in SAELENS.params(f"{name}/").items()}
    batches, dead = (
        jnp.asarray(SAELENS[f"in/{name}/x"]),
        jnp.asarray(SAELENS[f"in/{name}/dead_mask"]),
    )
    lengths = model.row_norms(params)[None] if config.rescale else 1
    z = model.activate(params, model.pre_activations(params, batches[0], config), config)
    assert relative_error(z * lengths, SAELENS[f"out/{name}/feature_acts"]) < 1e-5
    assert relative_error(model.decode(params, z), SAELENS[f"out/{name}/sae_out"]) < 1e-5
    threshold = jnp.float32(0)
    for number, x in enumerate(batches):
        found = losses.parts(params, x, x, dead, config, loss)
        assert relative_error(found.error, SAELENS[f"out/{name}/{number}/mse_loss"]) < 1e-5
        assert (
            relative_error(
                found.aux * loss.aux, SAELENS[f"out/{name}/{number}/auxiliary_reconstruction_loss"]
            )
            < 2e-5
        )
        assert relative_error(found.total, SAELENS[f"out/{name}/{number}/loss"]) < 1e-5
        if name == "batchtopk":
            average = LearnConfig(
                threshold_decay=1 - case["topk_threshold_lr"], threshold_from_zero=True
            )
            threshold = train_step.next_threshold(
                threshold, found.floor, jnp.int32(number), average
            )
            assert relative_error(threshold, SAELENS[f"out/{name}/{number}/topk_threshold"]) < 1e-5
    grads = jax.grad(lambda p: losses.parts(p, batches[0], batches[0], dead, config, loss).total)(
        params
    )
    for key, expected in SAELENS.under(f"out/{name}/grad/").items():
        if config.rescale and key == "W_dec":
            # SAELens differentiates through the lengths of rows, which choose but cancel in the
            # estimate
            continue
        assert relative_error(grads[key], expected) < 1e-4, key


@pytest.mark.parametrize("name", ["jumprelu_step", "jumprelu_tanh", "jumprelu_quadratic"])
def test_saelens_jumprelu_training(name):
    config, case, fields = saelens_setting(name)
    coefficients = by_name(SAELENS, name)["coefficients"]
    form = name.removeprefix("jumprelu_")
    loss = LossConfig(
        **fields,
        aux=0.0,
        l0=coefficients["l0"],
        l0_form=form,
        l0_target=case.get("target_l0") or 20.0,
        wake=case.get("pre_act_loss_coefficient") or 0.0,
    )
    params = {key: jnp.asarray(a) for key, a in SAELENS.params(f"{name}/").items()}
    batches, dead = (
        jnp.asarray(SAELENS[f"in/{name}/x"]),
        jnp.asarray(SAELENS[f"in/{name}/dead_mask"]),
    )
    assert (
        relative_error(
            model.encode(params, batches[0], config), SAELENS[f"out/{name}/inference_acts"]
        )
        < 1e-5
    )
    for number, x in enumerate(batches):
        found = losses.parts(params, x, x, dead, config, loss)
        assert relative_error(found.error, SAELENS[f"out/{name}/{number}/mse_loss"]) < 1e-5
        assert relative_error(found.total, SAELENS[f"out/{name}/{number}/loss"]) < 1e-5
    grads = jax.grad(lambda p: losses.parts(p, batches[0], batches[0], dead, config, loss).total)(
        params
    )
    for key, expected in SAELENS.under(f"out/{name}/grad/").items():
        assert relative_error(grads[key], expected) < 1e-4, key


def geometric_median(points, rounds=100, tolerance=1e-5):
    """Weiszfeld's iteration, in NumPy."""
    guess = points.mean(0)
    for _ in range(rounds):
        weights = 1 / np.linalg.norm(points - guess, axis=1)
        new = (points * (weights / weights.sum())[:, None]).sum(0)
        if np.linalg.norm(new - guess) < tolerance:
            break
        guess = new
    return new


@pytest.mark.parametrize("name", ["topk", "batchtopk"])
def test_dictionary_learning_steps(name):
    case = by_name(DICTIONARY, name)
    params = ours(DICTIONARY.params(f"{name}/"))
    batches = DICTIONARY[f"in/{name}/x"]
    width = params["b_enc"].size
    config = TranscoderConfig(
        batches.shape[2], batches.shape[2], width, name, case["k"], centered=True
    )
    loss = LossConfig(
        by_variance=False,
        aux=case["auxk_alpha"],
        aux_k=case["top_k_aux"],
        aux_by="residual",
        aux_scaled=False,
    )
    how = LearnConfig(
        learning_rate=case["lr"],
        unit_rows=True,
        warmup=case["warmup_steps"],
        decay=0.0,
        clip_norm=case["grad_clip"],
        dead_after=case["dead_feature_threshold"],
        threshold_decay=case["threshold_beta"],
        threshold_start=case["threshold_start_step"] + 1,
    )
    hparam = train_step.hparams(config, loss, how)
    learner = train_step.start(params, how)._replace(
        silent=jnp.asarray(DICTIONARY[f"in/{name}/num_tokens_since_fired"], jnp.int32),
        params=params,
    )
    one = jax.jit(
        lambda learner, x: train_step.update(learner, hparam, x, x, config, loss, how, total=10**6)
    )
    for number, x in enumerate(jnp.asarray(batches)):

        def expected(key, number=number):
            return DICTIONARY[f"out/{name}/{number}/{key}"]

        tolerance = 1e-5 if number == 0 else 1e-4
        before = losses.parts(
            learner.params,
            x,
            x,
            lambda f, s=learner.silent: jnp.where(f, 0, s + batches.shape[1]) >= how.dead_after,
            config,
            loss,
        )
        assert relative_error(before.error, expected("l2_loss")) < tolerance
        assert relative_error(before.aux, expected("auxk_loss")) < 10 * tolerance
        assert relative_error(before.total, expected("loss")) < tolerance
        if number == 0:
            learner = learner._replace(
                params=learner.params
                | {"b_dec": jnp.asarray(geometric_median(np.asarray(x, np.float64)), jnp.float32)}
            )
        learner, found = one(learner, x)
        assert relative_error(found.total, expected("update_loss")) < tolerance * 3
        if number:
            np.testing.assert_array_equal(learner.silent, expected("tokens_since_fired_after"))
        else:  # recorded before b_dec became the median
            since = DICTIONARY[f"in/{name}/num_tokens_since_fired"] + len(x)
            np.testing.assert_array_equal(
                np.where(before.fired, 0, since), expected("tokens_since_fired_after")
            )
        assert float(learner.threshold) == pytest.approx(
            float(expected("threshold_after")), rel=1e-4
        )
        if f"out/{name}/{number}/param_after_update/b_dec" in DICTIONARY.arrays:
            for key, value in ours(
                DICTIONARY.under(f"out/{name}/{number}/param_after_update/")
            ).items():
                np.testing.assert_allclose(
                    learner.params[key], value, atol=1e-5, err_msg=f"{key} after step {number}"
                )
    used = train_step.trained(learner, hparam, config)
    first = jnp.asarray(batches[0])
    by_threshold = activations.above(
        model.pre_activations(used, first, config),
        jnp.float32(DICTIONARY[f"out/{name}/infer/threshold"]),
    )
    assert relative_error(by_threshold, DICTIONARY[f"out/{name}/infer/encode_threshold"]) < 1e-4
    chosen = model.encode(used, first, config)
    assert (
        relative_error(
            chosen,
            DICTIONARY[f"out/{name}/infer/encode_{'topk' if name == 'topk' else 'threshold'}"],
        )
        < 1e-4
    )
