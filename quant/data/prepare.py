"""Prepare a folder of IDX files for tensorflow-datasets, without the network and without
TensorFlow: `python -m quant.data.prepare --data-dir FOLDER`. The studies then find it by its name.
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app import cli
from jaxrl.app.errors import UserError
from jaxrl.app.files import resolve_path
from quant.data.data_by_name import FASHION_MNIST
from quant.data.idx import idx_folder
from quant.data.loaders import Split


@dataclass(frozen=True)
class Command:
    """Write images and labels of a folder in MNIST's format as a prepared data set."""

    source: str = str(FASHION_MNIST)
    """Folder with train-images-idx3-ubyte and so on, gzipped or not; that of Debian's package
    dataset-fashion-mnist by default.
    """
    name: str = "fashion_mnist"
    """Name of the data set."""
    data_dir: str = "~/tensorflow_datasets"
    """Folder of tensorflow-datasets."""


def builder_of(source: str | Path, name: str, data_dir: str | Path) -> Any:
    """A tensorflow-datasets builder (extra `data`) of a folder in MNIST's format; its
    `download_and_prepare` downloads nothing.

    Args:
      source: folder of IDX files.
      name: of the data set, lower case with underscores.
      data_dir: folder of tensorflow-datasets.

    Raises:
      UserError: the source cannot be read, holds no bytes, or labels of one split only;
        tensorflow-datasets is not installed; a name of other letters.
    """
    if not name.isidentifier() or name != name.lower():
        raise UserError(f"name is {name!r}: take lower-case letters, digits and underscores")
    data = idx_folder(source, name, keep_bytes=True)
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise UserError(
            'preparing needs tensorflow-datasets: pip install "latentax[data]"'
        ) from None
    splits = {"train": data.train, "test": data.test}
    labeled = data.train.y is not None
    if labeled != (data.test.y is not None):
        raise UserError(f"{source} has labels for one of train and test only: add the others")
    if data.train.x.dtype != np.uint8:
        raise UserError(f"{source} holds {data.train.x.dtype} images: they must be bytes")
    feature: dict[str, Any] = {"image": tfds.features.Image(shape=data.train.x.shape[1:])}
    if labeled:
        feature["label"] = np.int64

    class Images(tfds.core.GeneratorBasedBuilder):
        """Images of IDX files."""

        VERSION = tfds.core.Version("1.0.0")
        code_path = None  # there are no checksums next to this file

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"{name}: images of IDX files",
                features=tfds.features.FeaturesDict(feature),
            )

        def _split_generators(self, downloads):
            return {part: examples(split, labeled) for part, split in splits.items()}

        def _generate_examples(self):
            raise NotImplementedError

    Images.name = name
    return Images(data_dir=str(resolve_path(data_dir)), file_format="array_record")


def examples(split: Split, labeled: bool):
    """Numbers and examples of a split, with images as PNG files."""
    from PIL import Image

    for number, image in enumerate(split.x):
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
        file.seek(0)
        found: dict[str, Any] = {"image": file}
        yield number, found | ({"label": int(split.y[number])} if labeled else {})  # type: ignore[index]


def prepare(command: Command) -> Path:
    """Write the data set, or find it there; its folder."""
    builder = builder_of(command.source, command.name, command.data_dir)
    builder.download_and_prepare()
    return Path(builder.data_path)


def main(arguments: list[str] | None = None) -> int:
    """Prepare and print the folder; 2 if refused."""

    def parse(words: list[str]) -> Command:
        import tyro

        return tyro.cli(Command, args=words, prog=cli.program("quant.data.prepare"))

    return cli.main(parse, lambda command: print(prepare(command)), arguments)


if __name__ == "__main__":
    sys.exit(main())
