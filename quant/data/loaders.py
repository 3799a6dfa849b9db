"""Data sets as NumPy arrays, from every source. Nothing here touches the network, and the
same call gives the same split.
"""

from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from jaxrl.app.errors import UserError


class Split(NamedTuple):
    """Examples in a fixed order."""

    x: np.ndarray
    """float32: images `[N, H, W, C]` in [0, 1], or vectors `[N, D]`; uint8 images if bytes were
    asked for (see `as_shares`).
    """
    y: np.ndarray | None = None
    """int32 `[N]`: labels, if there are any."""


class Data(NamedTuple):
    """Examples to learn from and to test on."""

    name: str
    train: Split
    test: Split
    centers: np.ndarray | None = None
    """float32 `[M, D]`: the true modes, of mixtures only."""

    @property
    def centres(self) -> np.ndarray | None:  # old name
        """The spelling of `centers` until 0.3."""
        return self.centers


def from_arrays(
    x: np.ndarray,
    y: np.ndarray | None = None,
    name: str = "arrays",
    test_share: float = 0.2,
    test: Split | None = None,
    seed: int = 0,
    keep_bytes: bool = False,
) -> Data:
    """Images or vectors from memory.

    Args:
      x: `[N, H, W, C]`, `[N, H, W]` or `[N, D]`; uint8 is divided by 255, other numbers become
        float32 as they are.
      y: integer `[N]`.
      name: for reports.
      test_share: share of the examples, drawn without replacement, that is held out; at least one,
        and one stays.
      test: held-out examples of the same shape instead.
      seed: of the split.
      keep_bytes: leave uint8 as it is: a quarter of the memory.

    Raises:
      UserError: there are fewer than two examples, another number of labels, an unknown shape, or
        numbers that are not finite.
    """
    x, y = _checked(x, y, name, keep_bytes)
    if test is not None:
        other = Split(*_checked(test.x, test.y, f"{name}, test", keep_bytes))
        if other.x.shape[1:] != x.shape[1:]:
            raise UserError(
                f"{name}: examples to test on have shape {other.x.shape[1:]}, those to learn from "
                f"{x.shape[1:]}"
            )
        return Data(name, Split(x, y), other)
    if len(x) < 2:
        raise UserError(
            f"{name} holds {len(x)} examples: at least 2 are needed, to learn from one and test on "
            "the other"
        )
    order = np.random.default_rng(seed).permutation(len(x))
    held = min(max(1, round(test_share * len(x))), len(x) - 1)

    def part(rows):
        return Split(x[rows], None if y is None else y[rows])

    return Data(name, part(np.sort(order[held:])), part(np.sort(order[:held])))


def as_shares(x):
    """Bytes as float32 in [0, 1]; other arrays as they are. NumPy or JAX, also while traced."""
    return x.astype(np.float32) / 255 if x.dtype == np.uint8 else x


def gaussian_mixture(
    dim: int = 8,
    modes: int = 10,
    per_mode: int = 1000,
    std: float = 0.3,
    spread: float = 5.0,
    seed: int = 0,
) -> Data:
    """Equally many points of several Gaussians (Zhao et al. 2024, arXiv 2411.16550: 10 modes, 1000
    points each).

    Our choice: means uniform in [-spread, spread], a fifth of the points held out.

    Args:
      dim: features.
      modes: number of Gaussians.
      per_mode: points of each.
      std: standard deviation of a Gaussian, in every feature.
      spread: half the side of the cube that the means are drawn from.
      seed: of means, points and split.

    Raises:
      UserError: dim, modes or per_mode is below 1.
    """
    if min(dim, modes, per_mode) < 1:
        raise UserError(
            f"a mixture needs at least 1 dimension, mode and point per mode, not {dim}, {modes} "
            f"and {per_mode}"
        )
    rng = np.random.default_rng(seed)
    centers = rng.uniform(-spread, spread, (modes, dim)).astype(np.float32)
    label = np.repeat(np.arange(modes, dtype=np.int32), per_mode)
    x = centers[label] + std * rng.standard_normal((len(label), dim)).astype(np.float32)
    return from_arrays(x, label, f"mixture of {modes} in {dim} dimensions", seed=seed)._replace(
        centers=centers
    )


def digits() -> Data:
    """1797 handwritten digits of 8 x 8 pixels that come with scikit-learn (extra `offline`): 1437
    to learn from, 360 to test on.
    """
    images = _sklearn("the digits").load_digits()
    return from_arrays(
        (images.images[..., None] / 16).astype(np.float32),
        images.target,
        "digits",
        test_share=360 / 1797,
    )


def photo_patches(size: int = 8) -> Data:
    """Color squares, next to each other, of the two photos that come with scikit-learn (extra
    `offline`): 8480 of 8 x 8 pixels.
    """
    if not 1 <= size <= 427:
        raise UserError(
            f"patches of {size} pixels cannot be cut from photos of 427 x 640: choose a size from "
            "1 to 427"
        )
    patches = [_cut(photo, size) for photo in _sklearn("the photos").load_sample_images().images]
    return from_arrays(np.concatenate(patches), name=f"photo patches of {size} x {size}")


def _cut(photo, size):
    rows, columns = photo.shape[0] // size, photo.shape[1] // size
    grid = photo[: rows * size, : columns * size].reshape(rows, size, columns, size, photo.shape[2])
    return grid.transpose(0, 2, 1, 3, 4).reshape(-1, size, size, photo.shape[2])


def _sklearn(what):
    try:
        from sklearn import datasets
    except ImportError:
        raise UserError(
            f"{what} come with scikit-learn, which is not installed: pip install "
            '"latentax[offline]"'
        ) from None
    return datasets


IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
"""Endings of files that are read."""


def image_folder(path: str | Path, size: int = 32, keep_bytes: bool = False) -> Data:
    """All images below a folder, center-cropped to squares and resized. Subfolders, if all files
    lie in some, name the classes.

    Subfolders called train and test, if both are there, are the split.

    Args:
      path: the folder.
      size: pixels of the sides.
      keep_bytes: as for `from_arrays`.

    Raises:
      UserError: there is no such folder, no image in it, or one that cannot be read.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: name one that holds images")
    name = f"images in {folder}"
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        train, test = (_read_folder(folder / part, size) for part in ("train", "test"))
        return from_arrays(*train, name=name, test=test, keep_bytes=keep_bytes)
    return from_arrays(*_read_folder(folder, size), name=name, keep_bytes=keep_bytes)


def _read_folder(folder, size):
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGES)
    if not files:
        raise UserError(f"{folder} holds no images ({', '.join(sorted(IMAGES))})")
    classes = sorted({file.relative_to(folder).parts[0] for file in files})
    labeled = all(len(file.relative_to(folder).parts) > 1 for file in files)
    y = (
        np.array([classes.index(file.relative_to(folder).parts[0]) for file in files], np.int32)
        if labeled
        else None
    )
    return Split(np.stack([_read_image(file, size) for file in files]), y)


def _read_image(file, size):
    from PIL import Image

    try:
        with Image.open(file) as image:
            return square(image.convert("RGB"), size)
    except OSError as error:
        raise UserError(
            f"{file} cannot be read as an image ({error}): remove or replace it"
        ) from None


def square(image, size: int, crop: int | None = None) -> np.ndarray:
    """The middle of a picture of PIL, `crop` x `crop` pixels or all that is square, brought to
    `size` x `size`; uint8.
    """
    from PIL import Image, ImageOps

    if crop is not None and min(image.size) > crop:
        left, top = (image.width - crop) // 2, (image.height - crop) // 2
        image = image.crop((left, top, left + crop, top + crop))
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC))


def array_file(path: str | Path, keep_bytes: bool = False) -> Data:
    """An .npz file with `x`, and perhaps `y`, `test_x` and `test_y`, as for `from_arrays`.

    Raises:
      UserError: the file cannot be read, or has no `x`.
    """
    file = Path(path).expanduser()
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, TypeError, AttributeError, BadZipFile) as error:
        raise UserError(f"{file} cannot be read as an .npz file of arrays ({error})") from None
    if "x" not in found:
        raise UserError(f"{file} holds no array x, only {', '.join(sorted(found)) or 'nothing'}")
    test = Split(found["test_x"], found.get("test_y")) if "test_x" in found else None
    return from_arrays(found["x"], found.get("y"), file.name, test=test, keep_bytes=keep_bytes)


def _checked(x, y, name, keep_bytes=False):
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise UserError(f"{name}: examples are of type {x.dtype}, where numbers are wanted")
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise UserError(
            f"{name}: examples of shape {x.shape} are neither images [N, H, W, C] nor vectors [N, "
            "D]"
        )
    x = x[..., None] if x.ndim == 3 else x
    bytes_stay = keep_bytes and x.dtype == np.uint8
    x = x if bytes_stay else as_shares(x).astype(np.float32, copy=False)
    if not bytes_stay and not np.isfinite(x).all():
        raise UserError(
            f"{name}: example {int(np.argwhere(~np.isfinite(x))[0][0])} holds numbers that are not "
            "finite"
        )
    if y is not None:
        y = np.asarray(y)
        if y.shape != (len(x),) or y.dtype.kind not in "iu":
            raise UserError(
                f"{name}: labels must be {len(x)} integers, not {y.dtype} of shape {y.shape}"
            )
        if len(y) and (y.min() < -(2**31) or y.max() >= 2**31):
            raise UserError(f"{name}: labels reach to {y.max()}, more than 32 bits hold")
        y = y.astype(np.int32)
    return x, y
