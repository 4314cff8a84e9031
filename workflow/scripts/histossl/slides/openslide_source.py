"""Pixels through OpenSlide: every format it knows."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openslide

from histossl.errors import UserError
from histossl.slides.glass import lay_over_glass

CACHE_BYTES = 128 * 2**20
"""Decoded tiles that OpenSlide keeps: two rows of tiles of a wide slide, so that patches across tiles decode each once;
its own default of 32 MB holds less than one."""
MAX_TILE_PX = 2**26
"""A tile of more pixels is a wrong entry; OpenSlide would end the process for want of memory."""


class OpenSlideSource:
    """See `histossl.slides.source.PixelSource`."""

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises:
            UserError: OpenSlide cannot open it, or it claims impossible tiles.
        """
        self.path = path
        try:
            self._handle = openslide.OpenSlide(path)
            self.level_sizes: tuple[tuple[int, int], ...] = tuple(self._handle.level_dimensions)
            self.level_downsamples: tuple[float, ...] = tuple(self._handle.level_downsamples)
            self.properties: Mapping[str, str] = dict(self._handle.properties)
        except openslide.OpenSlideError as error:
            raise UserError(f"{path}: OpenSlide cannot open this slide ({error}); replace the file") from error
        for level in range(len(self.level_sizes)):
            tile = [self.properties.get(f"openslide.level[{level}].tile-{side}", "1") for side in ("width", "height")]
            if int(tile[0]) * int(tile[1]) > MAX_TILE_PX:
                self._handle.close()
                raise UserError(f"{path}: claims tiles of {tile[0]} x {tile[1]} px; replace the file")
        self._handle.set_cache(openslide.OpenSlideCache(CACHE_BYTES))

    def read_level(self, level: int, x: int, y: int, out: np.ndarray) -> None:
        """Fill `out`; see `PixelSource`.

        OpenSlide takes the place in level-0 pixels. Where a level's downsample is not whole, no level-0 pixel lies
        exactly on the level's, and OpenSlide interpolates: the picture is shifted by less than half a level-0 pixel.
        """
        downsample = self.level_downsamples[level]
        location = (round(x * downsample), round(y * downsample))
        try:
            rgba = np.asarray(self._handle.read_region(location, level, (out.shape[1], out.shape[0])))
        except openslide.OpenSlideError as error:
            place = f"level-0 x={location[0]}, y={location[1]}"
            raise UserError(f"{self.path}: damaged at {place} ({error}); replace the file") from error
        lay_over_glass(rgba, out)

    def close(self) -> None:
        """Free the file and OpenSlide's cache."""
        self._handle.close()
