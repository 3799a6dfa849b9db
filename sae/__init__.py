"""Transcoder ensembles that explain a classifier's predictions (CXR-LanIC, arXiv 2510.21464), and
sparse transcoders in general.
"""

from sae.classifier.head import Head
from sae.patterns.attribution import Attribution, explain, strongest
from sae.patterns.catalogue import Catalogue, Pattern
from sae.transcoders.ensemble import EnsembleConfig
from sae.transcoders.losses import LossConfig, Parts
from sae.transcoders.model import TranscoderConfig, decode, encode, fold_norms, init, reconstruct
from sae.transcoders.train_step import Knobs, LearnConfig, Learner

__all__ = [
    "Attribution",
    "Catalogue",
    "EnsembleConfig",
    "Head",
    "Knobs",
    "LearnConfig",
    "Learner",
    "LossConfig",
    "Parts",
    "Pattern",
    "TranscoderConfig",
    "decode",
    "encode",
    "explain",
    "fold_norms",
    "init",
    "reconstruct",
    "strongest",
]
