"""The head: masks, calibration, what it learns, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.classifier import head as classifier
from sae.classifier.head import ClassifierConfig, Head

CONFIG = ClassifierConfig(hidden=16, epochs=30, batch=64, learning_rate=1e-2)


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((700, 6)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.stack([x[:, 0] * x[:, 1] > 0, x[:, 2] > 0.3], 1).astype(np.float32)
    return x, y, np.ones_like(y)


def test_it_learns_and_says_how_well(data):
    x, y, mask = data
    head, history = classifier.train_head(
        (x[:500], y[:500], mask[:500]), (x[500:600], y[500:600], mask[500:600]), CONFIG
    )
    scores = classifier.evaluate(head, x[600:], y[600:], mask[600:], ("product", "line"))
    assert scores["line"]["auc"] > 0.95 and scores["product"]["auc"] > 0.9
    assert scores["line"]["low"] <= scores["line"]["auc"] <= scores["line"]["high"]
    assert len(history["validate"]) == 30 and 0.25 <= history["temperature"] <= 4


def test_masked_labels_have_no_influence(data):
    x, y, mask = data
    head = Head(jnp.ones((6, 4)), jnp.zeros(4), jnp.ones((4, 2)), jnp.zeros(2))
    hidden = mask.copy()
    hidden[::2, 1] = 0
    other = np.where(hidden > 0, y, 0.7)

    def loss(y):
        return classifier.masked_loss(head, jnp.asarray(x), jnp.asarray(y), jnp.asarray(hidden))

    np.testing.assert_allclose(loss(y), loss(other), rtol=1e-6)
    assert (
        jax.grad(
            lambda h: classifier.masked_loss(h, jnp.asarray(x), jnp.asarray(y), jnp.zeros((700, 2)))
        )(head).w1.sum()
        == 0
    )


def test_temperature_undoes_a_wrong_scale(data):
    x, y, mask = data
    held = (jnp.asarray(x), jnp.asarray(y), jnp.asarray(mask))
    head, _ = classifier.train_head((x, y, mask), (x, y, mask), CONFIG)
    before = float(classifier._temperature(head, held))
    sharp = head._replace(w2=head.w2 * 3, b2=head.b2 * 3)
    assert float(classifier._temperature(sharp, held)) == pytest.approx(3 * before, rel=0.06)


def test_text_warns_of_the_leak_and_missing_parts_are_refused():
    image, text = np.ones((3, 4)), np.ones((3, 2))
    assert classifier.inputs(image, text, "image").shape == (3, 4)
    with pytest.warns(UserWarning, match="not diagnosis from images"):
        assert classifier.inputs(image, text, "both").shape == (3, 6)
    with pytest.raises(UserError, match="modality both needs reports"):
        classifier.inputs(image, None, "both")
    with pytest.raises(UserError, match="modality image needs images"):
        classifier.inputs(None, text, "image")


def test_a_finding_with_one_kind_of_label_is_refused(data):
    x, y, mask = data
    y = y.copy()
    y[:, 1] = 0
    with pytest.raises(UserError, match="finding 1 has only one kind of label"):
        classifier.train_head((x, y, mask), (x, y, mask), CONFIG)
    with pytest.raises(UserError, match="finding Fracture has only"):
        classifier.train_head((x, y, mask), (x, y, mask), CONFIG, names=("Edema", "Fracture"))
