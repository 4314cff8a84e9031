"""Patches of a slide, one after the other."""

from collections.abc import Iterator

import numpy as np

from histossl.slides.reader import Slide


def read_patches(slide: Slide, coords: np.ndarray, patch_level0: float, patch_px: int) -> Iterator[np.ndarray]:
    """Yield each patch as (patch_px, patch_px, 3) uint8, RGB, in the order of `coords` (N, 2).

    `patch_level0` is the side in level-0 pixels and need not be whole: what is read is rounded to a pixel of the level
    it is read from, then resampled, so that slides of different µm/px give the same physical field.

    Coordinates in reading order (row after row) are quickest: each tile of the file is then decoded about once.
    """
    for x, y in coords:
        yield slide.read(int(x), int(y), (patch_level0, patch_level0), (patch_px, patch_px))


def read_patches_into(slide: Slide, coords: np.ndarray, patch_level0: float, out: np.ndarray) -> None:
    """Fill `out`, (N, patch_px, patch_px, 3) uint8 in C order, with the patches at `coords` (N, 2).

    For readers of many batches: one buffer used again and again spares the system from handing out fresh memory.
    """
    height, width = out.shape[1:3]
    for patch, (x, y) in zip(out, coords, strict=True):
        slide.read(int(x), int(y), (patch_level0, patch_level0), (width, height), patch)
