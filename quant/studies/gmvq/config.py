"""Configuration of the GM-VQ study: methods, cells, presets."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

from jaxrl.app.errors import UserError
from quant.codebooks.updates import Restart
from quant.quantizers import fsq, gmvq, grouped, gumbel_vq, sqvae, vq

BaselineName = Literal["vq", "vq-restart", "sq-vae", "gumbel-vq", "fsq"]
VariantName = Literal[
    "gm-vq",
    "gm-vq-literal",
    "gm-vq-elbo",
    "gm-vq-quiet",
    "gm-vq-learned-spread",
    "gm-vq-even-weights",
    "gm-vq-hard",
    "gm-vq-sharp-start",
]
MethodName = BaselineName | VariantName


class Quantizer(NamedTuple):
    """A quantizer's functions and its configuration. Static under jit."""

    functions: ModuleType
    config: Any

    @property
    def soft(self) -> bool:
        """True if it has probabilities, and takes a temperature."""
        return hasattr(self.functions, "log_posterior")


@dataclass(frozen=True)
class Learning:
    """Updates of encoder, decoder and quantizer. Optimizer and schedule follow Huh et al. 2023, as
    the paper does; but for the presets, lengths and rates are ours.
    """

    steps: int = 3000
    """Number of updates."""
    learning_rate: float = 1e-3
    """Learning rate of AdamW after the warm-up; it falls to 0 along a cosine."""
    warmup: float = 0.1
    """Share of the updates over which the learning rate rises."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW, whose betas are 0.9 and 0.95."""
    temperature: float = 1.0
    """Temperature of relaxed choices at first."""
    cold: float = 0.1
    """Temperature in the end."""
    cooling: float = 0.5
    """Share of the updates over which it falls, exponentially. Our choice: the paper's schedule is
    not known.
    """
    every: int = 100
    """Updates of one call, and between two points of the curves."""
    sample: int = 4096
    """Examples whose embeddings the codes are put on."""
    resident_gib: float = 2.0
    """Examples up to this size stay on the device; larger sets are sent batch by batch."""


@dataclass(frozen=True)
class GMVQStudyConfig:
    """Data, methods and lengths of the study."""

    data: str = "digits"
    """digits, patches, mixture, fashion_mnist, idx:PATH, folder:PATH, FILE.npz, generated (pictures
    of noise: for speed only), or a prepared tensorflow-datasets name such as cifar10.
    """
    data_dir: str | None = None
    """Folder of tensorflow-datasets."""
    crop: int | None = None
    """Pixels of the middle square that prepared images are cut to, before they are brought to
    `size`.
    """
    size: int = 32
    """Pixels of the sides, of folders, cropped and generated images."""
    baselines: tuple[BaselineName, ...] = get_args(BaselineName)
    """vq and vq-restart: EMA codebook; sq-vae; gumbel-vq: logits by a linear layer; fsq: as many
    codes by rounding, behind a linear layer. Once each.
    """
    variants: tuple[VariantName, ...] = get_args(VariantName)
    """gm-vq: ALBO as sampled; literal: as written; elbo: the true bound; quiet: without noise;
    learned-spread: its width learned, not the distance; even-weights: features weigh the same;
    hard: one code in training too; sharp-start: weights that begin decided. Once each at the first
    beta, gamma, batch.
    """
    betas: tuple[float, ...] = (1e-3, 0.0, 1e-2, 1e-1)
    """Weight of the KL: the entropy regularization. gm-vq and gm-vq-elbo are run with each."""
    gammas: tuple[float, ...] = (1e-5, 1e-3, 1e-1)
    """Weight of the soft commitment. gm-vq is run with each."""
    batches: tuple[int, ...] = (128, 16)
    """Examples of an update: the mean posterior is that of a batch. gm-vq is run with each."""
    codes: int = 64
    latent: int = 8
    """Features of a token."""
    width: int = 64
    """Width of the encoder: features or channels of its hidden layers."""
    levels: int = 2
    """Halvings of images of 16 x 16 and more; smaller ones are one token."""
    dense_tokens: int = 0
    """Tokens of an image by perceptrons instead of convolutions; 0: as `levels` says."""
    seeds: int = 3
    """Number of seeds, trained together."""
    seed: int = 0
    """First seed."""
    learn: Learning = Learning()
    draws: int = 64
    """Random networks in the figure of gradient bias over entropy; 0 leaves it out."""

    def cells(self) -> list["Cell"]:
        """Baselines, variants, then the sweeps of one setting at a time, without repetition."""
        first = Cell("gm-vq", self.betas[0], self.gammas[0], self.batches[0])
        cells = [replace(first, method=name) for name in (*self.baselines, *self.variants)]
        if "gm-vq" in self.variants:
            cells += [replace(first, beta=beta) for beta in self.betas]
            cells += [replace(first, gamma=gamma) for gamma in self.gammas]
            cells += [replace(first, batch=batch) for batch in self.batches]
        if "gm-vq-elbo" in self.variants:
            cells += [replace(first, method="gm-vq-elbo", beta=beta) for beta in self.betas]
        return list(dict.fromkeys(cells))


@dataclass(frozen=True)
class Cell:
    """One training, with all its seeds. Baselines take the batch alone from it."""

    method: MethodName
    beta: float
    gamma: float
    batch: int

    @property
    def name(self) -> str:
        """For files and tables."""
        if self.method in METHODS and METHODS[self.method].baseline:
            return f"{self.method}-batch{self.batch}"
        return f"{self.method}-beta{self.beta:g}-gamma{self.gamma:g}-batch{self.batch}"


class Method(NamedTuple):
    """Maker of a cell's quantizer: `(cell, codes, features, tokens of an example) ->
    Quantizer`.
    """

    make: Callable[[Cell, int, int, int], Quantizer]
    baseline: bool


def _gmvq(**changes) -> Method:
    def make(cell, codes, features, tokens):
        config = gmvq.GMVQConfig(
            codes, features, beta=cell.beta, gamma=cell.gamma, init="kmeans", **changes
        )
        return Quantizer(gmvq, config)

    return Method(make, False)


def _sqvae(codes, features, tokens):
    """The authors' settings, but for a smaller first variance where a token has few features (Our
    choice).
    """
    few = {"log_variance": -2.0} if features < 32 else {}
    return sqvae.SQVAEConfig(codes, features, weight=tokens, **few)


LARGEST_LEVEL = 8
"""Levels of a feature of FSQ that are tried (Our choice; the paper takes 5 to 8)."""


def fsq_levels(codes: int) -> tuple[int, ...]:
    """Levels whose product is exactly `codes`: of as few features as possible, and of these the
    ones whose smallest number is largest.

    Raises:
      UserError: there are none.
    """
    choices = range(LARGEST_LEVEL, 1, -1)
    for count in range(1, max(codes, 2).bit_length() + 1):
        found = [
            levels
            for levels in itertools.combinations_with_replacement(choices, count)
            if math.prod(levels) == codes
        ]
        if found:
            return max(found, key=min)
    raise UserError(
        f"codes is {codes}: FSQ needs a product of numbers up to {LARGEST_LEVEL}; choose such a "
        "number, or leave fsq out of --baselines"
    )


def _fsq(cell: Cell, codes: int, features: int, tokens: int) -> Quantizer:
    config = grouped.GroupedConfig((fsq.FSQConfig(fsq_levels(codes)),), width=features)
    return Quantizer(grouped, config)


METHODS: dict[str, Method] = {
    "vq": Method(lambda cell, k, d, tokens: Quantizer(vq, vq.VQConfig(k, d, init="kmeans")), True),
    "vq-restart": Method(
        lambda cell, k, d, tokens: Quantizer(
            vq, vq.VQConfig(k, d, init="kmeans", restart=Restart())
        ),
        True,
    ),
    "sq-vae": Method(lambda cell, k, d, tokens: Quantizer(sqvae, _sqvae(k, d, tokens)), True),
    "gumbel-vq": Method(
        lambda cell, k, d, tokens: Quantizer(gumbel_vq, gumbel_vq.GumbelVQConfig(k, d)), True
    ),
    "fsq": Method(_fsq, True),
    "gm-vq": _gmvq(),
    "gm-vq-literal": _gmvq(objective="literal"),
    "gm-vq-elbo": _gmvq(objective="elbo"),
    "gm-vq-quiet": _gmvq(noise=False),
    "gm-vq-learned-spread": _gmvq(spread="learned"),
    "gm-vq-even-weights": _gmvq(learn_weights=False),
    "gm-vq-hard": _gmvq(hard=True),
    "gm-vq-sharp-start": _gmvq(softness=1.0),
}


def check(config: GMVQStudyConfig) -> None:
    """Refuse what cannot be run.

    Raises:
      UserError: naming the field.
    """
    for name in ("seeds", "codes", "latent", "width", "levels", "size"):
        if getattr(config, name) < 1:
            raise UserError(f"{name} is {getattr(config, name)}: it must be at least 1")
    if config.dense_tokens < 0:
        raise UserError(f"dense_tokens is {config.dense_tokens}: a number of tokens, or 0")
    if "fsq" in config.baselines:
        fsq_levels(config.codes)
    for name in ("betas", "gammas", "batches"):
        if not getattr(config, name):
            raise UserError(f"{name} is empty: name at least one")
    if not config.baselines and not config.variants:
        raise UserError("baselines and variants are both empty: name at least one method")
    if min(*config.betas, *config.gammas, 0) < 0 or min(config.batches) < 1:
        raise UserError("betas and gammas must be at least 0, and batches at least 1")
    learn = config.learn
    if learn.every < 1 or learn.steps < learn.every:
        raise UserError(
            f"learn.steps is {learn.steps}, fewer than learn.every ({learn.every}): curves would "
            "be empty"
        )
    if not 0 < learn.cold <= learn.temperature:
        raise UserError(
            f"learn.cold is {learn.cold}: it must lie above 0 and not above learn.temperature "
            f"({learn.temperature})"
        )
    if not (0 <= learn.warmup < 1 and 0 < learn.cooling <= 1):
        raise UserError(
            f"learn.warmup ({learn.warmup}) and learn.cooling ({learn.cooling}) are shares of the "
            "updates"
        )


def tiny() -> GMVQStudyConfig:
    """Preset that runs all parts quickly: digits, two seeds, four methods, a minute on a CPU."""
    return GMVQStudyConfig(
        baselines=("vq", "gumbel-vq"),
        variants=("gm-vq", "gm-vq-elbo"),
        betas=(1e-3, 1e-1),
        gammas=(1e-5,),
        batches=(128,),
        seeds=2,
        learn=Learning(steps=600),
        draws=16,
    )


def digits() -> GMVQStudyConfig:
    """Everything on digits."""
    return GMVQStudyConfig(learn=Learning(steps=10_000))


def patches() -> GMVQStudyConfig:
    """Everything on squares of two photos."""
    return GMVQStudyConfig(data="patches", codes=256, learn=Learning(steps=10_000))


def fashion_mnist() -> GMVQStudyConfig:
    """All baselines and GM-VQ with both starts on real images at equal bits, at sizes for one core:
    16 tokens of 8 features by perceptrons, 256 codes, three seeds.
    """
    return GMVQStudyConfig(
        data="fashion_mnist",
        variants=("gm-vq", "gm-vq-elbo", "gm-vq-sharp-start"),
        betas=(1e-3,),
        gammas=(1e-5,),
        batches=(64,),
        codes=256,
        width=256,
        dense_tokens=16,
        draws=0,
        learn=Learning(steps=3000, sample=1024),
    )


def cifar10() -> GMVQStudyConfig:
    """CIFAR-10 at the paper's sizes, as far as known: 32 x 32 to 8 x 8 tokens of 64 features, 1024
    codes, AdamW 1e-4, 90 epochs of which 10 warm up. Batch, temperatures and weights are ours, and
    so are the blocks of encoder and decoder (JEDI's). For an accelerator.
    """
    epoch = 50_000 // 128
    learn = Learning(steps=90 * epoch, learning_rate=1e-4, warmup=1 / 9, every=epoch)
    return GMVQStudyConfig(data="cifar10", codes=1024, latent=64, seeds=1, learn=learn)


def celeba128() -> GMVQStudyConfig:
    """CelebA, cut to 140 x 140 and brought to 128 x 128; otherwise as cifar10. Our choice: three
    halvings, so 16 x 16 tokens.
    """
    epoch = 162_770 // 128
    learn = Learning(
        steps=90 * epoch, learning_rate=1e-4, warmup=1 / 9, every=epoch // 4, sample=512
    )
    return GMVQStudyConfig(
        data="celeb_a", crop=140, size=128, codes=1024, latent=64, levels=3, seeds=1, learn=learn
    )


def generated() -> GMVQStudyConfig:
    """Images of noise in CIFAR-10's sizes: what a device trains per second, and nothing else."""
    return replace(
        cifar10(),
        data="generated",
        variants=("gm-vq",),
        betas=(1e-3,),
        gammas=(1e-5,),
        batches=(128,),
        draws=0,
        learn=Learning(steps=300, learning_rate=1e-4, every=50),
    )


PRESETS = {
    "tiny": tiny,
    "digits": digits,
    "patches": patches,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
    "celeba128": celeba128,
    "generated": generated,
}
