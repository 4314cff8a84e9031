"""What every way of getting at a slide's pixels offers."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np


class PixelSource(Protocol):
    """Pixels of a pyramid, addressed by whole pixels of a level.

    Attributes:
        level_sizes: width and height of each level, finest first.
        level_downsamples: how much coarser each level is than the first.
        properties: what the file states, by OpenSlide's names.
    """

    level_sizes: tuple[tuple[int, int], ...]
    level_downsamples: tuple[float, ...]
    properties: Mapping[str, str]

    def read_level(self, level: int, x: int, y: int, out: np.ndarray) -> None:
        """Fill `out`, (h, w, 3) uint8 RGB in C order, with the rectangle of `level` whose upper left pixel is (x, y).

        What lies beyond the level is glass (`histossl.slides.glass`).

        Raises:
            UserError: the pixels cannot be decoded.
        """

    def close(self) -> None:
        """Free the file and all memory held."""
