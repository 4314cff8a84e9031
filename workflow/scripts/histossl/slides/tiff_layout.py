"""Where the tiles of a tiled TIFF lie in the file.

Only what is needed to decode tiles is read, in one pass over the directories, with every size checked against the
file's length. The format: TIFF 6.0 (Adobe, 1992) and BigTIFF (8-byte offsets, version 43). tifffile reads far more, but
its import costs each job 70 ms.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

MAX_DIRECTORIES = 1000
MAX_BYTES = 2**60
"""No file is as large; sums of two such numbers still fit 64 bits."""
NUMPY_TYPES = {1: "u1", 3: "u2", 4: "u4", 7: "u1", 16: "u8"}
"""TIFF's types BYTE, SHORT, LONG, UNDEFINED and (BigTIFF) LONG8; the tags used here have no other."""
TAGS = {
    256: "width",
    257: "height",
    258: "bits",
    259: "compression",
    262: "photometric",
    277: "samples",
    284: "planar",
    322: "tile_width",
    323: "tile_height",
    324: "offsets",
    325: "counts",
    347: "jpeg_tables",
}


class LayoutError(Exception):
    """The file is no TIFF, or its directories make no sense."""


class TileTableError(LayoutError):
    """A picture lists fewer tiles than its size asks for."""


@dataclass(frozen=True)
class TiledDirectory:
    """One picture of a TIFF: sizes in pixels, numbers as the TIFF has them, and where its tiles lie in the file."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    bits: tuple[int, ...]
    compression: int
    photometric: int
    planar: int
    jpeg_tables: bytes | None
    offsets: np.ndarray
    """(tiles,) int64, byte at which each tile starts, row after row."""
    counts: np.ndarray
    """(tiles,) int64, length of each tile in bytes; 0 where the tile was left out."""

    @property
    def tiles_across(self) -> int:
        """Tiles in a row."""
        return -(-self.width // self.tile_width)

    @property
    def end(self) -> int:
        """First byte behind the last tile."""
        return int((self.offsets + self.counts).max())


def read_tiled_directories(path: Path) -> list[TiledDirectory]:
    """All tiled pictures of a TIFF file, in its order.

    Raises:
        LayoutError: the file is no TIFF or is damaged.
        TileTableError: a picture lists fewer tiles than its size asks for.
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as file:
        length = file.seek(0, 2)
        return _Reader(file, length).read()


class _Reader:
    def __init__(self, file: BinaryIO, length: int) -> None:
        self.file, self.length = file, length
        head = self.bytes_at(0, 8)
        self.order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        version = struct.unpack(f"{self.order}H", head[2:4])[0] if self.order else 0
        if version == 42:
            self.word, self.entry, self.count = "I", 12, "H"
            self.first = struct.unpack(f"{self.order}I", head[4:])[0]
        elif version == 43:
            self.word, self.entry, self.count = "Q", 20, "Q"
            self.first = struct.unpack(f"{self.order}Q", self.bytes_at(8, 8))[0]
        else:
            raise LayoutError("not a TIFF file")

    def bytes_at(self, offset: int, count: int) -> bytes:
        if offset < 0 or count < 0 or offset + count > self.length:
            raise LayoutError(f"points to bytes {offset} to {offset + count} of a file of {self.length}")
        self.file.seek(offset)
        return self.file.read(count)

    def read(self) -> list[TiledDirectory]:
        found = []
        offset, seen = self.first, set()
        while offset:
            if offset in seen or len(seen) > MAX_DIRECTORIES:
                raise LayoutError("its directories form a loop")
            seen.add(offset)
            count_size = struct.calcsize(self.count)
            entries = struct.unpack(f"{self.order}{self.count}", self.bytes_at(offset, count_size))[0]
            block = self.bytes_at(offset + count_size, entries * self.entry)
            values = {}
            for start in range(0, len(block), self.entry):
                (tag,) = struct.unpack_from(f"{self.order}H", block, start)
                if tag in TAGS:
                    values[TAGS[tag]] = self.value(block[start : start + self.entry])
            if {"tile_width", "tile_height", "offsets", "counts"} <= values.keys():
                found.append(_describe(values))
            after = offset + count_size + len(block)
            (offset,) = struct.unpack(f"{self.order}{self.word}", self.bytes_at(after, struct.calcsize(self.word)))
        return found

    def value(self, entry: bytes) -> np.ndarray:
        kind, count = struct.unpack_from(f"{self.order}H{self.word}", entry, 2)
        if kind not in NUMPY_TYPES or count == 0:
            raise LayoutError(f"a tag has the type {kind} and {count} values")
        dtype = np.dtype(f"{self.order}{NUMPY_TYPES[kind]}")
        size = count * dtype.itemsize
        room = struct.calcsize(self.word)
        data = entry[-room:]
        if size > room:
            data = self.bytes_at(struct.unpack(f"{self.order}{self.word}", data)[0], size)
        return np.frombuffer(data[:size], dtype)


def _describe(values: dict[str, np.ndarray]) -> TiledDirectory:
    if not {"width", "height"} <= values.keys():
        raise LayoutError("a picture has no size")
    # What TIFF 6.0 takes where a tag is missing.
    number = {"compression": 1, "photometric": -1, "planar": 1}
    number |= {key: int(value[0]) for key, value in values.items() if value.size == 1}
    sides = [number.get(key, 0) for key in ("width", "height", "tile_width", "tile_height")]
    if min(sides) < 1 or max(sides) >= 2**31:
        raise LayoutError(f"a picture of {sides[0]} x {sides[1]} px has tiles of {sides[2]} x {sides[3]} px")
    offsets, counts = (values[key].astype(np.int64) for key in ("offsets", "counts"))
    planes = int(values["samples"][0]) if number["planar"] == 2 and "samples" in values else 1
    tiles = -(-sides[0] // sides[2]) * -(-sides[1] // sides[3]) * planes
    if min(len(offsets), len(counts)) < tiles:
        listed = f"lists {len(offsets)} places and {len(counts)} lengths"
        raise TileTableError(f"a picture of {sides[0]} x {sides[1]} px has {tiles} tiles but {listed}")
    offsets, counts = offsets[:tiles], counts[:tiles]
    if min(offsets.min(), counts.min()) < 0 or max(offsets.max(), counts.max()) >= MAX_BYTES:
        raise LayoutError("a tile has an impossible place")
    tables = values.get("jpeg_tables")
    return TiledDirectory(
        *sides,
        bits=tuple(int(bits) for bits in values.get("bits", ())),
        compression=number["compression"],
        photometric=number["photometric"],
        planar=number["planar"],
        jpeg_tables=None if tables is None else tables.tobytes(),
        offsets=offsets,
        counts=counts,
    )
