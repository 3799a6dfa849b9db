"""Configuration of the collapse study."""

from dataclasses import dataclass, field, replace
from typing import Literal

from jaxrl.app.errors import UserError
from quant.codebooks.init import Init
from quant.quantizers.deferred import Schedule
from quant.quantizers.vq import VQConfig

RecipeName = Literal["untrained", "control", "deferred", "uniform", "normal", "data"]


@dataclass(frozen=True)
class Recipe:
    """One way to get a codebook."""

    init: Init
    pretrained: bool = False
    longer: bool = False
    """As many updates with codes as the deferred recipe has in all: what more training alone would
    do.
    """


RECIPES: dict[str, Recipe] = {
    "untrained": Recipe("kmeans"),
    "control": Recipe("kmeans", longer=True),
    "deferred": Recipe("kmeans", pretrained=True),
    "uniform": Recipe("uniform"),
    "normal": Recipe("normal"),
    "data": Recipe("data"),
}


@dataclass(frozen=True)
class CollapseConfig:
    """Data, cells and lengths of the study. Sizes are the prototype's (Our choice: the paper's are
    in a supplement we have not seen).
    """

    data: str = "mixture"
    """mixture, digits, patches, fashion_mnist, idx:PATH, folder:PATH, FILE.npz, or a prepared
    tensorflow-datasets name such as cifar10.
    """
    data_dir: str | None = None
    """Folder of tensorflow-datasets."""
    dims: tuple[int, ...] = (8,)
    """Input dimensions of the mixture."""
    latent: int = 4
    """Features of a token (half the input dimensions, if that is less)."""
    dense_tokens: int = 0
    """Tokens of an image by perceptrons; 0: convolutions for images of 16 x 16 and more, else one
    token.
    """
    recipes: tuple[RecipeName, ...] = ("untrained", "control", "deferred")
    """untrained: k-means on an untrained encoder; control: the same with as many updates as
    deferred has; deferred: pretrained encoder, then k-means; uniform, normal, data: codes from
    there.
    """
    codes: tuple[int, ...] = (256,)
    """Codebook sizes."""
    widths: tuple[int, ...] = (64,)
    """Widths of the encoder: its capacity."""
    seeds: int = 5
    """Number of seeds, trained together."""
    seed: int = 0
    """First seed."""
    steps: int = 1500
    """Updates with codes."""
    pretrain: int = 3000
    """Updates before them, in recipe deferred."""
    vq: VQConfig = field(default_factory=lambda: VQConfig(256, 4))
    """Decay, commitment, restart and so on; sizes and init are set by the cell."""
    train: Schedule = Schedule(0, 0)
    """Batch, learning rate, sample; lengths are set by the recipe."""

    def cells(self) -> list["Cell"]:
        """All combinations, recipes fastest."""
        dims = self.dims if self.data == "mixture" else (0,)
        return [
            Cell(d, k, w, r)
            for d in dims
            for k in self.codes
            for w in self.widths
            for r in self.recipes
        ]


@dataclass(frozen=True)
class Cell:
    """One combination."""

    dim: int
    """Input dimensions of the mixture; 0 for other data."""
    codes: int
    width: int
    recipe: RecipeName

    @property
    def name(self) -> str:
        """For files."""
        return f"dim{self.dim}-codes{self.codes}-width{self.width}-{self.recipe}"


def settings_of(config: CollapseConfig, cell: Cell, features: int) -> tuple[VQConfig, Schedule]:
    """Quantizer and schedule of a cell whose tokens have `features` features."""
    recipe = RECIPES[cell.recipe]
    steps = config.steps + (config.pretrain if recipe.longer else 0)
    schedule = replace(
        config.train, pretrain=config.pretrain if recipe.pretrained else 0, steps=steps
    )
    return replace(config.vq, num_codes=cell.codes, dim=features, init=recipe.init), schedule


def check(config: CollapseConfig) -> None:
    """Refuse what cannot be run.

    Raises:
      UserError: naming the field.
    """
    for name in ("seeds", "steps", "latent"):
        if getattr(config, name) < 1:
            raise UserError(f"{name} is {getattr(config, name)}: it must be at least 1")
    if config.dense_tokens < 0:
        raise UserError(f"dense_tokens is {config.dense_tokens}: a number of tokens, or 0")
    for name in ("dims", "codes", "widths", "recipes"):
        if not getattr(config, name):
            raise UserError(f"{name} is empty: name at least one")
    small = [
        value
        for name in ("dims", "codes", "widths")
        for value in getattr(config, name)
        if value < 1
    ]
    if small:
        raise UserError(f"dims, codes and widths must be at least 1, not {small[0]}")
    if config.steps < config.train.every:
        raise UserError(
            f"steps is {config.steps}, fewer than train.every ({config.train.every}): curves would "
            "be empty"
        )


def tiny() -> CollapseConfig:
    """Preset that runs all parts quickly: the 8-dimensional mixture, two seeds, too few updates for
    the full effect.
    """
    return CollapseConfig(seeds=2, steps=300, pretrain=600, codes=(64,))


def mixture() -> CollapseConfig:
    """The claim: tokens collapse and are cured, on the 8-dimensional mixture, 5 seeds."""
    return CollapseConfig()


def fashion_mnist() -> CollapseConfig:
    """Both kinds of collapse and both cures on real images, at sizes for one core: a pretrained
    encoder against that of tokens, a wider one against that of embeddings; three seeds.
    """
    return CollapseConfig(
        data="fashion_mnist",
        latent=8,
        dense_tokens=16,
        widths=(8, 256),
        seeds=3,
        steps=1000,
        pretrain=2000,
    )


def everything() -> CollapseConfig:
    """Sizes, initializations, dimensions and widths: all five figures."""
    return CollapseConfig(
        dims=(2, 8),
        codes=(16, 64, 256, 1024),
        widths=(2, 4, 16, 64),
        recipes=("untrained", "control", "deferred", "uniform", "normal"),
    )


PRESETS = {
    "tiny": tiny,
    "mixture": mixture,
    "fashion_mnist": fashion_mnist,
    "everything": everything,
}
