"""Sizes of the two towers."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class VisionConfig:
    """The vision tower; defaults are BiomedCLIP's."""

    size: int = 224
    """Height and width of the pixels that go in."""
    patch: int = 16
    """Height and width of a patch."""
    width: int = 768
    """Features of a token."""
    layers: int = 12
    """Number of blocks."""
    heads: int = 12
    """Heads of attention."""
    hidden: int = 3072
    """Width inside the MLPs."""
    features: int = 512
    """Width of the embedding."""


@dataclass(frozen=True)
class TextConfig:
    """The text tower; defaults are BiomedCLIP's."""

    vocabulary: int = 30522
    """Words of the tokenizer."""
    positions: int = 512
    """Largest number of tokens that the tables allow."""
    types: int = 2
    """Token types; only the first is used."""
    context: int = 256
    """Tokens that texts are cut or padded to."""
    width: int = 768
    """Features of a token."""
    layers: int = 12
    """Number of layers."""
    heads: int = 12
    """Heads of attention."""
    hidden: int = 3072
    """Width inside the MLPs."""
    bottleneck: int = 640
    """Width between the two layers of the projection."""
    features: int = 512
    """Width of the embedding."""


@dataclass(frozen=True)
class ClipConfig:
    """Both towers, and how pixels are normalized."""

    vision: VisionConfig = field(default_factory=VisionConfig)
    """Sizes of the tower of images."""
    text: TextConfig = field(default_factory=TextConfig)
    """Sizes of the tower of reports."""
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    """Means that are subtracted from red, green and blue in [0, 1]."""
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    """Standard deviations that the colors are divided by."""
