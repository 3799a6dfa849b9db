"""The identity, and what follows from it: ablation, completeness, curves, modality
shares, limits.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sae.classifier import head as classifier
from sae.classifier.head import Head
from sae.patterns import attribution
from sae.patterns.attribution import Attribution
from sae.transcoders import model, train_step
from sae.transcoders.model import TranscoderConfig

MEMBERS, WIDTH, LATENTS, PATTERNS = 3, 7, 10, 4


def setting(config, seed=0):
    keys = jax.random.split(jax.random.key(seed), 8)
    head = Head(
        jax.random.normal(keys[0], (WIDTH, 6)),
        0.3 * jax.random.normal(keys[1], (6,)),
        jax.random.normal(keys[2], (6, 2)),
        jax.random.normal(keys[3], (2,)),
    )
    params = jax.vmap(lambda key: model.init(key, config))(jax.random.split(keys[4], MEMBERS))
    params["W_dec"] = jax.random.normal(keys[5], params["W_dec"].shape)
    params["b_dec"] = jax.random.normal(keys[6], params["b_dec"].shape)
    if config.skip:
        params["W_skip"] = jax.random.normal(keys[7], params["W_skip"].shape)
    if config.activation == "batchtopk":
        params["threshold"] = jnp.full(MEMBERS, 0.3)
    return head, params


ASSIGNMENT = np.random.default_rng(0).integers(-1, PATTERNS, (MEMBERS, LATENTS))
X = np.asarray(jax.random.normal(jax.random.key(9), (5, WIDTH)))


@pytest.mark.parametrize(
    ("kind", "skip"),
    [
        ("relu", False),
        ("topk", True),
        ("batchtopk", False),
        ("jumprelu", False),
        ("gated", False),
        ("step", False),
    ],
)
def test_parts_add_up_and_equal_slow_sums(kind, skip):
    config = TranscoderConfig(WIDTH, 6, LATENTS, kind, 4, skip)
    head, params = setting(config)
    found = attribution.attribute_cases(head, params, ASSIGNMENT, PATTERNS, X, config)
    assert attribution.gap(found).max() <= 1e-5
    np.testing.assert_allclose(found.logit, classifier.logits(head, jnp.asarray(X)), rtol=1e-5)
    slow = np.zeros((5, PATTERNS + 1, 2))
    for m in range(MEMBERS):
        one = jax.tree.map(lambda a, m=m: a[m], params)
        z = np.asarray(model.encode(one, jnp.asarray(X), config))
        for i in range(LATENTS):
            slow[:, ASSIGNMENT[m, i]] += (
                z[:, i, None] * (np.asarray(one["W_dec"][i]) @ np.asarray(head.w2))[None] / MEMBERS
            )
    np.testing.assert_allclose(found.patterns, slow[:, :PATTERNS], atol=1e-5)
    np.testing.assert_allclose(found.uncatalogued, slow[:, -1], atol=1e-5)
    assert (np.asarray(found.skip) != 0).any() == skip


def test_ablating_a_pattern_moves_the_sum_by_exactly_its_part():
    config = TranscoderConfig(WIDTH, 6, LATENTS, "relu", 4)
    head, params = setting(config)
    whole = attribution.attribute_cases(head, params, ASSIGNMENT, PATTERNS, X, config)
    less = attribution.attribute_cases(
        head, attribution.ablate(params, ASSIGNMENT, 2), ASSIGNMENT, PATTERNS, X, config
    )
    moved = attribution.replaced(whole) - attribution.replaced(less)
    np.testing.assert_allclose(moved, whole.patterns[:, 2], atol=1e-5)
    np.testing.assert_allclose(
        attribution.without(whole, [2]), whole.logit - whole.patterns[:, 2], atol=1e-6
    )


def test_an_exact_transcoder_leaves_no_error():
    """Latents that are the hidden units themselves: W_enc = W1, W_dec = identity."""
    config = TranscoderConfig(WIDTH, 6, 6, "relu", 6)
    head, _ = setting(config)
    params = {
        "W_enc": head.w1[None],
        "b_enc": head.b1[None],
        "W_dec": jnp.eye(6)[None],
        "b_dec": jnp.zeros((1, 6)),
    }
    found = attribution.attribute_cases(head, params, np.arange(6)[None], 6, X, config)
    np.testing.assert_allclose(found.error, 0, atol=1e-5)
    np.testing.assert_allclose(attribution.faithfulness(found), 1, atol=1e-5)
    np.testing.assert_allclose(found.base, np.broadcast_to(head.b2, (5, 2)), atol=1e-6)


def test_double_precision_adds_up_to_1e_10():
    with jax.enable_x64(True):
        config = TranscoderConfig(WIDTH, 6, LATENTS, "topk", 4)
        head, params = jax.tree.map(
            lambda a: jnp.asarray(np.asarray(a, np.float64)), setting(config)
        )
        run = attribution._program(PATTERNS, config, None)
        found = run(head, params, jnp.asarray(ASSIGNMENT), jnp.asarray(X, jnp.float64))
        assert found.logit.dtype == jnp.float64
        assert float(attribution.gap(found).max()) < 1e-10


def test_what_does_not_add_up_is_not_returned(monkeypatch):
    config = TranscoderConfig(WIDTH, 6, LATENTS, "relu", 4)
    head, params = setting(config)
    found = attribution.attribute_cases(head, params, ASSIGNMENT, PATTERNS, X, config)
    broken = found._replace(
        base=np.asarray(found.base) + np.array([[0, 0], [0, 0.01], [0, 0], [0, 0], [0, 0]])
    )
    monkeypatch.setattr(attribution, "_program", lambda *_: lambda *_: broken)
    with pytest.raises(attribution.Incomplete, match="case 1"):
        attribution.attribute_cases(head, params, ASSIGNMENT, PATTERNS, X, config)


def test_permuted_latents_give_the_same_attribution():
    config = TranscoderConfig(WIDTH, 6, LATENTS, "topk", 4)
    head, params = setting(config)
    order = np.random.default_rng(1).permutation(LATENTS)
    other = params | {
        "W_enc": params["W_enc"][:, :, order],
        "b_enc": params["b_enc"][:, order],
        "W_dec": params["W_dec"][:, order],
    }
    a = attribution.attribute_cases(head, params, ASSIGNMENT, PATTERNS, X, config)
    b = attribution.attribute_cases(head, other, ASSIGNMENT[:, order], PATTERNS, X, config)
    np.testing.assert_allclose(a.patterns, b.patterns, atol=1e-5)


def test_image_share_is_one_zero_and_between():
    config = TranscoderConfig(WIDTH, 6, LATENTS, "relu", 4)
    head, params = setting(config)

    def share(params, width=4):
        return attribution.attribute_cases(
            head, params, ASSIGNMENT, PATTERNS, X, config, width
        ).image_share

    blind = params | {"W_enc": params["W_enc"].at[:, :4].set(0)}
    assert ((share(params) > 0) & (share(params) < 1)).any()
    active = (
        attribution.attribute_cases(head, blind, ASSIGNMENT, PATTERNS, X, config, 4).strength > 0
    )
    assert active.any() and (share(blind)[active] == 0).all()
    assert (share(params, None) == 1).all()


def test_strongest_by_hand():
    shown = attribution.strongest(np.array([0.0, 5.0, -3.0, 1.0, 1.0]), least=1, most=50)
    np.testing.assert_array_equal(shown.patterns, [1, 2, 3])
    assert (
        shown.needed == 3
        and shown.covered == pytest.approx(0.9)
        and shown.remaining == pytest.approx(1.0)
    )
    assert len(attribution.strongest(np.ones(100)).patterns) == 50
    assert len(attribution.strongest(np.r_[10.0, np.full(99, 1e-3)]).patterns) == 20
    assert len(attribution.strongest(np.zeros(5)).patterns) == 0


def test_deletion_and_insertion_meet_in_the_sum():
    amounts = np.array([[[1.0], [-2.0], [0.5]]])
    zero = np.zeros((1, 1))
    found = Attribution(
        np.array([[3.0]]), zero + 3.5, amounts, zero, zero, zero, np.zeros((1, 3)), np.ones((1, 3))
    )
    np.testing.assert_allclose(attribution.deletion_curve(found, 0), [[3, 5, 4, 3.5]])
    np.testing.assert_allclose(
        attribution.deletion_curve(found, 0, insert=True), [[3.5, 1.5, 2.5, 3.0]]
    )


def test_a_curved_target_is_complete_with_its_remainder():
    keys = jax.random.split(jax.random.key(0), 3)
    weights, parts = jax.random.normal(keys[0], (4, 2)), jax.random.normal(keys[1], (5, 4))
    function, reference = (lambda h: jnp.tanh(h) @ weights), jax.random.normal(keys[2], (4,))
    found = attribution.linearise(function, reference, parts)
    whole = found.start + found.parts.sum(0) + found.remainder
    np.testing.assert_allclose(whole, function(reference + parts.sum(0)), atol=1e-5)
    straight = attribution.linearise(lambda h: h @ weights, reference, parts)
    np.testing.assert_allclose(straight.remainder, 0, atol=1e-5)


def test_members_trained_on_scaled_rows_explain_raw_ones():
    config = TranscoderConfig(WIDTH, 6, LATENTS, "relu", 4)
    head, params = setting(config)
    scale = train_step.scaling(jnp.asarray(X), classifier.hidden(head, jnp.asarray(X)))
    folded = jax.vmap(lambda member: train_step.fold_scaling(member, scale))(params)
    assert (
        attribution.gap(
            attribution.attribute_cases(head, folded, ASSIGNMENT, PATTERNS, X, config)
        ).max()
        <= 1e-5
    )
