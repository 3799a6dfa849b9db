"""The small image network: stopping, and its way into a file and back."""

import jax
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.classifier import small_encoder
from sae.classifier.small_encoder import EncoderConfig

CONFIG = EncoderConfig(width=4, features=6, size=16, epochs=2, batch=4)


def test_it_comes_back_from_arrays_and_stops_when_told():
    radiographs = np.random.default_rng(0).integers(0, 256, (8, 16, 16), np.uint8)
    given, mask = np.eye(8, 2, dtype=np.float32), np.ones((8, 2), np.float32)
    data = small_encoder.Labeled(radiographs, given, mask)
    params = small_encoder.train_encoder(data, CONFIG)
    held = small_encoder.to_arrays(params, CONFIG)
    again, config = small_encoder.from_arrays(held)
    assert config == CONFIG
    jax.tree.map(np.testing.assert_array_equal, again, params)
    asked = []
    assert (
        small_encoder.train_encoder(data, CONFIG, stop=lambda: not asked.append(1)) is None
        and len(asked) == 1
    )
    for bad in ({}, held | {"encoder/out/kernel": np.zeros((2, 2))}):
        with pytest.raises(UserError, match="image network is damaged"):
            small_encoder.from_arrays(bad)
