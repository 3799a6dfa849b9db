"""Transcoder ensembles that explain a classifier's predictions (CXR-LanIC, arXiv 2510.21464), and
sparse transcoders in general.
"""

from sae.attribution import Attribution, explain, strongest
from sae.catalogue import Catalogue, Pattern
from sae.classifier import Head
from sae.ensemble import EnsembleConfig
from sae.learn import Knobs, LearnConfig, Learner
from sae.losses import LossConfig, Parts
from sae.transcoder import TranscoderConfig, decode, encode, fold_norms, init, reconstruct

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
