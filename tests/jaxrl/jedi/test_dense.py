"""The networks on flattened latents, and an encoder without convolutions."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.jedi.agent import encode, init, networks, reward_end_memory
from jaxrl.jedi.learn.actor_critic import update_actor_critic
from jaxrl.jedi.learn.reward_end import update_reward_end
from jaxrl.jedi.learn.world_model import update_world_model
from jaxrl.nn.conv import depth_to_space, space_to_depth
from jaxrl.nn.encoder import FoldDecoder, FoldEncoder
from jaxrl.train.parallel import example_keys
from tests.jaxrl.jedi import small_agent

PLAIN = small_agent.CONFIG
CONFIG = replace(
    PLAIN,
    encoder=replace(PLAIN.encoder, kind="fold", norm="position"),
    denoiser=replace(PLAIN.denoiser, kind="dense"),
    reward_end=replace(PLAIN.reward_end, kind="dense", lstm_width=0),
    actor_critic=replace(PLAIN.actor_critic, kind="dense"),
    behavior=replace(PLAIN.behavior, normalize=True, replay_weight=1.0, replay_length=3),
)


OPEN_LOOP = replace(CONFIG.reward_end_learning, open_loop_share=0.5)
POOLED = replace(
    CONFIG,
    reward_end=replace(CONFIG.reward_end, kind="pooled"),
    reward_end_learning=replace(OPEN_LOOP, sampled_share=0.0),
    actor_critic=replace(PLAIN.actor_critic, kind="pooled"),
    behavior=replace(CONFIG.behavior, lookahead=True, gradient_steps=2),
)
"""A model of rewards that sees local events only, learned open loop, and a policy that sees local
features, learned from all actions.
"""


@pytest.fixture(scope="module", params=[CONFIG, POOLED], ids=["dense", "pooled"])
def agent(request):
    return init(request.param, small_agent.ACTIONS, small_agent.FRAME, jax.random.key(0))


def test_every_part_learns_and_nothing_else_moves(agent):
    key = jax.random.key(1)
    steps = {
        "world": (update_world_model, (4,), 4),
        "reward_end": (update_reward_end, (4,), 5),
        "policy": (update_actor_critic, (4, 2), 5),
    }
    for part, (update, leading, size) in steps.items():
        step, after = jax.jit(update), agent
        batch = small_agent.segments(key, leading, size)
        for number in range(3):  # the first has learning rate 0
            after, metrics = step(after, batch, jax.random.fold_in(key, number))
        assert np.isfinite(jax.tree.leaves(metrics)).all()
        for other in ("world", "reward_end", "policy"):
            same = all(
                np.array_equal(a, b)
                for a, b in zip(
                    jax.tree.leaves(getattr(agent, other).params),
                    jax.tree.leaves(getattr(after, other).params),
                    strict=True,
                )
            )
            assert same == (other != part), (part, other)


def test_a_model_of_rewards_without_memory_knows_only_the_step(agent):
    """The same pair of latents gives the same logits wherever it stands in a sequence, and the
    action counts.
    """
    keys = jax.random.split(jax.random.key(2), 3)
    z = jax.random.normal(keys[0], (5, *agent.spec.latent_shape))
    model, action = networks(agent.spec).reward_end, jnp.array([0, 1, 2, 0])
    params = jax.tree.map(
        lambda p: p + 0.1 * jax.random.normal(keys[1], p.shape), agent.reward_end.params
    )
    memory = reward_end_memory(agent.spec, ())
    assert memory.hidden.shape == (0,)

    def logits(z, z_next, action):
        _, reward, end = model.apply({"params": params}, memory, z, z_next, action)
        return jnp.concatenate([reward, end], -1)

    whole = logits(z[:-1], z[1:], action)
    np.testing.assert_allclose(whole[2:3], logits(z[2:3], z[3:4], action[2:3]), atol=1e-5)
    other = logits(z[2:3], z[3:4], jnp.array([1]))
    assert not np.allclose(whole[2:3], other, atol=1e-3)


def test_the_denoiser_begins_at_zero_and_reads_action_context_and_noise(agent):
    params = agent.world.params["denoiser"]
    keys = example_keys(jax.random.key(3), 4)
    context = jax.random.normal(keys[0], (2, *agent.spec.latent_shape))
    noisy = jax.random.normal(keys[1], agent.spec.latent_shape)
    action, model = jnp.array([0, 1]), networks(agent.spec).denoiser

    def output(params, noisy=noisy, context=context, action=action, level=0.1):
        return model.apply({"params": params}, noisy, jnp.float32(level), context, action)

    np.testing.assert_array_equal(output(params), 0)
    leaves, tree = jax.tree.flatten(params)
    moved = [
        p + 0.1 * jax.random.normal(jax.random.fold_in(keys[2], i), p.shape)
        for i, p in enumerate(leaves)
    ]
    moved = jax.tree.unflatten(tree, moved)
    plain = output(moved)
    assert plain.shape == noisy.shape
    for other in (
        output(moved, action=jnp.array([0, 2])),
        output(moved, action=jnp.array([2, 1])),
        output(moved, context=context.at[0].add(0.5)),
        output(moved, noisy=noisy + 0.5),
        output(moved, level=0.4),
    ):
        assert np.abs(other - plain).max() > 1e-3


def test_a_folded_square_is_seen_by_its_own_latent_alone():
    module, key = FoldEncoder((8, 8), 4), jax.random.key(4)
    frame = jax.random.normal(key, (16, 16, 3))
    params = module.init(key, frame)
    plain = module.apply(params, frame)
    changed = module.apply(params, frame.at[4:8, 8:12].add(1.0))
    differs = np.abs(changed - plain).max(-1) > 1e-6
    assert plain.shape == (4, 4, 4) and differs[1, 2] and differs.sum() == 1


def test_latents_have_the_scale_of_their_norm(agent):
    frames = small_agent.segments(jax.random.key(5), (2,), 3).frame
    z = encode(agent, frames)
    np.testing.assert_allclose(jnp.sqrt(jnp.square(z).mean(-1)), 0.5, atol=1e-2)


def test_unfolding_is_the_inverse_of_folding_and_local():
    key = jax.random.key(6)
    frame = jax.random.normal(key, (2, 8, 12, 3))
    np.testing.assert_array_equal(depth_to_space(space_to_depth(frame, 4), 4), frame)
    decoder, z = FoldDecoder((8, 8)), jax.random.normal(key, (2, 3, 5))
    params = decoder.init(key, z)
    plain, changed = decoder.apply(params, z), decoder.apply(params, z.at[1, 2].add(1.0))
    assert plain.shape == (8, 12, 3)
    differs = np.abs(changed - plain).max(-1) > 1e-6
    assert differs[4:8, 8:12].all() and differs.sum() == 16
