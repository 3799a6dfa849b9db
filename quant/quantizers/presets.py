"""Other libraries' defaults by name, for those who come from them. Beta means opposite things in
two of them: read the docstrings.
"""

from quant.codebooks.updates import Restart
from quant.quantizers.fsq import FSQConfig
from quant.quantizers.rvq import ResidualConfig
from quant.quantizers.simvq import SimVQConfig
from quant.quantizers.vq import VQConfig


def lucidrains(num_codes: int, dim: int, **changes) -> VQConfig:
    """`VectorQuantize(dim, codebook_size)` of vector-quantize-pytorch 1.32: EMA with decay 0.8,
    rotation trick, commitment 1, uniform (Kaiming) codes, which are small: ours begin uniform in
    +-1/K. `threshold_ema_dead_code=n` is `restart=Restart(threshold=n)`.
    """
    return VQConfig(
        num_codes,
        dim,
        **{
            "decay": 0.8,
            "smoothing": 1e-5,
            "commitment": 1.0,
            "wrapper": "rotation" if dim > 1 else "straight_through",
            "init": "uniform",
        }
        | changes,
    )


def lucidrains_residual(num_codes: int, dim: int, levels: int, **changes) -> ResidualConfig:
    """`ResidualVQ(dim, num_quantizers, codebook_size)`: every level passes the gradient on; ours
    gives one mean loss, theirs one per level.

    Args:
      num_codes: its `codebook_size`, K of every level.
      dim: features.
      levels: its `num_quantizers`.
      **changes: fields of `VQConfig`, of every level.
    """
    return ResidualConfig(lucidrains(num_codes, dim, **changes), levels, straight_through_all=True)


def lucidrains_fsq(levels: tuple[int, ...]) -> FSQConfig:
    """`FSQ(levels)`."""
    return FSQConfig(tuple(levels))


def lucidrains_simvq(num_codes: int, dim: int) -> SimVQConfig:
    """`SimVQ(dim, codebook_size)`: their `input_to_quantize_commit_loss_weight` 0.25 is our
    commitment.
    """
    return SimVQConfig(num_codes, dim, commitment=0.25, wrapper="rotation")


def haiku_ema(num_codes: int, dim: int, **changes) -> VQConfig:
    """`hk.nets.VectorQuantizerEMA(embedding_dim, num_embeddings, commitment_cost=0.25,
    decay=0.99)`. Haiku's averages are corrected for their zero start; ours begin at one row per
    code, so the first steps differ.
    """
    return VQConfig(
        num_codes,
        dim,
        **{"decay": 0.99, "smoothing": 1e-5, "commitment": 0.25, "init": "uniform"} | changes,
    )


def haiku(num_codes: int, dim: int, **changes) -> VQConfig:
    """`hk.nets.VectorQuantizer`: gradient codebook, commitment 0.25."""
    return VQConfig(
        num_codes,
        dim,
        **{"update": "gradient", "commitment": 0.25, "codebook_weight": 1.0, "init": "uniform"}
        | changes,
    )


def vqtorch(num_codes: int, dim: int, beta: float = 0.95, **changes) -> VQConfig:
    """`vqtorch.nn.VectorQuant`: there beta weights the side of the CODES and 1 - beta that of the
    embeddings, the opposite of VQ-VAE's beta. Random initial codes of standard deviation one are
    theirs; ours have D^-1/2.

    Args:
      num_codes: K.
      dim: features.
      beta: share of the codes' side, 0 to 1.
      **changes: fields of `VQConfig`.
    """
    return VQConfig(
        num_codes,
        dim,
        **{"update": "gradient", "commitment": 1 - beta, "codebook_weight": beta, "init": "normal"}
        | changes,
    )


def deferred(num_codes: int, dim: int, **changes) -> VQConfig:
    """The cure of the collapse study: k-means codes (give `init` embeddings of a pretrained
    encoder), EMA 0.99, commitment 0.25.
    """
    return VQConfig(
        num_codes, dim, **{"init": "kmeans", "decay": 0.99, "commitment": 0.25} | changes
    )


def with_restart(num_codes: int, dim: int, threshold: float | None = None, **changes) -> VQConfig:
    """VQ-VAE with replacement of codes that nothing chose for a while, or, with a threshold, of
    those that get fewer rows a step.

    Args:
      num_codes: K.
      dim: features.
      threshold: moving count of rows per step below which a code is replaced; None: codes that were
        not chosen for a while.
      **changes: fields of `VQConfig`.
    """
    return VQConfig(num_codes, dim, **{"restart": Restart(threshold=threshold)} | changes)
