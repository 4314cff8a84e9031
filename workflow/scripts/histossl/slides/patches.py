"""Patches of a slide, one after the other."""

from collections.abc import Iterator

import numpy as np

from histossl.slides.reader import Slide


def read_patches(slide: Slide, coords: np.ndarray, patch_level0: float, patch_px: int) -> Iterator[np.ndarray]:
    """Yield each patch as (patch_px, patch_px, 3) uint8, RGB, in the order of `coords` (N, 2).

    `patch_level0` is the side in level-0 pixels and need not be whole: what is read is rounded to a pixel of the level
    it is read from, then resampled, so that slides of different µm/px give the same physical field.
    """
    for x, y in coords:
        yield slide.read(int(x), int(y), (patch_level0, patch_level0), (patch_px, patch_px))
