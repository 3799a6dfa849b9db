"""Settings of the peers by name, for a transcoder of given widths: shape, loss and optimizer.
Widths, k and rates are theirs unless given.

Batch sizes, data and stopping are the caller's. What differs from a peer: initial weights are drawn
otherwise, and Adam stands where sparsify may use signum.
"""

from dataclasses import replace

from sae.transcoders.losses import LossConfig
from sae.transcoders.model import TranscoderConfig
from sae.transcoders.train_step import LearnConfig, Setting


def lanse(d_in: int = 1024, d_out: int = 1024) -> Setting:
    """Language-grounded sparse encoders (code of arXiv 2508.18236): step activation, top 32 of
    2048, Adam, free decoder.

    Not repeated: its code lets latents 0 to 31 and the last one die forever, and draws members
    without seeds.
    """
    shape = TranscoderConfig(d_in, d_out, 2048, "step", 32, decoder_norm=1.0, encoder_norm=1.0)
    return Setting(
        shape, LossConfig(by_variance=False, aux=0.0), LearnConfig(1e-3, 0, 0.0, unit_rows=False)
    )


def matryoshka_tang(d_in: int = 768, d_out: int = 256) -> Setting:
    """Matryoshka transcoders (arXiv 2511.10094 and its code): five levels with decoders of their
    own, top-k in every block.

    Its code adds 0.01 of the mean |z| to the mean squared error; here both are sums, and |z| counts
    by the lengths of decoder rows.
    """
    shape = TranscoderConfig(
        d_in,
        d_out,
        2048,
        "topk",
        496,
        prefixes=(128, 256, 512, 1024, 2048),
        block_ks=(16, 32, 64, 128, 256),
        separate=True,
        decoder_norm=1.0,
        encoder_norm=1.0,
    )
    loss = LossConfig(
        by_variance=False,
        aux=0.0,
        l1=0.01 * d_out / 2048,
        prefix_weights=(0.1, 0.15, 0.2, 0.25, 0.3),
    )
    return Setting(
        shape, loss, LearnConfig(1e-4, 0, 1.0, "cosine", weight_decay=1e-5, unit_rows=False)
    )


def saelens_topk(d: int = 768, latents: int = 16384) -> Setting:
    """SAELens 6.54's TopK autoencoder: top-k of pre-activations times row lengths, aux-k of raw
    pre-activations.
    """
    shape = TranscoderConfig(d, d, latents, "topk", 100, centered=True, rescale=True)
    loss = LossConfig(by_variance=False, aux=1.0, aux_relu=False, aux_by="none")
    return Setting(shape, loss, LearnConfig(3e-4, 0, 0.0, unit_rows=False, clip_norm=1e9))


def openai_topk(d: int = 768, latents: int = 32768) -> Setting:
    """OpenAI's TopK autoencoder (arXiv 2406.04093): k = 32, 256 auxiliary latents, unit rows."""
    shape = TranscoderConfig(
        d, d, latents, "topk", 32, centered=True, decoder_norm=1.0, encoder_norm=1.0
    )
    learn = LearnConfig(1e-4, 0, 0.0, epsilon=6.25e-10, unit_rows=True, dead_after=10_000_000)
    return Setting(
        shape, LossConfig(aux=1 / 32, aux_k=256, aux_by="residual", aux_scaled=False), learn
    )


def dictionary_learning_batchtopk(d: int = 768, latents: int = 16384) -> Setting:
    """dictionary-learning 0.1's BatchTopK autoencoder."""
    shape = TranscoderConfig(
        d, d, latents, "batchtopk", 64, centered=True, decoder_norm=1.0, encoder_norm=1.0
    )
    learn = LearnConfig(
        0.0,
        1000,
        0.2,
        unit_rows=True,
        dead_after=10_000_000,
        threshold_decay=0.999,
        threshold_start=1001,
    )
    return Setting(shape, LossConfig(by_variance=False, aux_by="residual", aux_scaled=False), learn)


def sparsify_transcoder(d: int = 768, latents: int = 24576) -> Setting:
    """sparsify 1.3's transcoder (the map is square there): top 32, FVU as the loss, no auxiliary
    term.
    """
    shape = TranscoderConfig(d, d, latents, "topk", 32, encoder_norm=1.0)
    learn = LearnConfig(0.0, 1000, 1.0, unit_rows=True, dead_after=10_000_000)
    return Setting(shape, LossConfig(aux=0.0), learn)


def gemma_jumprelu(d: int = 2304, latents: int = 16384) -> Setting:
    """JumpReLU as in Gemma Scope (arXiv 2407.14435, 2408.05147): straight-through thresholds, L0
    price, first moment undecayed.
    """
    shape = TranscoderConfig(
        d,
        d,
        latents,
        "jumprelu",
        64,
        centered=True,
        bandwidth=0.001,
        first_threshold=0.001,
        encoder_norm=1.0,
    )
    return Setting(
        shape,
        LossConfig(by_variance=False, aux=0.0, l0=6e-4),
        LearnConfig(7e-5, 1000, 0.0, beta1=0.0, unit_rows=True),
    )


PRESETS = {
    "lanse": lanse,
    "matryoshka_tang": matryoshka_tang,
    "saelens_topk": saelens_topk,
    "openai_topk": openai_topk,
    "dictionary_learning_batchtopk": dictionary_learning_batchtopk,
    "sparsify_transcoder": sparsify_transcoder,
    "gemma_jumprelu": gemma_jumprelu,
}
"""Presets by name, for command lines."""


def resized(setting: Setting, latents: int, k: float) -> Setting:
    """The same setting with other sizes; nested widths shrink in proportion."""
    shape = setting.transcoder
    prefixes = tuple(max(1, p * latents // shape.latents) for p in shape.prefixes)
    blocks = tuple(max(1, round(b * k / shape.k)) for b in shape.block_ks)
    return setting._replace(
        transcoder=replace(shape, latents=latents, k=k, prefixes=prefixes, block_ks=blocks)
    )
