"""Tiles of a slide for deep zoom, made when they are asked for."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openslide
from openslide.deepzoom import DeepZoomGenerator
from PIL import Image

from histossl.errors import UserError
from histossl.slides.flat_image import FlatImage

TILE_PX, OVERLAP_PX = 254, 1
JPEG_QUALITY = 85


class SlideTiles:
    """An open slide as a pyramid of JPEG tiles; several threads may read from one. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises:
            UserError: it is no slide, and no flat picture that the workflow takes.
        """
        self.path = path
        try:
            known = openslide.OpenSlide.detect_format(path)
            # Flat pictures are decoded at once, as the workflow does it: Pillow's own way is not for several threads.
            self.slide = openslide.OpenSlide(path) if known else openslide.ImageSlide(read_flat(path))
        except (OSError, openslide.OpenSlideError) as error:
            raise UserError(f"{path}: this slide cannot be opened ({error}); correct its path in the sheet") from error
        self.pyramid = DeepZoomGenerator(self.slide, TILE_PX, OVERLAP_PX, limit_bounds=False)

    def __enter__(self) -> "SlideTiles":
        return self

    def __exit__(self, *_: object) -> None:
        self.slide.close()

    @property
    def size_px(self) -> tuple[int, int]:
        """Level-0 width and height."""
        return self.slide.dimensions

    def addresses(self) -> Iterator[tuple[int, int, int]]:
        """Level, column and row of each tile."""
        for level, (columns, rows) in enumerate(self.pyramid.level_tiles):
            yield from ((level, column, row) for column in range(columns) for row in range(rows))

    def read(self, level: int, column: int, row: int) -> bytes:
        """One tile as JPEG.

        Raises:
            LookupError: there is no such tile.
            UserError: its pixels cannot be decoded.
        """
        try:
            tile = self.pyramid.get_tile(level, (column, row))
        except ValueError as error:
            raise LookupError(f"no tile {level}/{column}_{row}") from error
        except openslide.OpenSlideError as error:
            raise UserError(f"{self.path}: damaged at tile {level}/{column}_{row} ({error})") from error
        written = io.BytesIO()
        tile.convert("RGB").save(written, "JPEG", quality=JPEG_QUALITY)
        return written.getvalue()


def read_flat(path: Path) -> Image.Image:
    """A flat picture, decoded.

    Raises:
        UserError: it is damaged, too large, or none.
    """
    flat = FlatImage(path)
    width, height = flat.level_sizes[0]
    pixels = np.empty((height, width, 3), np.uint8)
    flat.read_level(0, 0, 0, pixels)
    return Image.fromarray(pixels)
