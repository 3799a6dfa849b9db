"""Radiographs in DICOM files, as a viewer shows them: PS3.3 C.11, from stored numbers to bytes.

    stored numbers -> modality table or rescale -> VOI table or window -> presentation -> uint8

A file is known by its content, not by its suffix: exports of archives often have none.
"""

import zlib
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from sae.data.cases import Unreadable

SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
OTHERS = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"II*\0", b"MM\0*")
"""First bytes of other images."""
MOST_PIXELS = 100_000_000
"""Numbers (pixels times channels times frames) beyond which a file is refused before decoding."""
GREY_TOLERANCE = 3
"""Largest difference of channels, of 255, of a gray image that is stored in colors (lossy JPEG)."""
INSTALL = "pip install 'latentax[films]'"


def is_dicom(path: Path) -> bool:
    """Return whether a file holds DICOM: by the letters DICM behind its preamble, if it has no
    preamble by its first element, or by its suffix where it does not begin as another image.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(132)
    except OSError:
        return False
    if head[128:132] == b"DICM":
        return True
    if path.suffix.lower() in SUFFIXES:
        return not head.startswith(OTHERS)
    # Without preamble, the first element is of group 2 or 8 with a low element number.
    group, element = head[:2], int.from_bytes(head[2:4], "little")
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    implicit = int.from_bytes(head[4:8], "little") < 128
    return group in (b"\x02\x00", b"\x08\x00") and element <= 0x0100 and (explicit or implicit)


def read_dicom(path: Path) -> np.ndarray:
    """Read the radiograph of a DICOM file, bone bright.

    The modality table or rescale comes first, then the VOI table, or else the first window with its
    function (LINEAR, LINEAR_EXACT, SIGMOID), or else the range of the numbers, in which padding and
    single stuck pixels do not count. MONOCHROME1 and presentation shape INVERSE are inverted.
    Palettes are applied. Color images whose channels are equal become gray.

    Returns:
      uint8 `[H, W]`, or `[H, W, 3]` where it is in color.

    Raises:
      Unreadable: no pixels, several frames, too many pixels, or damage; with the whole reason.
      UserError: pydicom is not installed.
    """
    try:
        import pydicom
    except ImportError:
        raise UserError(f"reading DICOM needs pydicom: {INSTALL}") from None
    try:
        _check_deflated(path)
        data = pydicom.dcmread(path, force=True)
        _check_size(data)
        _name_transfer_syntax(data)
        _check_stream(data)
        if hasattr(data, "pixel_array_options"):  # bits of other things are cleared below
            data.pixel_array_options(correct_unused_bits=False)
        _take_groups(data)
        stored = np.squeeze(data.pixel_array)
        kind = str(data.get("PhotometricInterpretation", "MONOCHROME2")).strip()
        if kind == "PALETTE COLOR":
            return _palette(stored, data)
        if int(data.get("SamplesPerPixel", 1) or 1) > 1:
            if kind.startswith("MONOCHROME"):
                raise Unreadable(f"it is {kind}, which has one number per pixel, but has several")
            return gray_if_equal(_color_bytes(stored, data))
        numbers = _meaningful(stored, data)
        padding = _padding(stored, data, numbers)
        _check_bits(stored if padding is None else stored[~padding], data)
        return _shown(numbers, padding, data, kind == "MONOCHROME1")
    except Unreadable:
        raise
    except Exception as error:  # pydicom and its decoders raise their own kinds
        raise Unreadable(f"no readable DICOM ({_whole(error)})") from None


def _whole(error: Exception) -> str:
    """The reason of a failure on one line, with the package to install where a decoder lacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = "; ".join(lines) or type(error).__name__
    missing = "missing dependencies" in reason or "plugin" in reason.lower()
    return f"{reason}; install its decoders: {INSTALL}" if missing else reason


def _check_size(data) -> None:
    """Refuse what is no single radiograph, before anything is decoded."""
    names = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    if not any(name in data for name in names):
        raise Unreadable("no readable DICOM (it holds no pixel data)")
    rows, columns = int(data.get("Rows", 0) or 0), int(data.get("Columns", 0) or 0)
    frames = int(data.get("NumberOfFrames", 1) or 1)
    numbers = rows * columns * frames * int(data.get("SamplesPerPixel", 1) or 1)
    if frames > 1:
        raise Unreadable(f"it holds {frames} frames: a film or a volume, not one radiograph")
    if rows < 1 or columns < 1:
        raise Unreadable(f"no readable DICOM (it has {rows} rows and {columns} columns)")
    if numbers > MOST_PIXELS:
        raise Unreadable(
            f"it declares {rows} x {columns} pixels, more than the {MOST_PIXELS:,} that are decoded"
        )


MOST_DEFLATED = 2**30
"""Bytes that a deflated file may inflate to."""


def _check_deflated(path: Path) -> None:
    """Refuse a deflated file that inflates beyond `MOST_DEFLATED`, before anything is kept."""
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    try:
        meta = read_file_meta_info(path)
        start = 144 + int(meta.FileMetaInformationGroupLength)  # preamble, DICM, and that element
    except Exception:  # without a meta header nothing says that it is deflated
        return
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with open(path, "rb") as file:
        file.seek(start)
        while part := inflater.unconsumed_tail or file.read(2**16):
            total += len(inflater.decompress(part, 2**20))
            if total > MOST_DEFLATED:
                raise Unreadable(f"it inflates to more than {MOST_DEFLATED:,} bytes")
            if inflater.eof:
                break


def _name_transfer_syntax(data) -> None:
    """Give a file without its meta header the transfer syntax that its elements were read by; only
    uncompressed pixels have a known length.
    """
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    meta = getattr(data, "file_meta", None)
    if meta is not None and meta.get("TransferSyntaxUID"):
        return
    implicit, little = data.original_encoding
    if data["PixelData"].is_undefined_length if "PixelData" in data else False:
        raise Unreadable("no readable DICOM (its pixels are compressed, and nothing says how)")
    data.file_meta = meta if meta is not None else FileMetaDataset()
    data.file_meta.TransferSyntaxUID = (
        ImplicitVRLittleEndian
        if implicit
        else ExplicitVRLittleEndian
        if little
        else ExplicitVRBigEndian
    )


def _check_stream(data) -> None:
    """Refuse a compressed image that is cut, or of another size than its file says, before it is
    decoded: decoders fill what lacks with gray.
    """
    from pydicom.encaps import get_frame

    if not _compressed(data):
        return
    stream = get_frame(data.PixelData, 0, number_of_frames=1)
    size = stream_size(stream)
    declared = int(data.Rows), int(data.Columns)
    if size is not None and size != declared:
        raise Unreadable(
            f"no readable DICOM (it declares {declared[0]} x {declared[1]} pixels, but its "
            f"compressed image has {size[0]} x {size[1]})"
        )
    if stream[:2] == b"\xff\xd8" and b"\xff\xd9" not in stream[-64:]:
        raise Unreadable("no readable DICOM (its JPEG ends before its end marker: it was cut)")


def _compressed(data) -> bool:
    """Return whether the pixels are in a compressed form other than run lengths."""
    from pydicom.uid import RLELossless

    syntax = data.file_meta.TransferSyntaxUID
    return "PixelData" in data and syntax.is_compressed and syntax not in (RLELossless, DEFLATED)


DEFLATED = "1.2.840.10008.1.2.1.99"
"""Transfer syntax of a file whose data set is deflated; its pixels lie in it as they are."""


def stream_size(stream: bytes) -> tuple[int, int] | None:
    """Rows and columns of a JPEG, JPEG-LS or JPEG 2000 image by its own header; None if it does not
    say.
    """
    found = stream.find(b"\xff\x4f\xff\x51") if stream[:2] != b"\xff\xd8" else -1
    if found >= 0:  # JPEG 2000: size of the grid, less its offset
        x, y, left, top = (
            int.from_bytes(stream[found + 8 + 4 * i : found + 12 + 4 * i], "big") for i in range(4)
        )
        return y - top, x - left
    at = 2
    while stream[:2] == b"\xff\xd8" and at + 9 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:  # a filling byte
            at += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows = int.from_bytes(stream[at + 5 : at + 7], "big")
            return (rows, int.from_bytes(stream[at + 7 : at + 9], "big")) if rows else None
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None


def _meaningful(stored: np.ndarray, data) -> np.ndarray:
    """Stored numbers without what lies in bits that do not belong to them (old overlays)."""
    if stored.ndim != 2:
        raise Unreadable(f"its pixels have shape {stored.shape}, not [H, W]")
    if stored.dtype.kind not in "iu":
        return stored
    total = 8 * stored.dtype.itemsize
    bits = int(data.get("BitsStored", total) or total)
    high = bits - 1 if _compressed(data) else int(data.get("HighBit", bits - 1))
    if not 0 < bits <= high + 1 <= total:
        return stored
    return (stored << (total - 1 - high)) >> (total - bits)


def _check_bits(stored: np.ndarray, data) -> None:
    """Refuse numbers that reach beyond the bits which the header gives them, where nothing says
    what else lies there: without those bits a bright place would be dark.
    """
    total = 8 * stored.dtype.itemsize
    bits = int(data.get("BitsStored", 0) or 0)
    high = bits - 1 if _compressed(data) else int(data.get("HighBit", bits - 1))
    if stored.dtype.kind not in "iu" or not 0 < bits <= high + 1 <= total:
        return
    used = bool(np.any(stored & ((1 << (high + 1 - bits)) - 1)))
    if high + 1 < total and high + 1 not in _overlay_bits(data):
        above = stored >> (high + 1)  # of signed numbers all of them repeat the sign
        used |= bool(np.any((above & 1 == 1) & (above != -1 if stored.dtype.kind == "i" else True)))
    if used:
        raise Unreadable(
            f"its header says that pixels have {bits} bits up to bit {high}, but they use others: "
            "correct BitsStored and HighBit"
        )


def _overlay_bits(data) -> set[int]:
    """Bits of the pixels in which overlays lie."""
    tags = [group << 16 | 0x0102 for group in range(0x6000, 0x6020, 2)]
    return {int(data[tag].value or 0) for tag in tags if tag in data}


FUNCTIONAL = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
"""Functional groups of enhanced images that say what others say at the top."""


def _take_groups(data) -> None:
    """Copy rescaling and window of an enhanced image of one frame to the top, where they are read;
    what stands there already stays.
    """
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in data.get(groups) or ():
            for name in FUNCTIONAL:
                for item in group.get(name) or ():
                    for element in item:
                        if element.tag not in data:
                            data.add(element)


def _rescaled(stored: np.ndarray, data) -> np.ndarray:
    """Stored numbers through the modality table, or else the rescale, float64 of the same shape; a
    slope that is missing or blank is 1, an intercept 0.
    """
    table = data.get("ModalityLUTSequence")
    if table:
        return _through(stored.astype(np.int64), table[0], data)
    slope, intercept = first_of(data.get("RescaleSlope")), first_of(data.get("RescaleIntercept"))
    slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
    return stored.astype(np.float64) * slope + intercept


def _shown(stored: np.ndarray, padding: np.ndarray | None, data, turned: bool) -> np.ndarray:
    """Bytes of gray values.

    Args:
      stored: numbers `[H, W]`.
      padding: pixels of no image, bool `[H, W]`; None: there are none.
      data: the data set.
      turned: turn bright into dark and dark into bright.
    """
    values = _rescaled(stored, data)
    share = _voi(values, data)
    if share is None:
        low, high = robust_range(values if padding is None else values[~padding])
        share = (values - low) / max(high - low, 1e-9)
    shape = str(data.get("PresentationLUTShape", "") or "").strip().upper()
    table = data.get("PresentationLUTSequence")
    share = np.clip(np.nan_to_num(share), 0, 1)
    image = slice(None) if padding is None else ~padding
    if np.ptp(stored[image]) > 0 and not np.ptp(np.round(255 * share[image])):
        raise Unreadable(
            "its window or its rescaling makes all pixels one gray: nothing can be seen in it"
        )
    if table:
        share = _by_table(share, table[0], data)
    shown = np.round(255 * share).astype(np.uint8)
    shown = 255 - shown if turned or shape == "INVERSE" else shown
    if padding is not None:
        shown[padding] = 0
    return shown


def _padding(stored: np.ndarray, data, numbers: np.ndarray) -> np.ndarray | None:
    """Pixels that belong to no image, bool `[H, W]`; None where there are none, or only such.

    Args:
      stored: numbers as they lie in the file, in which padding may use bits of nothing else.
      data: the data set.
      numbers: the same without those bits.
    """
    first = data.get("PixelPaddingValue")
    if first is None or isinstance(first, bytes):
        return None
    last = data.get("PixelPaddingRangeLimit")
    last = first if last is None or isinstance(last, bytes) else last
    for values in (numbers, stored):
        low, high = sorted(_signed_like(values, int(value)) for value in (first, last))
        padding = (values >= low) & (values <= high)
        if padding.any():
            return padding if not padding.all() else None
    return None


def _signed_like(values: np.ndarray, value: int) -> int:
    """A number of a header in the range of signed pixels, where its element says it unsigned."""
    if values.dtype.kind != "i" or value <= np.iinfo(values.dtype).max:
        return value
    return value - 2 ** (8 * values.dtype.itemsize)


def _voi(values: np.ndarray, data) -> np.ndarray | None:
    """Values through the VOI table or the first window, in [0, 1]; None if there is neither."""
    table = data.get("VOILUTSequence")
    if table:
        shown = _through(np.round(values).astype(np.int64), table[0], data)
        return shown / _table_top(table[0], data)
    center, width = first_of(data.get("WindowCenter")), first_of(data.get("WindowWidth"))
    function = str(data.get("VOILUTFunction", "") or "LINEAR").strip().upper()
    return window(values, center, width, function)


def window(
    values: np.ndarray, center: float | None, width: float | None, function: str = "LINEAR"
) -> np.ndarray | None:
    """Values through a window, in [0, 1] (PS3.3 C.11.2.1.2 and C.11.2.1.3); None without a usable
    one.

    Args:
      values: numbers of any shape.
      center: middle of the window, in units of the values; None: there is no window.
      width: of the window, in the same units.
      function: "LINEAR", "LINEAR_EXACT" or "SIGMOID", as DICOM names them.

    Raises:
      Unreadable: the function has an unknown name.
    """
    if center is None or width is None or not np.isfinite([center, width]).all() or width <= 0:
        return None
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1)
    if function != "LINEAR":
        raise Unreadable(f"its window has the unknown function {function}")
    if width <= 1:
        return None
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def _entries(item, data) -> np.ndarray:
    """Entries of a table. They lie in words of 16 bits, those of at most 8 bits perhaps in bytes,
    two of which may make a word.
    """
    count, bits = int(item.LUTDescriptor[0]) or 2**16, int(item.LUTDescriptor[2])
    raw = item.LUTData
    if isinstance(raw, bytes):
        little = data.original_encoding[1] is not False
        in_bytes = bits <= 8 and len(raw) < 2 * count
        entries = np.frombuffer(raw, np.uint8 if in_bytes else "<u2" if little else ">u2")
    else:
        entries = np.atleast_1d(np.asarray(raw, np.int64))
        if len(entries) < count <= 2 * len(entries) and bits <= 8:
            entries = np.stack([entries & 0xFF, entries >> 8], -1).reshape(-1)
    if len(entries) < count:
        raise Unreadable(f"its table declares {count} entries, but has {len(entries)}")
    return entries[:count].astype(np.int64)


def _through(values: np.ndarray, item, data) -> np.ndarray:
    """Whole numbers through a modality or VOI table; those before and beyond it get its first and
    last entry (PS3.3 C.11.1.1.1 and C.11.2.1.1).
    """
    entries = _entries(item, data)
    return entries[np.clip(values - int(item.LUTDescriptor[1]), 0, len(entries) - 1)].astype(float)


def _table_top(item, data) -> float:
    """The largest number that a table may give: by its descriptor, or by its entries where these
    use less than half of that (tables of 12 bits that say 16 are common). Our choice.
    """
    largest, declared = int(_entries(item, data).max()), 2 ** int(item.LUTDescriptor[2]) - 1
    return float(
        declared if declared >= largest > declared // 2 else max(2 ** largest.bit_length() - 1, 1)
    )


def _by_table(share: np.ndarray, item, data) -> np.ndarray:
    """Numbers in [0, 1] through a presentation table that starts at 0."""
    entries = _entries(item, data)
    place = np.round(share * (len(entries) - 1)).astype(int)
    return np.clip(entries[place] / _table_top(item, data), 0, 1)


def first_of(value) -> float | None:
    """The first of several numbers; None where there is none."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except TypeError:
        return float(value[0]) if len(value) else None


def robust_range(values: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest number, or those without a few stuck pixels.

    Up to one pixel in ten thousand (at least one, in images of 256 pixels or more) does not count
    where it lies farther from the others than a quarter of their range. Our choice.
    """
    flat = np.asarray(values, np.float64).reshape(-1)
    flat = flat[np.isfinite(flat)]
    if not len(flat):
        return 0.0, 0.0
    few = max(1, len(flat) // 10_000) if len(flat) >= 256 else 0
    ordered = np.partition(flat, (few, len(flat) - 1 - few))
    low, high = float(flat.min()), float(flat.max())
    inner_low, inner_high = float(ordered[few]), float(ordered[len(flat) - 1 - few])
    far = 0.25 * (inner_high - inner_low)
    if inner_high > inner_low:
        low = inner_low if inner_low - low > far else low
        high = inner_high if high - inner_high > far else high
    return low, high


def _palette(stored: np.ndarray, data) -> np.ndarray:
    """Indices through their palette, as bytes."""
    from pydicom.pixels import apply_color_lut

    if stored.ndim != 2:
        raise Unreadable(f"its pixels have shape {stored.shape}, not [H, W]")
    colors = np.asarray(apply_color_lut(stored, data))[..., :3]
    top = 255 if colors.dtype.itemsize == 1 or colors.max(initial=0) <= 255 else 65535
    return gray_if_equal(np.round(255 * (colors.astype(np.float64) / top)).astype(np.uint8))


def _color_bytes(stored: np.ndarray, data) -> np.ndarray:
    """Red, green and blue as bytes."""
    if stored.ndim != 3 or stored.shape[-1] not in (3, 4):
        raise Unreadable(f"its pixels have shape {stored.shape}, not [H, W, 3]")
    top = 2 ** int(data.get("BitsStored", 8)) - 1
    return np.round(255 * (np.clip(stored[..., :3].astype(np.float64), 0, top) / top)).astype(
        np.uint8
    )


def gray_if_equal(colors: np.ndarray) -> np.ndarray:
    """One channel of an image whose channels are equal; else the image, uint8 `[H, W, 3]`."""
    wide = colors.astype(np.int16)
    if (wide.max(-1) - wide.min(-1)).max(initial=0) > GREY_TOLERANCE:
        return colors
    return np.round(wide.mean(-1)).astype(np.uint8)
