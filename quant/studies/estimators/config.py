"""Configuration of the estimator study, and its presets."""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal, get_args

from jaxrl.app.errors import UserError

TaskName = Literal["autoencoder", "vae", "network", "gates"]
RowName = Literal[
    "identity", "softmax", "st_gs", "gumbel_rao", "gapped", "reinmax", "reinmax_rao", "redge"
]
UnbiasedName = Literal["reinforce", "rloo", "rebar", "local"]

TAUS = (0.1, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0, 3.0, 5.0)
"""Temperatures of the grid. Our choice: the paper's are not known."""


@dataclass(frozen=True)
class Training:
    """Training of one network."""

    steps: int = 2000
    """Number of updates."""
    batch: int = 100
    """Examples per update (100 in ReinMax's code, mnist_vae)."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam does not see the scale of a gradient, so with it normalized and plain gradients differ
    only where they meet other ones.
    """
    learning_rate: float = 5e-4
    """Adam's for ReinMax on the 8 x 4 autoencoder in that code; our choice elsewhere."""


@dataclass(frozen=True)
class Autoencoder:
    """Bits without a prior."""

    bits: int = 64
    """Units; with convolutions, per place of the map. The paper: 32 on a map of 8 x 8."""
    hidden: tuple[int, ...] = (128,)
    """Widths of the hidden layers, or of the levels that halve the map. Our choice."""
    convolutions: bool = False
    """Convolutional encoder and decoder."""
    training: Training = Training()


@dataclass(frozen=True)
class Vae:
    """Categorical latents with a uniform prior."""

    variables: int = 4
    """Number L of variables."""
    categories: int = 8
    """Number K of categories. The fidelity needs K^L of at most 65536."""
    hidden: tuple[int, ...] = (512, 256)
    """Widths of the encoder's hidden layers (ReinMax's code, mnist_vae)."""
    training: Training = Training()


@dataclass(frozen=True)
class Network:
    """Stochastic bits between two halves of an image."""

    hidden: tuple[int, ...] = (200, 200)
    """Units of the stochastic layers: the customary size."""
    training: Training = Training()


@dataclass(frozen=True)
class Gates:
    """Logic gates between the pixels, cut at a half, and the label."""

    gates: tuple[int, ...] = (1000, 1000)
    """Gates per layer; the last must be a multiple of the number of classes."""
    training: Training = Training(learning_rate=0.02)


@dataclass(frozen=True)
class Measure:
    """Bias and variance of the gradients in the trained autoencoder with categorical latents,
    against the exact ones.
    """

    examples: int = 8
    """Test images whose gradients are measured, and averaged over. 0: leave fidelity out."""
    repeats: int = 1024
    """Estimates per image (ReinMax's code, mnist_vae)."""
    grid_repeats: int = 256
    """Estimates per image and cell of the grid."""
    unbiased: tuple[UnbiasedName, ...] = ("reinforce", "rloo", "rebar", "local")
    """Estimators that evaluate the loss themselves, measured with the others. local sums over
    every variable exactly.
    """


@dataclass(frozen=True)
class StudyConfig:
    """The whole study."""

    data: str = "digits"
    """digits, patches (not for gates), fashion_mnist, idx:PATH, folder:PATH, an .npz file, or a set
    that tensorflow-datasets prepared: mnist, cifar10, svhn_cropped.
    """
    data_dir: str | None = None
    """Folder of tensorflow-datasets. Default: $TFDS_DATA_DIR or ~/tensorflow_datasets."""
    tasks: tuple[TaskName, ...] = ("autoencoder", "vae", "network", "gates")
    """Tasks that are trained, in this order."""
    taus: tuple[float, ...] = TAUS
    """Temperatures of both passes; every pair is trained, with plain and with normalized gradients.
    """
    rows: tuple[RowName, ...] = ("identity", "softmax", "st_gs", "gumbel_rao", "gapped", "reinmax")
    """Estimators with one temperature that are compared with the grid."""
    row_taus: tuple[float, ...] = (0.5, 1.0, 1.3)
    """Their temperatures; each reports its best one, chosen on other seeds."""
    seeds: int = 5
    """Independent trainings of every cell; intervals are over these. At least 3."""
    seed: int = 0
    """First seed."""
    test_draws: int = 4
    """Draws per test example."""
    autoencoder: Autoencoder = Autoencoder()
    vae: Vae = Vae()
    network: Network = Network()
    gates: Gates = Gates()
    fidelity: Measure = field(default_factory=Measure)


def check(config: StudyConfig) -> None:
    """Refuse what cannot work.

    Raises:
      UserError: naming the field.
    """
    if config.seeds < 3:
        raise UserError(
            f"--seeds is {config.seeds}: an interval over seeds, chosen on other seeds, needs at "
            "least 3"
        )
    if len(set(config.taus)) < 2 or min(config.taus + config.row_taus, default=0) <= 0:
        raise UserError(
            "--taus needs two or more different temperatures, and all temperatures must be above 0"
        )
    if not config.tasks or not config.row_taus:
        raise UserError("--tasks and --row-taus must not be empty")
    if config.fidelity.examples and config.vae.categories**config.vae.variables > 2**16:
        raise UserError(
            f"{config.vae.categories} categories and {config.vae.variables} variables have too "
            "many configurations for exact "
            "gradients (65536 at most): set --fidelity.examples 0, or make --vae smaller"
        )
    for name in config.tasks:
        training = getattr(config, name).training
        if min(training.steps, training.batch) < 1 or training.learning_rate <= 0:
            raise UserError(
                f"--{name}.training needs steps and batch of at least 1 and a learning rate above 0"
            )


def tiny() -> StudyConfig:
    """About a minute on two CPU cores: shows that everything runs, decides little."""
    brief = Training(steps=100, batch=32, learning_rate=3e-3)
    return StudyConfig(
        taus=(0.5, 1.0, 2.0),
        rows=("gumbel_rao", "reinmax"),
        row_taus=(0.5, 1.0),
        seeds=3,
        test_draws=1,
        autoencoder=Autoencoder(16, (32,), training=brief),
        vae=Vae(2, 8, (32,), brief),
        network=Network((24, 24), brief),
        gates=Gates((60, 60), dataclasses.replace(brief, learning_rate=0.05)),
        fidelity=Measure(2, 128, 32, ("rloo",)),
    )


def small() -> StudyConfig:
    """The 8 x 4 autoencoder and its companions on the digits: some tens of minutes on two CPU
    cores.
    """
    longer = Training(steps=1500, batch=64, learning_rate=2e-3)
    return StudyConfig(
        taus=(0.3, 0.5, 1.0, 1.6, 3.0),
        seeds=5,
        autoencoder=Autoencoder(24, (64,), training=longer),
        vae=Vae(4, 8, (64,), longer),
        network=Network((64, 64), longer),
        gates=Gates((200, 200), dataclasses.replace(longer, learning_rate=0.02)),
    )


def paper() -> StudyConfig:
    """Sizes of the papers, for an accelerator and MNIST. Our choice: 20 000 updates (ReinMax's
    code: 160 epochs, which are 96 000).
    """
    long = Training(steps=20_000)
    return StudyConfig(
        data="mnist",
        autoencoder=Autoencoder(32, (64, 128), True, long),
        vae=Vae(training=long),
        network=Network(training=long),
        gates=Gates((8000, 8000, 8000), dataclasses.replace(long, learning_rate=0.01)),
    )


def fashion_mnist() -> StudyConfig:
    """The 8 x 4 autoencoder with all estimators and a grid of temperatures on real images, at sizes
    for one core; three seeds.
    """
    training = Training(steps=1000, batch=64, learning_rate=1e-3)
    return StudyConfig(
        data="fashion_mnist",
        tasks=("vae",),
        taus=(0.3, 0.6, 1.0, 2.0),
        rows=get_args(RowName),
        seeds=3,
        test_draws=1,
        vae=Vae(4, 8, (64,), training),
        fidelity=Measure(4, 512, 128),
    )


def fashion_mnist_large() -> StudyConfig:
    """The same with 16 variables of 16 categories, which are too many for exact gradients."""
    small_one = fashion_mnist()
    return dataclasses.replace(
        small_one,
        vae=dataclasses.replace(small_one.vae, variables=16, categories=16),
        fidelity=Measure(0),
    )


PRESETS = {
    "tiny": tiny,
    "small": small,
    "paper": paper,
    "fashion_mnist": fashion_mnist,
    "fashion_mnist_large": fashion_mnist_large,
}
"""Presets by the name that the command line gives."""
