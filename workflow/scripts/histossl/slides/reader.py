"""One small reader for every slide format that OpenSlide opens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import openslide

from histossl.errors import UserError

GLASS = 255
"""Transparent pixels (never scanned) are shown as this grey value: background, not black."""
MAX_READ_PX = 200_000_000
"""Largest region read at once; a slide without pyramid would otherwise fill the memory."""


class Slide:
    """An open slide. Use as a context manager.

    Attributes:
        path: the file.
        width_px, height_px: level-0 size.
        level_downsamples: of each level of the pyramid, finest first.
        properties: as OpenSlide gives them.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises:
            UserError: the file is missing or OpenSlide cannot open it.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{path}: no such slide file; correct its path in the slide sheet")
        try:
            self._handle = openslide.OpenSlide(self.path)
        except openslide.OpenSlideError as error:
            raise UserError(f"{path}: OpenSlide cannot open this slide ({error}); replace the file") from error
        self.width_px, self.height_px = self._handle.dimensions
        self.level_downsamples: tuple[float, ...] = tuple(self._handle.level_downsamples)
        self.properties: Mapping[str, str] = dict(self._handle.properties)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def read(self, x: int, y: int, size_level0: tuple[float, float], size_px: tuple[int, int]) -> np.ndarray:
        """Read a rectangle and bring it to `size_px` with an area filter, from the nearest finer level.

        Args:
            x: left edge, level-0 pixels.
            y: upper edge, level-0 pixels.
            size_level0: width and height of the rectangle, level-0 pixels; need not be whole numbers.
            size_px: width and height of the result.

        Returns:
            (height, width, 3) uint8, RGB.

        Raises:
            UserError: the pixels cannot be decoded.
        """
        wanted = size_level0[0] / size_px[0]
        # A hair of tolerance: levels state 3.9998 where 4 is meant.
        level = max(i for i, d in enumerate(self.level_downsamples) if i == 0 or d <= wanted * 1.01)
        downsample = self.level_downsamples[level]
        width, height = (max(1, round(length / downsample)) for length in size_level0)
        if width * height > MAX_READ_PX:
            raise UserError(
                f"{self.path}: has no pyramid level coarse enough to read {width} x {height} px at once; "
                "convert it to a pyramidal TIFF (e.g. with `vips tiffsave --pyramid --tile`)"
            )
        try:
            rgba = np.asarray(self._handle.read_region((x, y), level, (width, height)))
        except openslide.OpenSlideError as error:
            raise UserError(f"{self.path}: damaged at level-0 x={x}, y={y} ({error}); replace the file") from error
        rgb = _drop_alpha(rgba)
        if (width, height) == tuple(size_px):
            return rgb
        filter_ = cv2.INTER_AREA if width >= size_px[0] else cv2.INTER_LINEAR
        return cv2.resize(rgb, size_px, interpolation=filter_)

    def thumbnail(self, spacing_um: float, level0_spacing_um: float) -> np.ndarray:
        """The whole slide at `spacing_um` µm/px: (height, width, 3) uint8, RGB."""
        scale = level0_spacing_um / spacing_um
        size_px = (max(1, round(self.width_px * scale)), max(1, round(self.height_px * scale)))
        return self.read(0, 0, (self.width_px, self.height_px), size_px)


def _drop_alpha(rgba: np.ndarray) -> np.ndarray:
    rgb = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
    alpha = rgba[..., 3]
    if alpha.min() < 255:
        # Premultiplied or not, where nothing was scanned there is glass.
        weight = alpha[..., None].astype(np.float32) / 255
        rgb = (rgb * weight + GLASS * (1 - weight) + 0.5).astype(np.uint8)
    return rgb
