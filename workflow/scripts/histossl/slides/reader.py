"""One small reader for every slide: what OpenSlide opens, and flat pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import openslide

from histossl.errors import UserError
from histossl.slides.checked_jpeg import open_checked
from histossl.slides.flat_image import SUFFIXES, FlatImage
from histossl.slides.openslide_source import OpenSlideSource
from histossl.slides.shrink import shrink_in_strips
from histossl.slides.source import PixelSource

MAX_READ_PX = 200_000_000
"""Largest region of a level that one read may cover; what needs more lacks a pyramid."""
STRIP_PX = 16_000_000
"""A larger region is read and shrunk in strips of this many pixels."""
MAX_THUMBNAIL_PX = 64_000_000
"""Largest picture of a whole slide, 0.2 GB."""
MAX_SLIDE_PX = 2**36
"""A quarter of a million pixels a side; what claims more is damaged."""
MAX_SIDE_PX = 2_000_000
"""Half a metre at 0.25 µm/px."""
LEVEL_TOLERANCE = 0.01
"""Levels state a downsample of 4.0002 where 4 is meant."""


class Slide:
    """An open slide. Use as a context manager; several threads may read from one.

    Attributes:
        path: the file.
        width_px, height_px: level-0 size.
        level_downsamples: of each level of the pyramid, finest first.
        properties: as OpenSlide gives them; `openslide.vendor` is `flat` for a flat picture.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises:
            UserError: the file is missing, damaged, or of a format that nothing here opens.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{path}: no such slide file; correct its path in the slide sheet")
        self.source = _open_source(self.path)
        self.width_px, self.height_px = self.source.level_sizes[0]
        self.level_downsamples: tuple[float, ...] = self.source.level_downsamples
        self.properties: Mapping[str, str] = self.source.properties
        if self.width_px * self.height_px > MAX_SLIDE_PX or max(self.width_px, self.height_px) > MAX_SIDE_PX:
            self.source.close()
            raise UserError(
                f"{path}: claims {self.width_px} x {self.height_px} px, more than a scanner makes; replace it"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()

    def read(
        self,
        x: int,
        y: int,
        size_level0: tuple[float, float],
        size_px: tuple[int, int],
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Read a rectangle and bring it to `size_px` with an area filter, from the nearest finer level.

        The rectangle is rounded to whole pixels of that level, so its edges lie at most half such a pixel off. A result
        finer than level 0 is enlarged linearly; whether that is wanted is the caller's to decide.

        Args:
            x: left edge, level-0 pixels.
            y: upper edge, level-0 pixels.
            size_level0: width and height of the rectangle, level-0 pixels; need not be whole numbers.
            size_px: width and height of the result.
            out: (height, width, 3) uint8 in C order to fill and return; allocated where None.

        Returns:
            (height, width, 3) uint8, RGB.

        Raises:
            UserError: the pixels cannot be decoded.
        """
        return self._read(x, y, size_level0, size_px, out, MAX_READ_PX)

    def thumbnail(self, spacing_um: float, level0_spacing_um: float) -> np.ndarray:
        """The whole slide at `spacing_um` µm/px: (height, width, 3) uint8, RGB.

        A slide without pyramid is read in strips: that takes time, not memory.

        Raises:
            UserError: the pixels cannot be decoded, or the picture would be too large.
        """
        scale = level0_spacing_um / spacing_um
        size_px = (max(1, round(self.width_px * scale)), max(1, round(self.height_px * scale)))
        if size_px[0] * size_px[1] > MAX_THUMBNAIL_PX:
            raise UserError(
                f"{self.path}: at {spacing_um:g} µm/px the slide has {size_px[0]} x {size_px[1]} px, too many to "
                "segment; check its µm/px or ask for a coarser picture"
            )
        return self._read(0, 0, (self.width_px, self.height_px), size_px, None, MAX_SLIDE_PX)

    def _read(
        self,
        x: int,
        y: int,
        size_level0: tuple[float, float],
        size_px: tuple[int, int],
        out: np.ndarray | None,
        max_px: int,
    ) -> np.ndarray:
        wanted = size_level0[0] / size_px[0] * (1 + LEVEL_TOLERANCE)
        level = max(i for i, d in enumerate(self.level_downsamples) if i == 0 or d <= wanted)
        downsample = self.level_downsamples[level]
        left, top = round(x / downsample), round(y / downsample)
        width, height = (max(1, round(length / downsample)) for length in size_level0)
        if width * height > max_px:
            raise UserError(
                f"{self.path}: has no pyramid level coarse enough to read {width} x {height} px at once; "
                "convert it to a pyramidal TIFF (e.g. with `vips tiffsave --pyramid --tile`)"
            )
        if out is None:
            out = np.empty((size_px[1], size_px[0], 3), np.uint8)
        if (width, height) == tuple(size_px):
            self.source.read_level(level, left, top, out)
        elif width * height > STRIP_PX and width >= size_px[0] and height >= size_px[1]:
            shrink_in_strips(self.source, level, (left, top, width, height), out, STRIP_PX)
        else:
            region = np.empty((height, width, 3), np.uint8)
            self.source.read_level(level, left, top, region)
            filter_ = cv2.INTER_AREA if width >= size_px[0] else cv2.INTER_LINEAR
            resized = cv2.resize(region, size_px, dst=out, interpolation=filter_)
            if not np.may_share_memory(resized, out):
                np.copyto(out, resized)
        return out


def _open_source(path: Path) -> PixelSource:
    if openslide.OpenSlide.detect_format(path) is None and path.suffix.lower() in SUFFIXES:
        return FlatImage(path)
    through_openslide = OpenSlideSource(path)
    try:
        return open_checked(through_openslide) or through_openslide
    except BaseException:
        through_openslide.close()
        raise
