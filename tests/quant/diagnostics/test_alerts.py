"""Every rule speaks on its own side of its threshold, names the number, and stays silent without
it.
"""

import dataclasses
import math

import pytest

from quant.diagnostics import Rules, Signs, alerts

HEALTHY = Signs(
    codes=256,
    features=8,
    perplexity=200.0,
    mode_entropy=2.2,
    modes=10,
    code_cosine=0.9,
    embedding_cosine=0.95,
    effective_rank=3.8,
    latent_rank=4,
    variance=2.0,
    reference_variance=2.5,
)


def test_a_healthy_codebook_raises_no_alert():
    assert alerts(HEALTHY) == []
    assert alerts(Signs(codes=256, features=8)) == []


@pytest.mark.parametrize(
    "field, sick, well, kind, words",
    [
        ("perplexity", 25.5, 25.7, "tokens", "25.5 codes out of 256"),
        ("mode_entropy", 0.69 * math.log(10), 0.71 * math.log(10), "tokens", "10 modes"),
        ("code_cosine", 0.47, 0.48, "tokens", "0.47"),
        ("effective_rank", 1.99, 2.01, "embeddings", "1.99 out of 4"),
        ("variance", 0.24, 0.26, "embeddings", "0.24"),
    ],
)
def test_each_rule_at_its_threshold(field, sick, well, kind, words):
    assert alerts(dataclasses.replace(HEALTHY, **{field: well})) == []
    (found,) = alerts(dataclasses.replace(HEALTHY, **{field: sick}))
    assert (
        found.kind == kind
        and words in found.sentence
        and found.sentence.startswith(f"{kind} collapse")
    )
    assert ("k-means" in found.remedy) == (kind == "tokens")


def test_the_rank_is_judged_by_the_width_if_nothing_else_is_known():
    (found,) = alerts(dataclasses.replace(HEALTHY, latent_rank=None))
    assert "3.8 out of 8" in found.sentence


def test_thresholds_can_be_moved():
    assert len(alerts(HEALTHY, Rules(perplexity=0.9, variance=0.9))) == 2
