"""Tiles of JPEG decoded straight from the TIFF file, five times as fast as through OpenSlide.

OpenSlide turns each tile into premultiplied ARGB, paints it, and Pillow turns that into RGBA: most of a read. Here a
tile goes from the file through libjpeg-turbo into RGB. Decoding releases Python's lock, so threads read side by side.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from histossl.slides.glass import GLASS
from histossl.slides.tiff_layout import TiledDirectory
from histossl.slides.tile_cache import TileCache

MAX_CACHE_BYTES = 128 * 2**20
"""Three rows of 240-px tiles of a slide 60,000 px wide."""
MAX_TILE_SIDE_PX = 4096
JPEG = 7
COLOUR_SPACES = {2: "RGB", 6: "YCBCR"}
"""TIFF's photometric interpretation says how the JPEG's components are to be taken: Aperio writes RGB without saying so
in the JPEG itself."""


class DecodeError(Exception):
    """A tile cannot be decoded here."""


def is_suitable(directory: TiledDirectory) -> bool:
    """Whether tiles of this picture can be decoded here: baseline 8-bit colour JPEG, no tile left out."""
    return (
        directory.compression == JPEG
        and directory.bits == (8, 8, 8)
        and directory.planar == 1
        and directory.photometric in COLOUR_SPACES
        and max(directory.tile_width, directory.tile_height) <= MAX_TILE_SIDE_PX
        and int(directory.counts.min()) > 0
    )


class TiledJpeg:
    """Reads rectangles from levels of a TIFF; safe for threads.

    Args:
        path: the TIFF file.
        levels: where each level's tiles lie; all must be suitable.
    """

    def __init__(self, path: Path, levels: Mapping[int, TiledDirectory]) -> None:
        self.levels = dict(levels)
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._cache = TileCache(0)
        self._decode = load_decoder()

    def read_level(self, level: int, x: int, y: int, out: np.ndarray) -> None:
        """Fill `out` with the rectangle whose upper left pixel is (x, y); see `PixelSource`.

        Raises:
            DecodeError: a tile is damaged, or is not what its directory says.
        """
        directory = self.levels[level]
        tile_width, tile_height = directory.tile_width, directory.tile_height
        height, width = out.shape[:2]
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, directory.width), min(y + height, directory.height)
        reaches_out = (left, top, right, bottom) != (x, y, x + width, y + height)
        if reaches_out:
            out[:] = GLASS
        if right <= left or bottom <= top:
            return
        rows = range(top // tile_height, -(-bottom // tile_height))
        columns = range(left // tile_width, -(-right // tile_width))
        if out.shape[:2] == (tile_height, tile_width) and len(rows) == len(columns) == 1 and not reaches_out:
            self._whole_tile(level, rows[0] * directory.tiles_across + columns[0], out)
            return
        # Reading goes along rows: what the next row of rectangles shares with this one is still kept then. No more than
        # that, because memory that is touched for the first time costs as much as decoding.
        row_bytes = directory.tiles_across * tile_width * tile_height * 3
        self._cache.max_bytes = max(self._cache.max_bytes, min(MAX_CACHE_BYTES, (len(rows) + 1) * row_bytes))
        for row in rows:
            tile_top = row * tile_height
            y0, y1 = max(top, tile_top), min(bottom, tile_top + tile_height)
            for column in columns:
                tile_left = column * tile_width
                x0, x1 = max(left, tile_left), min(right, tile_left + tile_width)
                tile = self._tile(level, row * directory.tiles_across + column)
                out[y0 - y : y1 - y, x0 - x : x1 - x] = tile[
                    y0 - tile_top : y1 - tile_top, x0 - tile_left : x1 - tile_left
                ]

    def close(self) -> None:
        """Free the file and the tiles."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._cache.clear()

    def _whole_tile(self, level: int, index: int, out: np.ndarray) -> None:
        """Fill `out` with one tile, which is not kept: patches on the grid of tiles need each once."""
        tile = self._cache.get((level, index))
        if tile is None:
            self._decode_into(self.levels[level], index, out)
        else:
            np.copyto(out, tile)

    def _tile(self, level: int, index: int) -> np.ndarray:
        """One tile, (tile_height, tile_width, 3); not to be written to."""
        tile = self._cache.get((level, index))
        if tile is None:
            directory = self.levels[level]
            tile = np.empty((directory.tile_height, directory.tile_width, 3), np.uint8)
            self._decode_into(directory, index, tile)
            self._cache.put((level, index), tile)
        return tile

    def _decode_into(self, directory: TiledDirectory, index: int, tile: np.ndarray) -> None:
        data = os.pread(self._file, int(directory.counts[index]), int(directory.offsets[index]))
        if data[:2] != b"\xff\xd8":
            raise DecodeError(f"tile {index} is no JPEG")
        try:
            # A JPEG of another size than the tile is refused before it is decoded, because `out` does not fit.
            self._decode(
                data,
                tables=directory.jpeg_tables,
                colorspace=COLOUR_SPACES[directory.photometric],
                outcolorspace="RGB",
                out=tile,
            )
        except (RuntimeError, ValueError, TypeError) as error:
            raise DecodeError(f"tile {index}: {error}") from error


def load_decoder() -> Callable[..., np.ndarray]:
    """The decoder, imported when first needed: the package costs 30 ms, and slides of other formats do without."""
    from imagecodecs import jpeg8_decode

    return jpeg8_decode
