"""Damaged slides: small sound files, and the many ways in which a file goes wrong.

Each mutation is a function of a random generator and the sound files; it returns the bytes of the damaged file and the
suffix it pretends to have. The same seed gives the same files.
"""

import gzip
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile

TIFFS = ("aperio_jpeg.svs", "aperio_deflate.svs", "generic.tif", "big.svs", "plain.tif")
FLAT = ("flat.png", "flat.jpg", "flat.bmp")
SPACING_UM = 0.5
SIZE_PX = (704, 544)
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, DESCRIPTION, STRIPS = 256, 257, 258, 259, 262, 270, 273
SAMPLES, STRIP_BYTES, X_RESOLUTION, PLANAR, UNIT, PREDICTOR = 277, 279, 282, 284, 296, 317
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES, TABLES, SUBSAMPLING = 322, 323, 324, 325, 347, 530
VALUES = (
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    255,
    4096,
    32773,
    33003,
    33005,
    34712,
    50001,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


@dataclass(frozen=True)
class Entry:
    """A tag of a TIFF file: where its entry lies, its type and count, and where its value lies."""

    offset: int
    tag: int
    kind: int
    count: int
    value_offset: int


def draw_sound_files(folder: Path) -> None:
    """Write the sound files: a blob of textured tissue on glass, in the formats that a cohort consists of."""
    width, height = SIZE_PX
    noise = np.random.default_rng(3).normal(0, 14, (height, width, 3))
    inside = np.zeros((height, width), np.uint8)
    cv2.ellipse(inside, (width // 2, height // 2), (width // 3, height // 3), 20, 0, 360, 1, -1)
    picture = np.where(inside[..., None] == 1, np.array((200, 110, 170)) + noise, 246 + noise * 0.1)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    small = cv2.resize(picture, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    header = f"Aperio Image Library v1\r\n{width}x{height} (128x128)|AppMag = 20|MPP = {SPACING_UM}"
    jpeg = {"compression": "jpeg", "compressionargs": {"level": 80}, "subsampling": (2, 2)}
    resolution = {"resolution": (1e4 / SPACING_UM, 1e4 / SPACING_UM), "resolutionunit": "CENTIMETER"}
    common = {"photometric": "rgb", "metadata": None, "software": False}
    for name, options, is_big in (
        ("aperio_jpeg.svs", {"tile": (128, 128), "description": header, **jpeg}, False),
        ("aperio_deflate.svs", {"tile": (128, 128), "description": header, "compression": "deflate"}, False),
        ("generic.tif", {"tile": (128, 128), **jpeg, **resolution}, False),
        ("big.svs", {"tile": (128, 128), "description": header, **jpeg}, True),
    ):
        with tifffile.TiffWriter(folder / name, bigtiff=is_big) as tiff:
            for level in (picture, small):
                reduced = {"subfiletype": 1} if level is small and name == "generic.tif" else {}
                tiff.write(level, **common, **options, **reduced)
    tifffile.imwrite(folder / "plain.tif", picture, rowsperstrip=32, **common, **resolution)
    for name in FLAT:
        cv2.imwrite(str(folder / name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def find_entries(data: bytes) -> tuple[list[Entry], list[int]]:
    """The entries of all directories of a sound TIFF file, and where each directory keeps the next one's place."""
    is_big = data[2] == 43
    at = struct.unpack_from("<Q" if is_big else "<I", data, 8 if is_big else 4)[0]
    entries, links = [], []
    while at:
        number = struct.unpack_from("<Q" if is_big else "<H", data, at)[0]
        at += 8 if is_big else 2
        for _ in range(number):
            tag, kind, count = struct.unpack_from("<HHQ" if is_big else "<HHI", data, at)
            field = at + (12 if is_big else 8)
            inline = TYPE_BYTES[kind] * count <= (8 if is_big else 4)
            value = field if inline else struct.unpack_from("<Q" if is_big else "<I", data, field)[0]
            entries.append(Entry(at, tag, kind, count, value))
            at += 20 if is_big else 12
        links.append(at)
        at = struct.unpack_from("<Q" if is_big else "<I", data, at)[0]
    return entries, links


Sound = Mapping[str, bytes]
Mutation = Callable[[np.random.Generator, Sound], tuple[bytes, str]]


def _pick(rng: np.random.Generator, sound: Sound, names: tuple[str, ...] = TIFFS + FLAT) -> tuple[bytearray, str]:
    name = names[rng.integers(len(names))]
    return bytearray(sound[name]), Path(name).suffix


def _flip(rng: np.random.Generator, data: bytearray, start: int, end: int, count: int) -> None:
    for at in rng.integers(start, max(start + 1, min(end, len(data))), count):
        data[at] ^= int(rng.integers(1, 256))


def _put(data: bytearray, entry: Entry, value: int, index: int = 0) -> None:
    """Write `value` into a tag, as its type can hold it."""
    size = TYPE_BYTES[entry.kind]
    at = entry.value_offset + index * size
    data[at : at + size] = (value % 256**size).to_bytes(size, "little")


def truncated(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """The download broke off."""
    data, suffix = _pick(rng, sound)
    return bytes(data[: rng.integers(1, len(data))]), suffix


def header_flipped(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """Bytes of the first 64 are wrong."""
    data, suffix = _pick(rng, sound)
    _flip(rng, data, 0, 64, int(rng.integers(1, 5)))
    return bytes(data), suffix


def directory_flipped(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """Bytes of a TIFF directory are wrong."""
    data, suffix = _pick(rng, sound, TIFFS)
    entries, _ = find_entries(data)
    first, last = entries[0].offset, entries[-1].offset
    _flip(
        rng, data, *((first, first + 260) if rng.random() < 0.5 else (last - 200, last + 24)), int(rng.integers(1, 6))
    )
    return bytes(data), suffix


def pixels_flipped(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """Bytes anywhere are wrong, few or many."""
    data, suffix = _pick(rng, sound)
    _flip(rng, data, 0, len(data), int(2 ** rng.integers(0, 11)))
    return bytes(data), suffix


def zeroed(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """A block was never written, as disks leave it."""
    data, suffix = _pick(rng, sound)
    start = int(rng.integers(0, len(data)))
    end = min(len(data), start + int(2 ** rng.integers(4, 17)))
    data[start:end] = bytes(end - start)
    return bytes(data), suffix


def shifted(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """Bytes are missing or too many: a text-mode transfer."""
    data, suffix = _pick(rng, sound)
    at, count = int(rng.integers(0, len(data))), int(rng.integers(1, 64))
    if rng.random() < 0.5:
        del data[at : at + count]
    else:
        data[at:at] = rng.bytes(count)
    return bytes(data), suffix


def tag_changed(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """One tag holds another value."""
    data, suffix = _pick(rng, sound, TIFFS)
    entries, _ = find_entries(data)
    entry = entries[rng.integers(len(entries))]
    _put(data, entry, int(VALUES[rng.integers(len(VALUES))]), int(rng.integers(entry.count)))
    return bytes(data), suffix


def tag_retyped(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """One tag has another number, type or count."""
    data, suffix = _pick(rng, sound, TIFFS)
    entries, _ = find_entries(data)
    at = entries[rng.integers(len(entries))].offset
    what = rng.integers(3)
    if what == 0:
        data[at : at + 2] = int(rng.integers(65536)).to_bytes(2, "little")
    elif what == 1:
        data[at + 2 : at + 4] = int(rng.integers(20)).to_bytes(2, "little")
    else:
        data[at + 4 : at + 8] = int(VALUES[rng.integers(len(VALUES))]).to_bytes(4, "little")
    return bytes(data), suffix


def size_claimed(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """A level claims up to 2^31 px a side and more."""
    data, suffix = _pick(rng, sound, TIFFS)
    side = int((2**31, 2**31 - 1, 2**32 - 1, 2**20, 200_000, 65_536, 0)[rng.integers(7)])
    tags = ((WIDTH,), (LENGTH,), (WIDTH, LENGTH))[rng.integers(3)]
    _put_level(rng, data, tags, side)
    return bytes(data), suffix


def tiles_claimed(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """Tiles or strips claim an odd or gigantic size."""
    data, suffix = _pick(rng, sound, TIFFS)
    side = int((0, 1, 15, 17, 64, 256, 4096, 32_768, 65_535, 2**20, 2**31, 2**32 - 16)[rng.integers(12)])
    _put_level(rng, data, (TILE_WIDTH, TILE_LENGTH, 278)[: rng.integers(1, 4)], side)
    return bytes(data), suffix


def tiles_misplaced(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """Places and lengths of tiles lie outside the file, overlap, or are zero."""
    data, suffix = _pick(rng, sound, TIFFS)
    entries, _ = find_entries(data)
    entry = _one(rng, [e for e in entries if e.tag in (TILE_OFFSETS, TILE_BYTES, STRIPS, STRIP_BYTES)])
    values = (0, 1, 8, len(data) - 1, len(data), len(data) * 2, 2**31, 2**32 - 1)
    every = rng.random() < 0.3
    for index in range(entry.count):
        if every or rng.random() < 0.3:
            _put(data, entry, int(values[rng.integers(len(values))]), index)
    return bytes(data), suffix


def layout_claimed(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """Bits, samples, compression, colour space, planes or predictor are not those of the data."""
    data, suffix = _pick(rng, sound, TIFFS)
    tags = (BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR, PREDICTOR, TABLES, SUBSAMPLING)
    entries = [e for e in find_entries(data)[0] if e.tag in tags]
    for entry in (_one(rng, entries) for _ in range(rng.integers(1, 3))):
        _put(data, entry, int((0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 34712, 50000, 65535)[rng.integers(14)]))
    return bytes(data), suffix


def directories_looped(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """The chain of directories leads back, into nothing, or into the pixels."""
    data, suffix = _pick(rng, sound, TIFFS)
    links = find_entries(data)[1]
    width = 8 if data[2] == 43 else 4  # of a place in the file; the first directory's stands at the same byte
    first = int.from_bytes(data[width : 2 * width], "little")
    target = int((first, links[0], len(data) + 100, len(data) // 2, 8, 1, 2**31)[rng.integers(7)])
    at = links[rng.integers(len(links))]
    data[at : at + width] = target.to_bytes(width, "little")
    return bytes(data), suffix


def big_tiff_odd(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """A BigTIFF that breaks its own rules, or one that claims to be classic, and the other way round."""
    name = ("big.svs", "aperio_jpeg.svs")[rng.integers(2)]
    data = bytearray(sound[name])
    what = rng.integers(5)
    if what == 0:
        data[2] = 42 if data[2] == 43 else 43
    elif what == 1:
        data[4:6] = int(rng.integers(0, 65536)).to_bytes(2, "little")
    elif what == 2:
        at = int.from_bytes(data[8:16], "little") if name == "big.svs" else 8
        data[at : at + 8] = (2 ** int(rng.integers(8, 63))).to_bytes(8, "little")
    elif what == 3:
        data[8:16] = (2 ** int(rng.integers(20, 63))).to_bytes(8, "little")
    else:
        data[:2] = b"MM"
    return bytes(data), ".svs"


def description_changed(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """The vendor's text states nonsense, in the room that it has."""
    data = bytearray(sound["aperio_jpeg.svs"])
    old = f"MPP = {SPACING_UM}".encode()
    values = (b"nan", b"0.0", b"-.5", b"inf", b"1e9", b"abc", b"\xff\xfe\xfd", b"", b"0,5", b"9e-")
    new = (b"MPP = " + values[rng.integers(len(values))]).ljust(len(old), (b" ", b"\0", b"|")[rng.integers(3)])[
        : len(old)
    ]
    data = data.replace(old, new)
    if rng.random() < 0.3:
        data = data.replace(b"Aperio", rng.bytes(6))
    return bytes(data), ".svs"


def no_slide(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """Something else was renamed: text, a web page, nothing, zeros, noise, an archive, a picture."""
    png = sound["flat.png"]
    contents = (
        b"",
        b"\0",
        b"II*\0",
        b"MM\0*\0\0\0\x08",
        b"slide,label\n" * 100,
        b"<!doctype html><title>403 Forbidden</title>" * 20,
        bytes(100_000),
        rng.bytes(50_000),
        gzip.compress(sound["aperio_jpeg.svs"]),
        png,
        sound["flat.jpg"],
        b"\xef\xbb\xbf[HierarchicalData]\r\n" * 10,
        b"[Virtual Microscope Specimen]\nNoLayers=1\nNoJpegColumns=99999999\nNoJpegRows=99999999\nImageFile=x.jpg\n",
        b"\0" * 128 + b"DICM" + rng.bytes(400),
        b"%PDF-1.7\n" + rng.bytes(500),
    )
    suffixes = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".vms", ".dcm", ".png", ".jpg", ".bif")
    return contents[rng.integers(len(contents))], suffixes[rng.integers(len(suffixes))]


def flat_claimed(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """A PNG, JPEG or BMP claims a gigantic or empty size, its checksums right."""
    side = int((0, 1, 20_000, 60_000, 65_535, 2**20, 2**31 - 1, 2**31)[rng.integers(8)])
    other = int((1, 704, side)[rng.integers(3)])
    name = FLAT[rng.integers(len(FLAT))]
    data = bytearray(sound[name])
    if name == "flat.png":
        data[16:24] = struct.pack(">II", side, other)
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    elif name == "flat.bmp":
        data[18:26] = struct.pack("<II", side, other)
    else:
        at = next(i for i in range(2, len(data)) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC2))
        data[at + 5 : at + 9] = struct.pack(">HH", side % 65536, other % 65536)
    return bytes(data), Path(name).suffix


def bomb(rng: np.random.Generator, _: Sound) -> tuple[bytes, str]:
    """Valid by the letter, a few kilobytes long, and gigabytes when decoded."""
    side = int((20_000, 40_000, 65_000)[rng.integers(3)])
    if rng.random() < 0.4:
        rows = zlib.compress(bytes(1 + side * 3) * 64, 9)
        chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
        body = b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
        return b"\x89PNG\r\n\x1a\n" + body, ".png"
    packed = zlib.compress(bytes(50_000_000), 9)
    tiled = rng.random() < 0.6
    tile_side = side // 16 * 16
    tags = [
        (WIDTH, 4, side),
        (LENGTH, 4, side),
        (BITS, 3, 8),
        (COMPRESSION, 3, 8),
        (PHOTOMETRIC, 3, 1),
        (SAMPLES, 3, 1),
    ]
    if tiled:
        tags += [
            (TILE_WIDTH, 4, tile_side),
            (TILE_LENGTH, 4, tile_side),
            (TILE_OFFSETS, 4, 0),
            (TILE_BYTES, 4, len(packed)),
        ]
    else:
        tags += [(STRIPS, 4, 0), (278, 4, side), (STRIP_BYTES, 4, len(packed))]
    tags.sort()
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", start if tag in (STRIPS, TILE_OFFSETS) else value)
        for tag, kind, value in tags
    )
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0\x08\0\0\0" + directory + packed, (".tif", ".svs")[rng.integers(2)]


def whole(rng: np.random.Generator, sound: Sound) -> tuple[bytes, str]:
    """Nothing is wrong: the check of the check."""
    data, suffix = _pick(rng, sound)
    return bytes(data), suffix


MUTATIONS: tuple[Mutation, ...] = (
    truncated,
    header_flipped,
    directory_flipped,
    pixels_flipped,
    zeroed,
    shifted,
    tag_changed,
    tag_retyped,
    size_claimed,
    tiles_claimed,
    tiles_misplaced,
    layout_claimed,
    directories_looped,
    big_tiff_odd,
    description_changed,
    no_slide,
    flat_claimed,
    bomb,
    whole,
)


def _one(rng: np.random.Generator, entries: list[Entry]) -> Entry:
    return entries[rng.integers(len(entries))]


def _put_level(rng: np.random.Generator, data: bytearray, tags: tuple[int, ...], value: int) -> None:
    """Write `value` into `tags` of the first level, or of all."""
    entries, links = find_entries(data)
    last = links[0] if rng.random() < 0.6 else len(data)
    for entry in entries:
        if entry.tag in tags and (entry.offset < last or rng.random() < 0.5):
            _put(data, entry, value)
