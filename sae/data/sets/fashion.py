r"""Fashion-MNIST as a table and PNG files, with a mark that often accompanies one class: a network
on images of another kind, in which a shortcut is known.

    apt-get install dataset-fashion-mnist                  # Debian; MIT licence
    python -m sae.data.sets.fashion --out fashion
    python -m sae embed --path fashion/table.csv --findings T-shirt Trouser Pullover Dress Coat \
        Sandal Shirt Sneaker Bag Boot --acquisition mark --encoder.size 32 --out fashion.npz
"""

import csv
import gzip
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxrl.app import cli
from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import write_atomic
from jaxrl.app.plots import array_to_png

CLASSES = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Boot",
)
"""Names of the ten labels, shortened to words."""
DEBIAN = "/usr/share/datasets/fashion-mnist"
"""Folder of Debian's package."""
SIDE = 28
"""Pixels of an image's side."""


@dataclass(frozen=True)
class FashionConfig:
    """Source, size and mark of the table."""

    out: str
    """Folder to write: table.csv and images/."""
    path: str = DEBIAN
    """Folder of the four files {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]."""
    train: int = 12_000
    """Images for training."""
    validate: int = 3000
    """Images from which the catalogue is made, also of the published training side."""
    test: int = 3000
    """Images of the published test side."""
    marked: str = "Coat"
    """Class that the mark accompanies in training."""
    with_mark: float = 0.9
    """Share of this class that is marked, on the sides train and validate."""
    without_mark: float = 0.05
    """Share of the other classes that is marked there. On the test side half of all are, so that
    the mark says nothing about the class.
    """
    seed: int = 0
    """Seed of the choice of images and marks."""


def read_idx(path: Path, item: tuple[int, ...]) -> np.ndarray:
    """Read a file of bytes in the IDX layout, or its .gz next to it.

    Args:
      path: without .gz.
      item: shape of one item.

    Returns:
      uint8 `[N, *item]`.

    Raises:
      UserError: there is no such file, or it holds something else.
    """
    packed = path.with_name(path.name + ".gz")
    head = 8 + 4 * len(item)
    try:
        with gzip.open(packed) if packed.is_file() else open(path, "rb") as file:
            start = file.read(head)
            sizes = [int.from_bytes(start[i : i + 4], "big") for i in range(4, len(start), 4)]
            kind = bytes((0, 0, 8, 1 + len(item)))
            if start[:4] != kind or tuple(sizes[1:]) != item or sizes[0] > 10**6:
                raise UserError(f"{path} holds no bytes of shape {item}: name another folder")
            count = sizes[0] * int(np.prod(item))
            data = file.read(count + 1)
    except (OSError, EOFError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): install Debian's dataset-fashion-mnist, or name "
            "its folder with --path"
        ) from None
    if len(data) != count:
        raise UserError(f"{path} is cut, or longer than it says: download it again")
    return np.frombuffer(data, np.uint8).reshape(sizes)


def marked_image(image: np.ndarray) -> np.ndarray:
    """A copy with a bright square of 4 x 4 pixels in the lower left corner."""
    found = image.copy()
    found[-5:-1, 1:5] = 255
    return found


def write(config: FashionConfig) -> Path:
    """Write images and table; the path of the table.

    Raises:
      UserError: the files are not there, or too small for the sizes asked for.
    """
    if config.marked not in CLASSES:
        raise UserError(f"there is no class {config.marked}; there are {', '.join(CLASSES)}")
    out, generator = Path(config.out), np.random.default_rng(config.seed)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["path", "patient", "split", "mark", *CLASSES])
    with writing(out):
        for name, side, image, label in _chosen(config, generator):
            often = config.with_mark if CLASSES[label] == config.marked else config.without_mark
            mark = generator.random() < (0.5 if side == "test" else often)
            place = f"images/{name}.png"
            write_atomic(out / place, array_to_png(marked_image(image) if mark else image))
            table.writerow([place, name, side, int(mark), *(np.arange(len(CLASSES)) == label) * 1])
        write_atomic(out / "table.csv", text.getvalue())
    return out / "table.csv"


def _chosen(config, generator):
    """Name, side, pixels and label of every image that is drawn."""
    parts = {"train": ("train", "validate"), "t10k": ("test",)}
    for part, sides in parts.items():
        folder, wanted = Path(config.path), sum(getattr(config, side) for side in sides)
        images = read_idx(folder / f"{part}-images-idx3-ubyte", (SIDE, SIDE))
        labels = read_idx(folder / f"{part}-labels-idx1-ubyte", ())
        if len(images) != len(labels) or len(images) < wanted or labels.max() >= len(CLASSES):
            raise UserError(
                f"{folder} has {len(images)} images and {len(labels)} labels of {part}, where "
                f"{wanted} of {len(CLASSES)} classes are asked for: choose fewer, or another folder"
            )
        order = iter(generator.permutation(len(images)))
        for side in sides:
            for _ in range(getattr(config, side)):
                number = next(order)
                yield f"{part}-{number:05d}", side, images[number], int(labels[number])


def main(arguments: list[str] | None = None) -> int:
    """Write the table; the exit status."""

    def parse(words: list[str]) -> FashionConfig:
        return cli.read_options(FashionConfig, words, cli.program("sae.data.sets.fashion"))

    return cli.main(parse, lambda config: print(f"table: {write(config)}"), arguments)


if __name__ == "__main__":
    sys.exit(main())
