"""Frequencies by hand and by the published rule, rotation by complex numbers, and kinds that are
refused.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.llm.rope import Rope, frequencies, read_rope, rotation

LLAMA = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def slow(theta, head_dim):
    """Wavelength by wavelength."""
    found = []
    for i in range(0, head_dim, 2):
        rate = theta ** (-i / head_dim)
        length = 2 * np.pi / rate
        if length < 8192 / 4:
            found.append(rate)
        elif length > 8192:
            found.append(rate / 8)
        else:
            share = (8192 / length - 1) / 3
            found.append((1 - share) * rate / 8 + share * rate)
    return found


def test_frequencies():
    np.testing.assert_allclose(frequencies(Rope(10_000.0), 4), [1.0, 0.01])
    np.testing.assert_allclose(
        frequencies(read_rope({"rope_theta": 5e5, "rope_scaling": LLAMA}), 128), slow(5e5, 128)
    )


def test_configurations_old_and_new():
    assert (
        read_rope({"rope_theta": 5})
        == Rope(5.0)
        == read_rope({"rope_parameters": {"rope_theta": 5, "rope_type": "default"}})
    )
    assert read_rope({"rope_parameters": LLAMA | {"rope_theta": 5e5}}) == Rope(
        5e5, 8.0, 1.0, 4.0, 8192
    )
    with pytest.raises(UserError, match="'yarn'"):
        read_rope({"rope_theta": 1, "rope_scaling": {"type": "yarn"}})
    with pytest.raises(UserError, match="no rope_theta"):
        read_rope({})


def test_rotation_is_a_product_of_complex_numbers():
    rng = np.random.default_rng(0)
    x, positions = (
        rng.normal(size=(2, 3, 2, 8)).astype(np.float32),
        np.array([[0, 1, 2], [5, 6, 9]]),
    )
    turned = (x[..., :4] + 1j * x[..., 4:]) * np.exp(
        1j * positions[..., None, None] * frequencies(Rope(100.0), 8)
    )
    found = rotation(Rope(100.0))(jnp.asarray(x), jnp.asarray(positions), 8)
    np.testing.assert_allclose(found, np.concatenate([turned.real, turned.imag], -1), atol=1e-5)
