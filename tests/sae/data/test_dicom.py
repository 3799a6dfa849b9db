"""DICOM as a viewer shows it: tables, windows, presentation, palettes, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from sae.data.cases import Unreadable
from sae.data.dicom import gray_if_equal, is_dicom, robust_range, window
from sae.data.images import read_image

pydicom = pytest.importorskip("pydicom")

RAMP = (np.arange(64 * 64, dtype=np.uint16) % 4096).reshape(64, 64)


def made(path, pixels=RAMP, bits=12, **fields):
    """Write a file with one gray image."""
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.Rows, data.Columns = pixels.shape[:2]
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 * pixels.itemsize, bits, bits - 1
    data.SamplesPerPixel, data.PixelRepresentation = pixels.shape[2] if pixels.ndim == 3 else 1, 0
    data.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    data.PixelData = pixels.tobytes()
    for name, value in fields.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def table(entries, bits=16, first=0):
    """One item of a table sequence."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "OW", np.asarray(entries, "<u2").tobytes())
    item.ModalityLUTType = "US"
    return Sequence([item])


def test_a_sigmoid_window_follows_its_formula(tmp_path):
    file = made(tmp_path / "a.dcm", WindowCenter=2000, WindowWidth=800, VOILUTFunction="SIGMOID")
    expected = 255 / (1 + np.exp(-4 * (RAMP - 2000.0) / 800))
    np.testing.assert_allclose(read_image(file), expected, atol=0.51)
    exact = made(
        tmp_path / "b.dcm", WindowCenter=2048, WindowWidth=4096, VOILUTFunction="LINEAR_EXACT"
    )
    np.testing.assert_allclose(read_image(exact), 255.0 * RAMP / 4096.0, atol=0.51)
    other = made(tmp_path / "c.dcm", WindowCenter=9, WindowWidth=8, VOILUTFunction="CUBIC")
    with pytest.raises(Unreadable, match="unknown function CUBIC"):
        read_image(other)


def test_a_voi_table_is_applied_and_comes_before_a_window(tmp_path):
    entries = (65535 * (np.arange(4096) / 4095) ** 2).astype(np.uint16)
    for fields in ({}, {"WindowCenter": 2000, "WindowWidth": 10}):
        file = made(tmp_path / "a.dcm", VOILUTSequence=table(entries), **fields)
        np.testing.assert_allclose(read_image(file), 255 * (RAMP / 4095.0) ** 2, atol=1)
    short = (4095 * (np.arange(4096) / 4095) ** 2).astype(np.uint16)  # 12 bits that say 16
    file = made(tmp_path / "b.dcm", VOILUTSequence=table(short))
    np.testing.assert_allclose(read_image(file), 255 * (RAMP / 4095.0) ** 2, atol=1)


def test_an_inverting_modality_table_inverts(tmp_path):
    file = made(tmp_path / "a.dcm", ModalityLUTSequence=table(65535 - 16 * np.arange(4096)))
    np.testing.assert_allclose(read_image(file), 255 - 255.0 * RAMP / 4095.0, atol=1)


def test_presentation_shapes_and_photometric_interpretation(tmp_path):
    plain = read_image(made(tmp_path / "a.dcm"))
    inverse = read_image(made(tmp_path / "b.dcm", PresentationLUTShape="INVERSE"))
    np.testing.assert_array_equal(inverse, 255 - plain)
    both = read_image(
        made(
            tmp_path / "c.dcm",
            PresentationLUTShape="INVERSE",
            PhotometricInterpretation="MONOCHROME1",
        )
    )
    np.testing.assert_array_equal(both, 255 - plain)  # said twice, inverted once


def test_padding_and_stuck_pixels_do_not_set_the_range(tmp_path):
    pixels = (RAMP // 4).copy()
    pixels[0, 0] = 4095
    shown = read_image(made(tmp_path / "a.dcm", pixels))
    assert np.median(shown) == pytest.approx(127, abs=4) and shown[0, 0] == 255
    pixels = (RAMP // 4).copy()
    pixels[:8] = 4000
    shown = read_image(made(tmp_path / "b.dcm", pixels, PixelPaddingValue=4000))
    assert (shown[:8] == 0).all() and shown[8:].max() == 255
    assert robust_range(np.array([0.0, 1.0, 100.0])) == (0.0, 100.0)  # too few to call one stuck


def test_overlays_in_high_bits_are_left_out(tmp_path):
    dirty = RAMP | ((np.indices(RAMP.shape).sum(0) % 5 == 0).astype(np.uint16) << 13)
    clean = read_image(made(tmp_path / "a.dcm"))
    np.testing.assert_array_equal(read_image(made(tmp_path / "b.dcm", dirty)), clean)


@pytest.mark.parametrize("form", ["words", "numbers", "bytes", "pairs"])
def test_a_table_of_eight_bits_maps_twelve(tmp_path, form):
    entries = np.arange(4096) // 16
    item = table(entries, 8)
    if form == "numbers":
        item[0].add_new("LUTData", "US", entries.tolist())
    elif form == "bytes":
        item[0].add_new("LUTData", "OB", entries.astype(np.uint8).tobytes())
    elif form == "pairs":
        item[0].add_new("LUTData", "US", (entries[::2] + 256 * entries[1::2]).tolist())
    for name in ("VOILUTSequence", "ModalityLUTSequence"):
        shown = read_image(made(tmp_path / "a.dcm", **{name: item}))
        np.testing.assert_allclose(shown, RAMP // 16, atol=1)
    shown = read_image(made(tmp_path / "b.dcm", PresentationLUTSequence=item))
    np.testing.assert_allclose(shown, RAMP // 16, atol=1)


@pytest.mark.parametrize("bits", [9, 12])
def test_tables_may_have_any_number_of_bits(tmp_path, bits):
    entries = (np.arange(4096) * (2**bits - 1) // 4095)[::-1]
    for name in ("VOILUTSequence", "ModalityLUTSequence"):
        shown = read_image(made(tmp_path / "a.dcm", **{name: table(entries, bits)}))
        np.testing.assert_allclose(shown, 255 - 255.0 * RAMP / 4095.0, atol=1)
    cut = table(entries, bits)
    cut[0].LUTDescriptor = [5000, 0, bits]
    with pytest.raises(Unreadable, match="declares 5000 entries, but has 4096"):
        read_image(made(tmp_path / "b.dcm", VOILUTSequence=cut))


def test_half_a_rescaling_is_completed(tmp_path):
    plain = read_image(made(tmp_path / "a.dcm"))
    for fields in ({"RescaleSlope": "-1"}, {"RescaleSlope": "-1", "RescaleIntercept": ""}):
        np.testing.assert_array_equal(
            read_image(made(tmp_path / "b.dcm", **fields)).astype(int), 255 - plain.astype(int)
        )
    blank = made(tmp_path / "c.dcm", RescaleSlope="", RescaleIntercept="5")
    np.testing.assert_array_equal(read_image(blank), plain)


def test_groups_of_an_enhanced_image_are_heeded(tmp_path):
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    group, rescale, shown = Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = "-1", "4095"
    shown.WindowCenter, shown.WindowWidth = "2048", "4096"
    group.PixelValueTransformationSequence = Sequence([rescale])
    group.FrameVOILUTSequence = Sequence([shown])
    fields = {"SharedFunctionalGroupsSequence": Sequence([group])}
    np.testing.assert_allclose(
        read_image(made(tmp_path / "a.dcm", **fields)), 255 - 255.0 * RAMP / 4095.0, atol=1
    )
    fields |= {"RescaleSlope": "1", "RescaleIntercept": "0"}  # what stands at the top counts
    np.testing.assert_allclose(
        read_image(made(tmp_path / "b.dcm", **fields)), 255.0 * RAMP / 4095.0, atol=1
    )


def test_pixels_beyond_their_bits_are_refused(tmp_path):
    with pytest.raises(Unreadable, match="10 bits up to bit 9, but they use others"):
        read_image(made(tmp_path / "a.dcm", bits=10))
    with pytest.raises(Unreadable, match="12 bits up to bit 15"):
        read_image(made(tmp_path / "b.dcm", HighBit=15))
    overlay = RAMP % 1024 | ((np.indices(RAMP.shape).sum(0) % 5 == 0).astype(np.uint16) << 10)
    file = made(tmp_path / "c.dcm", overlay, 10)
    data = pydicom.dcmread(file)
    data.add_new(0x60000102, "US", 10)  # an overlay lies there
    data.save_as(file)
    np.testing.assert_array_equal(
        read_image(file), read_image(made(tmp_path / "d.dcm", RAMP % 1024, 10))
    )
    signed = (RAMP.astype(np.int16) - 2048).astype("<i2")
    read_image(made(tmp_path / "e.dcm", signed, 12, PixelRepresentation=1))


def test_one_number_per_pixel_and_several_is_refused(tmp_path):
    colors = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(Unreadable, match="MONOCHROME1, which has one number per pixel"):
        read_image(made(tmp_path / "a.dcm", colors, 8, PhotometricInterpretation="MONOCHROME1"))


def test_another_image_with_the_suffix_is_read(tmp_path):
    from PIL import Image

    gray = (RAMP // 16).astype(np.uint8)
    Image.fromarray(gray).save(tmp_path / "x.dcm", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "x.dcm"), gray)


def test_gray_in_colors_is_gray_and_a_palette_is_applied(tmp_path):
    gray = (RAMP // 16).astype(np.uint8)
    file = made(tmp_path / "a.dcm", np.repeat(gray[..., None], 3, -1), 8)
    np.testing.assert_array_equal(read_image(file), gray)
    colors = np.stack([gray, 255 - gray, gray // 2], -1)
    np.testing.assert_array_equal(read_image(made(tmp_path / "b.dcm", colors, 8)), colors)
    assert gray_if_equal(np.full((2, 2, 3), 7, np.uint8)).shape == (2, 2)
    file = made(tmp_path / "c.dcm", gray, 8)
    data = pydicom.dcmread(file)
    data.PhotometricInterpretation = "PALETTE COLOR"
    turned = (np.arange(255, -1, -1) * 257).astype("<u2").tobytes()
    for name in ("Red", "Green", "Blue"):
        data.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        data.add_new(f"{name}PaletteColorLookupTableData", "OW", turned)
    data.save_as(file)
    np.testing.assert_allclose(read_image(file).astype(int), 255 - gray.astype(int), atol=1)


def test_files_are_known_by_their_content(tmp_path):
    file = made(tmp_path / "a.dcm")
    expected = read_image(file)
    (tmp_path / "IM0001").write_bytes(file.read_bytes())
    (tmp_path / "bare").write_bytes(file.read_bytes()[132:])
    for name in ("IM0001", "bare"):
        assert is_dicom(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name), expected)
    (tmp_path / "x.png").write_bytes(b"\x89PNG nothing")
    assert not is_dicom(tmp_path / "x.png")


def test_huge_sizes_are_refused_before_decoding(tmp_path):
    file = made(tmp_path / "a.dcm")
    data = pydicom.dcmread(file)
    data.Rows = data.Columns = 65000
    data.save_as(file)
    with pytest.raises(Unreadable, match="declares 65000 x 65000 pixels"):
        read_image(file)
    from PIL import Image

    Image.new("1", (30000, 30000)).save(tmp_path / "bomb.png")
    with pytest.raises(Unreadable, match="30000 x 30000|exceeds limit"):
        read_image(tmp_path / "bomb.png")


def test_frames_and_other_objects_are_refused_with_the_reason(tmp_path):
    file = made(tmp_path / "a.dcm", np.concatenate([RAMP, RAMP])[:64], NumberOfFrames=2)
    with pytest.raises(Unreadable, match="2 frames"):
        read_image(file)
    data = pydicom.dcmread(file)
    del data.PixelData
    data.save_as(file)
    with pytest.raises(Unreadable, match="no pixel data"):
        read_image(file)


def test_windows_of_no_width_are_none():
    assert window(np.zeros(2), 1.0, 0.0) is None and window(np.zeros(2), None, 2.0) is None


def compressed(path, stream, pixels, syntax):
    """Write a file whose pixels are one compressed stream."""
    from pydicom.encaps import encapsulate

    data = pydicom.dcmread(made(path, pixels, 8))
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([stream])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(path)
    return path


def jpeg(pixels, form="JPEG"):
    """Bytes of an image as JPEG or JPEG 2000."""
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **({"no_jp2": True} if form != "JPEG" else {}))
    return out.getvalue()


GRAY = (np.indices((48, 64)).sum(0) * 2).astype(np.uint8)


def test_padding_is_found_in_whatever_form_it_is_written(tmp_path):
    signed = (RAMP.astype(np.int32) - 2048).astype("<i2")
    signed[:8] = -30000
    for kind, value in (("SS", -30000), ("US", 65536 - 30000)):
        file = made(tmp_path / f"{kind}.dcm", signed, 16)
        data = pydicom.dcmread(file)
        data.PixelRepresentation = 1
        data.add_new("PixelPaddingValue", kind, value)
        data.save_as(file)
        shown = read_image(file)
        assert (shown[:8] == 0).all() and shown[8:].min() == 0 and shown[8:].max() == 255
    beyond = RAMP.copy()
    beyond[:8] = 0xFFFF  # more than the 12 bits in use can say
    shown = read_image(made(tmp_path / "b.dcm", beyond, PixelPaddingValue=0xFFFF))
    assert (shown[:8] == 0).all() and shown[8:].max() == 255


def test_numbers_in_the_upper_bits_are_moved_down(tmp_path):
    plain = read_image(made(tmp_path / "a.dcm"))
    file = made(tmp_path / "b.dcm", RAMP << 4, HighBit=15)
    np.testing.assert_array_equal(read_image(file), plain)


@pytest.mark.parametrize("syntax", ["ImplicitVRLittleEndian", "ExplicitVRLittleEndian"])
def test_files_without_a_meta_header_are_read(tmp_path, syntax):
    file = made(tmp_path / "a.dcm")
    expected = read_image(file)
    data = pydicom.dcmread(file)
    data.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    data.save_as(file, implicit_vr=syntax.startswith("Implicit"))
    whole = file.read_bytes()
    file.write_bytes(whole[144 + int.from_bytes(whole[140:144], "little") :])
    np.testing.assert_array_equal(read_image(file), expected)


def test_color_spaces_and_byte_orders_agree_with_their_pixels(tmp_path):
    from PIL import Image

    colors = np.stack([GRAY, 255 - GRAY, GRAY // 2], -1)
    luma = np.asarray(Image.fromarray(colors).convert("YCbCr"))
    file = made(tmp_path / "a.dcm", luma, 8, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(read_image(file).astype(int), colors, atol=3)
    even, odd = luma[:, ::2].astype(int), luma[:, 1::2].astype(int)
    packed = np.stack(
        [even[..., 0], odd[..., 0], *((even + odd)[..., 1:] // 2).transpose(2, 0, 1)], -1
    )
    file = made(
        tmp_path / "b.dcm",
        luma,
        8,
        PhotometricInterpretation="YBR_FULL_422",
        PixelData=packed.astype(np.uint8).tobytes(),
    )
    assert np.abs(read_image(file).astype(int) - colors).mean() < 4
    planes = colors.transpose(2, 0, 1).tobytes()
    file = made(tmp_path / "c.dcm", colors, 8, PlanarConfiguration=1, PixelData=planes)
    np.testing.assert_array_equal(read_image(file), colors)


def test_rescaling_comes_before_the_window(tmp_path):
    fields = {"RescaleSlope": -1, "RescaleIntercept": 4095}
    shown = read_image(made(tmp_path / "a.dcm", **fields))
    np.testing.assert_array_equal(shown, 255 - read_image(made(tmp_path / "b.dcm")))
    windows = {"WindowCenter": [3000, 10], "WindowWidth": [1001, 5]}
    shown = read_image(made(tmp_path / "c.dcm", **fields, **windows))
    expected = 255 * np.clip((4095.0 - RAMP - 2999.5) / 1000 + 0.5, 0, 1)
    np.testing.assert_allclose(shown, expected, atol=0.51)


@pytest.mark.parametrize(
    "fields",
    [{"WindowCenter": 90000, "WindowWidth": 10}, {"RescaleSlope": 0, "RescaleIntercept": 0}],
)
def test_pictures_that_show_nothing_are_refused(tmp_path, fields):
    with pytest.raises(Unreadable, match="all pixels one gray"):
        read_image(made(tmp_path / "a.dcm", **fields))


def test_cut_and_mismatched_streams_are_refused_before_decoding(tmp_path):
    syntax = pydicom.uid.JPEGBaseline8Bit
    whole = jpeg(GRAY)
    shown = read_image(compressed(tmp_path / "a.dcm", whole, GRAY, syntax))
    assert np.abs(shown.astype(float) - 255.0 * GRAY / GRAY.max()).mean() < 3
    with pytest.raises(Unreadable, match="it was cut"):
        read_image(compressed(tmp_path / "b.dcm", whole[: len(whole) // 2], GRAY, syntax))
    wide = np.zeros((9, 4000), np.uint8)
    for stream, kind in (
        (jpeg(wide), syntax),
        (jpeg(wide, "JPEG2000"), pydicom.uid.JPEG2000Lossless),
    ):
        with pytest.raises(Unreadable, match="its compressed image has 9 x 4000"):
            read_image(compressed(tmp_path / "c.dcm", stream, GRAY, kind))


def test_a_deflated_file_is_read_unless_it_inflates_without_end(tmp_path, monkeypatch):
    from sae.data import dicom

    file = made(tmp_path / "a.dcm")
    expected = read_image(file)
    data = pydicom.dcmread(file)
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(file)
    np.testing.assert_array_equal(read_image(file), expected)
    monkeypatch.setattr(dicom, "MOST_DEFLATED", 1000)
    with pytest.raises(Unreadable, match="inflates to more than 1,000 bytes"):
        read_image(file)


@pytest.mark.filterwarnings("ignore")
def test_compressed_and_uncompressed_files_of_pydicom_agree():
    plain = read_image(FILES / "MR_small.dcm")
    for name in ("RLE", "bigendian", "implicit", "jp2klossless", "jpeg_ls_lossless"):
        np.testing.assert_array_equal(read_image(FILES / f"MR_small_{name}.dcm"), plain)


def test_photographs_stand_upright_and_white_tiffs_are_turned(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    Image.fromarray(GRAY).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(GRAY, -1))
    deep = GRAY.astype(np.uint16) * 16
    Image.fromarray(deep).save(tmp_path / "b.tif")
    Image.fromarray(deep).save(tmp_path / "c.tif", tiffinfo={262: 0})
    np.testing.assert_array_equal(
        read_image(tmp_path / "c.tif"), 255 - read_image(tmp_path / "b.tif")
    )


def test_films_and_programs_are_no_radiographs(tmp_path):
    from PIL import Image

    pages = [Image.fromarray(GRAY), Image.fromarray(GRAY // 2)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(Unreadable, match="2 images"):
        read_image(tmp_path / "a.tif")
    pages[0].save(tmp_path / "b.eps")
    with pytest.raises(Unreadable, match="cannot identify"):
        read_image(tmp_path / "b.eps")


FILES = Path(pydicom.__file__).parent / "data" / "test_files"
SHIPPED = sorted(FILES.glob("*.dcm"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
@pytest.mark.filterwarnings("ignore")
def test_files_of_pydicom_are_read_or_refused_with_a_sentence(file):
    try:
        shown = read_image(file)
    except Unreadable as reason:
        assert len(str(reason)) > 15 and "\n" not in str(reason)
    else:
        assert shown.dtype == np.uint8 and (shown.ndim == 2 or shown.shape[2] == 3)
