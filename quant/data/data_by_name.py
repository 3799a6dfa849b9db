"""Data sets by the name that a command line gives, and those that tensorflow-datasets prepared on
this machine.
"""

import os
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from quant.data.idx import idx_folder
from quant.data.loaders import (
    Data,
    Split,
    array_file,
    digits,
    from_arrays,
    gaussian_mixture,
    image_folder,
    photo_patches,
    square,
)

NAMED = {"mixture": gaussian_mixture, "digits": digits, "patches": photo_patches}
"""Sets that need no file."""
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Folder in which Debian's package dataset-fashion-mnist puts its files."""


def load(
    name: str | Path,
    data_dir: str | Path | None = None,
    size: int = 32,
    crop: int | None = None,
    keep_bytes: bool = False,
) -> Data:
    """A data set by name.

    Args:
      name: mixture, digits, patches; fashion_mnist, from Debian's package dataset-fashion-mnist
        where it is installed; folder:PATH for images; idx:PATH for a folder of files in MNIST's
        format; an .npz file; else a name of tensorflow-datasets, such as mnist, cifar10,
        svhn_cropped or celeb_a, that lies prepared in `data_dir`.
      data_dir: folder of tensorflow-datasets; that of the environment variable TFDS_DATA_DIR, or
        ~/tensorflow_datasets, if absent.
      size: pixels of the sides to which images of a folder are brought, and prepared ones if `crop`
        is given.
      crop: of prepared images, pixels of the middle square that is kept; without, they stay as they
        are.
      keep_bytes: leave uint8 images as they are: a quarter of the memory.

    Raises:
      UserError: nothing has that name, or it cannot be read.
    """
    name = str(name)
    if name in NAMED:
        return NAMED[name]()
    if name.startswith("folder:"):
        return image_folder(name.removeprefix("folder:"), size, keep_bytes)
    if name.startswith("idx:"):
        return idx_folder(name.removeprefix("idx:"), keep_bytes=keep_bytes)
    if name == "fashion_mnist" and data_dir is None and FASHION_MNIST.is_dir():
        return idx_folder(FASHION_MNIST, "fashion_mnist", keep_bytes)
    if name.endswith(".npz"):
        return array_file(name, keep_bytes)
    return prepared(name, data_dir, None if crop is None else (crop, size), keep_bytes)


def prepared(
    name: str,
    data_dir: str | Path | None = None,
    crop_and_size: tuple[int, int] | None = None,
    keep_bytes: bool = False,
) -> Data:
    """Images that tensorflow-datasets has prepared (extra `data`), read without TensorFlow and
    without the network.

    The splits train and test are taken, or a fifth of train is held out. The first feature that is
    an image is taken, and the one called label, if there is one.

    Args:
      name: of tensorflow-datasets, such as cifar10.
      data_dir: folder of tensorflow-datasets; that of the environment variable TFDS_DATA_DIR, or
        ~/tensorflow_datasets, if absent.
      crop_and_size: pixels of the middle square that is kept, and of the sides it is brought to;
        None: images stay as they are.
      keep_bytes: leave uint8 images as they are: a quarter of the memory.

    Raises:
      UserError: it is not prepared there, in another file format, or holds no images of one size.
    """
    root = Path(data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()
    folders = (
        sorted(file.parent for file in (root / name).rglob("dataset_info.json"))
        if name and (root / name).is_dir()
        else []
    )
    if not folders:
        known = ", ".join([*sorted(NAMED), "folder:PATH", "idx:PATH", "FILE.npz"])
        if name == "fashion_mnist":
            known += " (fashion_mnist: apt-get install dataset-fashion-mnist)"
        raise UserError(
            f"there is no data set {name!r}: it is none of {known}, and {root} holds nothing of "
            "that name prepared by "
            "tensorflow-datasets (file_format='array_record')"
        )
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise UserError(
            f'{folders[-1]} needs tensorflow-datasets: pip install "latentax[data]"'
        ) from None
    builder = tfds.builder_from_directory(str(folders[-1]))
    image = _image_feature(tfds, builder.info.features, folders[-1])
    splits = [
        _read(builder, split, image, folders[-1], crop_and_size)
        for split in ("train", "test")
        if split in builder.info.splits
    ]
    if not splits:
        raise UserError(
            f"{folders[-1]} has neither a train nor a test split, only "
            f"{', '.join(builder.info.splits)}"
        )
    return from_arrays(
        *splits[0], name=name, test=splits[1] if len(splits) > 1 else None, keep_bytes=keep_bytes
    )


def _image_feature(tfds, features, folder):
    named = features.items() if hasattr(features, "items") else ()
    found = [key for key, feature in named if isinstance(feature, tfds.features.Image)]
    if not found:
        raise UserError(f"{folder} holds no images")
    return found[0]


def _read(builder, split, image, folder, crop_and_size) -> Split:
    from PIL import Image

    try:
        source = builder.as_data_source(split=split)
    except NotImplementedError:
        raise UserError(
            f"{folder} is not stored as array_record: prepare it again with "
            "file_format='array_record'"
        ) from None
    examples = [source[i] for i in range(len(source))]
    if not examples:
        raise UserError(f"{folder}: the split {split} is empty")
    if crop_and_size:
        crop, size = crop_and_size
        examples = [
            example | {image: square(Image.fromarray(example[image]), size, crop)}
            for example in examples
        ]
    if len({np.shape(example[image]) for example in examples}) > 1:
        raise UserError(
            f"{folder}: images differ in size: give crop, or export them to a folder and name it "
            "as folder:PATH"
        )
    labels = (
        np.array([example["label"] for example in examples], np.int32)
        if "label" in examples[0]
        else None
    )
    return Split(np.stack([np.asarray(example[image]) for example in examples]), labels)
