"""Reading golden files: NCHW to NHWC, cases, and the relative error they are judged by."""

import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "goldens"


class Golden:
    """One .npz file: `golden["in/x"]`, `golden.config`, `golden.params(prefix)`."""

    def __init__(self, name: str):
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
            self.arrays = {key: file[key] for key in file.files}
        self.config = json.loads(str(self.arrays["cfg"]))

    def __getitem__(self, key):
        return self.arrays[key]

    def maps(self, key):
        """An array `[..., C, H, W]` as `[..., H, W, C]`."""
        return np.moveaxis(self.arrays[key], -3, -1)

    def params(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Weights below a module name, with that name cut off."""
        start = "param/" + prefix
        return {
            key[len(start) :]: value for key, value in self.arrays.items() if key.startswith(start)
        }

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """All arrays whose key starts with `prefix`, by the rest of the key."""
        return {
            key[len(prefix) :]: value
            for key, value in self.arrays.items()
            if key.startswith(prefix)
        }


def relative_error(actual, expected) -> float:
    """`max |actual - expected| / max |expected|`; shapes must agree."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    return float(np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-12))
