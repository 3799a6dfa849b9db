"""Rules that say in words what collapses, from which number, and what to try. Plain numbers in,
sentences out.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Rules:
    """Thresholds. Our choice, all of them; the ideas behind them are in arXiv 2411.16550."""

    perplexity: float = 0.1
    """Tokens collapse below this share of the codebook's size."""
    mode_entropy: float = 0.7
    """Tokens collapse below this share of ln(modes)."""
    code_cosine: float = 0.5
    """Tokens collapse if the codes' mean cosine distance is below this share of the embeddings'."""
    rank: float = 0.5
    """Embeddings collapse if their effective rank is below this share of what it could be."""
    variance: float = 0.1
    """Embeddings collapse if their variance is below this share of a trained plain autoencoder's.
    """


@dataclass(frozen=True)
class Signs:
    """Measurements; a rule whose numbers are missing stays silent."""

    codes: int
    """K, the size of the codebook."""
    features: int
    """D, the width of the embeddings."""
    perplexity: float | None = None
    """Perplexity of the codes' usage over a data set."""
    mode_entropy: float | None = None
    """Entropy of decoded tokens over the modes of the data, in nats."""
    modes: int | None = None
    """Number of modes of the data."""
    code_cosine: float | None = None
    """Mean cosine distance of the codes."""
    embedding_cosine: float | None = None
    """Mean cosine distance of the embeddings."""
    effective_rank: float | None = None
    """Effective rank of the embeddings."""
    latent_rank: int | None = None
    """The true number of latent directions, if known."""
    variance: float | None = None
    """Variance of the embeddings."""
    reference_variance: float | None = None
    """Variance of the embeddings of a plain autoencoder, trained without quantization."""


class Alert(NamedTuple):
    """One thing that went wrong."""

    kind: str
    """Kind of collapse, "tokens" or "embeddings"."""
    sentence: str
    """Sentence for a report: the collapse, and the number that shows it."""
    remedy: str
    """Advice on what to try."""


TOKENS = (
    "train the autoencoder without quantization first, initialize the codes by k-means on its "
    "embeddings, then fine-tune; or restart "
    "dead codes"
)
EMBEDDINGS = "give the encoder more width or depth, or lower the weight of the commitment loss"


def alerts(signs: Signs, rules: Rules = Rules()) -> list[Alert]:
    """Everything that the rules complain about; empty if nothing."""
    tokens = [
        sentence for check in (_perplexity, _modes, _cosine) if (sentence := check(signs, rules))
    ]
    embeddings = [sentence for check in (_rank, _variance) if (sentence := check(signs, rules))]
    return [Alert("tokens", s, TOKENS) for s in tokens] + [
        Alert("embeddings", s, EMBEDDINGS) for s in embeddings
    ]


def _below(value: float | None, share: float, whole: float | None) -> bool:
    return value is not None and whole is not None and value < share * whole


def _perplexity(signs, rules):
    if _below(signs.perplexity, rules.perplexity, signs.codes):
        return (
            f"tokens collapse: usage has the perplexity of {signs.perplexity:.3g} codes out of "
            f"{signs.codes}"
        )
    return None


def _modes(signs, rules):
    if signs.mode_entropy is None or signs.modes is None or signs.modes < 2:
        return None
    if signs.mode_entropy < rules.mode_entropy * math.log(signs.modes):
        return (
            f"tokens collapse: they decode to few of the {signs.modes} modes of the data (entropy "
            f"{signs.mode_entropy:.3g} of at "
            f"most {math.log(signs.modes):.3g} nats)"
        )
    return None


def _cosine(signs, rules):
    low = _below(signs.code_cosine, rules.code_cosine, signs.embedding_cosine)
    return low and (
        "tokens collapse: codes are clustered, their mean cosine distance is "
        f"{signs.code_cosine:.3g} where that of the embeddings is {signs.embedding_cosine:.3g}"
    )


def _rank(signs, rules):
    possible = min(signs.features, signs.latent_rank or signs.features)
    return _below(signs.effective_rank, rules.rank, possible) and (
        f"embeddings collapse: they have an effective rank of {signs.effective_rank:.3g} "
        f"out of {possible}"
    )


def _variance(signs, rules):
    return _below(signs.variance, rules.variance, signs.reference_variance) and (
        f"embeddings collapse: their variance is {signs.variance:.3g}, that of a plain "
        f"autoencoder's {signs.reference_variance:.3g}"
    )
