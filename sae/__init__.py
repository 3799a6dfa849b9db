"""Transcoder ensembles that explain a classifier's predictions (CXR-LanIC, arXiv 2510.21464), and
sparse transcoders in general.
"""

import warnings
from typing import TYPE_CHECKING

from jaxrl.app import lazy
from sae import old_names

if TYPE_CHECKING:
    from sae.classifier.head import Head
    from sae.patterns.attribution import Attribution, attribute_cases, strongest
    from sae.patterns.catalogue import Catalogue, Pattern
    from sae.pipeline.explain import Artifacts, Explanation, load_artifacts
    from sae.transcoders.ensemble import EnsembleConfig
    from sae.transcoders.losses import LossConfig, Parts
    from sae.transcoders.model import (
        TranscoderConfig,
        decode,
        encode,
        fold_norms,
        init,
        reconstruct,
    )
    from sae.transcoders.train_step import LearnConfig, Learner, MemberHParams

__all__ = [
    "Artifacts",
    "Attribution",
    "Catalogue",
    "EnsembleConfig",
    "Explanation",
    "Head",
    "LearnConfig",
    "Learner",
    "LossConfig",
    "MemberHParams",
    "Parts",
    "Pattern",
    "TranscoderConfig",
    "attribute_cases",
    "decode",
    "encode",
    "explain",
    "fold_norms",
    "init",
    "load_artifacts",
    "reconstruct",
    "strongest",
]


def explain(run, image, *others, **options) -> "Explanation | Attribution":
    """Decompose the logits of one image by a trained run; see `sae.pipeline.explain.explain`.

    With a `Head` first it is `attribute_cases`, as in 0.1 (until 0.3).
    """
    from sae.classifier.head import Head
    from sae.patterns.attribution import attribute_cases
    from sae.pipeline.explain import explain

    if isinstance(run, Head):
        warnings.warn(
            "sae.explain of arrays is called sae.attribute_cases now; the old name works until 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        return attribute_cases(run, image, *others, **options)
    return explain(run, image, *others, **options)


__getattr__ = lazy.attributes(
    __name__,
    {
        "classifier.head": ("Head",),
        "patterns.attribution": ("Attribution", "attribute_cases", "strongest"),
        "patterns.catalogue": ("Catalogue", "Pattern"),
        "pipeline.explain": ("Artifacts", "Explanation", "load_artifacts"),
        "transcoders.ensemble": ("EnsembleConfig",),
        "transcoders.losses": ("LossConfig", "Parts"),
        "transcoders.model": (
            "TranscoderConfig",
            "decode",
            "encode",
            "fold_norms",
            "init",
            "reconstruct",
        ),
        "transcoders.train_step": ("LearnConfig", "Learner", "MemberHParams"),
    },
    {
        "Knobs": "sae.transcoders.train_step:MemberHParams",  # old name
        "learn": "sae.transcoders:train_step",
        "transcoder": "sae.transcoders:model",
        "losses": "sae.transcoders:losses",
        "activations": "sae.transcoders:activations",
        "ensemble": "sae.transcoders:ensemble",
    },
)
old_names.install()
