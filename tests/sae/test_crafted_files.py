"""Crafted files: sizes are checked before memory is taken."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.arrays import read_arrays
from sae.biomedclip.torch_file import read_torch, rebuilt
from sae.interop.safetensors import read_safetensors

STORAGE = np.arange(16, dtype=np.float32)


def test_a_tensor_within_its_storage_is_rebuilt():
    np.testing.assert_array_equal(rebuilt(STORAGE, 2, (2, 3), (3, 1)), [[2, 3, 4], [5, 6, 7]])
    np.testing.assert_array_equal(rebuilt(STORAGE, 3, (4,), (0,)), [3, 3, 3, 3])
    assert rebuilt(STORAGE, 16, (0, 4), (4, 1)).shape == (0, 4)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (64,), (-1,)),
        (-100, (4,), (1,)),
        (0, (10**11,), (0,)),
        (15, (2,), (1,)),
        (0, (2, 2), (1,)),
        (16, (), ()),
    ],
)
def test_a_tensor_out_of_its_storage_is_refused(offset, size, stride):
    with pytest.raises(ValueError, match="a tensor of"):
        rebuilt(STORAGE, offset, size, stride)


def archive(path, data, compression=zipfile.ZIP_STORED, storage=bytes(64)):
    """Write a file as torch.save would."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("a/data.pkl", data)
        file.writestr("a/data/0", storage)
    return path


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pickle.dumps([1, 2], 2), "not a dictionary"),
        (pickle.dumps({"state_dict": 3}, 2), "not a dictionary"),
        (b"cos\nsystem\n(S'x'\ntR.", "asks for os.system"),
        (b"\x80\x04K\x01r" + struct.pack("<I", 2**31 - 1) + b".", "a memo of"),
        (b"\x80\x02}X\x01\0\0\0w", "cannot be read"),
    ],
)
def test_other_pickles_are_refused_with_a_sentence(tmp_path, data, reason):
    with pytest.raises(UserError, match=reason):
        read_torch(archive(tmp_path / "a.bin", data))


def test_a_torch_file_that_inflates_far_is_refused(tmp_path):
    bomb = archive(tmp_path / "a.bin", b"}.", zipfile.ZIP_DEFLATED, bytes(1 << 24))
    with pytest.raises(UserError, match="inflates to"):
        read_torch(bomb)


def test_arrays_whose_shapes_do_not_fit_their_bytes_are_refused(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("x.npy", head.getvalue() + bytes(16))
    with pytest.raises(ValueError, match="declares shape"):
        read_arrays(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", x=np.zeros((500, 500)), names=np.array(["a", "bc"]))
    assert read_arrays(tmp_path / "b.npz")["x"].shape == (500, 500)


@pytest.mark.parametrize(
    ("shape", "offsets"), [([4], [0, 8]), ([2], [-8, 0]), ([10**9, 10**9], [0, 8]), ([2], [8, 16])]
)
def test_safetensors_headers_are_held_to_the_bytes(tmp_path, shape, offsets):
    entry = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
    text = json.dumps({"x": entry}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(UserError, match="no safetensors file"):
        read_safetensors(path)
    path.write_bytes((2**60).to_bytes(8, "little") + text)
    with pytest.raises(UserError, match="a header of"):
        read_safetensors(path)
