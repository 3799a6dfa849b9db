"""Encoding chunk by chunk gives the same latents, and needs less memory."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.jedi.agent import encode, init
from jaxrl.jedi.config import AgentConfig
from jaxrl.jedi.nets.encoder import EncoderConfig
from jaxrl.jedi.presets import tiny

CONFIG = replace(tiny("catch").agent, encoder=EncoderConfig("conv", (8, 8, 8), 4))
FRAMES = jax.random.randint(jax.random.key(1), (3, 7, 32, 32, 3), 0, 256).astype(jnp.uint8)
MASK = jnp.arange(21).reshape(3, 7) % 5 > 0


def agent(chunk: int, config: AgentConfig = CONFIG):
    return init(replace(config, encode_chunk=chunk), 3, (32, 32, 3), jax.random.key(0))


@pytest.fixture(scope="module")
def whole():
    return jax.jit(encode)(agent(0), FRAMES, MASK)


@pytest.mark.parametrize("chunk", [1, 4, 21, 50])
def test_chunks_give_the_same_latents(whole, chunk):
    np.testing.assert_allclose(
        jax.jit(encode)(agent(chunk), FRAMES, MASK), whole, rtol=1e-5, atol=1e-6
    )
    assert (whole[~MASK] == 0).all() and (jnp.abs(whole[MASK]).sum((1, 2, 3)) > 0).all()


def test_a_frame_alone_and_many_agents_are_encoded_too(whole):
    np.testing.assert_allclose(encode(agent(4), FRAMES[0, 1]), whole[0, 1], rtol=1e-5, atol=1e-6)
    two = jax.tree.map(lambda a: jnp.stack([a, a]), agent(4))
    np.testing.assert_allclose(
        jax.vmap(encode, (0, None, None))(two, FRAMES, MASK)[1], whole, rtol=1e-5, atol=1e-6
    )


def test_chunks_need_less_memory():
    frames = jax.ShapeDtypeStruct((160, 32, 32, 3), jnp.uint8)

    def temporary(chunk):
        return (
            jax.jit(encode)
            .lower(agent(chunk), frames)
            .compile()
            .memory_analysis()
            .temp_size_in_bytes
        )

    assert temporary(16) < 0.4 * temporary(0)
