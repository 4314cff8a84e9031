"""Patches on a picture of the slide: values where patches are, and their colours."""

import matplotlib as mpl
import numpy as np

from histossl.figures.style import HEAT
from histossl.slides.metadata import SlideMetadata


def fit_size(metadata: SlideMetadata, spacing_um: float, longest_px: int) -> tuple[int, int]:
    """Width and height of a picture of the whole slide at `spacing_um` µm/px, no finer than level 0.

    Where its longer side would have more than `longest_px` px, it is shrunk to that.
    """
    sides = (metadata.width_px, metadata.height_px)
    shrink = min(1.0, metadata.spacing_um / spacing_um, longest_px / max(sides))
    return max(1, round(sides[0] * shrink)), max(1, round(sides[1] * shrink))


def spread_values(
    coords: np.ndarray, patch_level0: float, values: np.ndarray, metadata: SlideMetadata, size_px: tuple[int, int]
) -> np.ndarray:
    """Fill the squares of patches with their values; where patches overlap, values are averaged.

    Args:
        coords: (N, 2) level-0 pixels, top left corners.
        patch_level0: side of a patch, level-0 pixels.
        values: (N,).
        metadata: of the slide.
        size_px: width and height of the picture, which shows the whole slide.

    Returns:
        (height, width) float32; NaN where no patch is.
    """
    scale = np.array(size_px) / (metadata.width_px, metadata.height_px)
    # Both edges are rounded, so that neighbours meet; a patch has one pixel at least.
    first = np.clip(np.rint(coords * scale).astype(int), 0, np.array(size_px) - 1)
    last = np.maximum(np.rint((coords + patch_level0) * scale).astype(int), first + 1)
    total = np.zeros(size_px[::-1], np.float32)
    count = np.zeros(size_px[::-1], np.uint16)
    for (left, top), (right, bottom), value in zip(first.tolist(), last.tolist(), values.tolist(), strict=True):
        total[top:bottom, left:right] += value
        count[top:bottom, left:right] += 1
    with np.errstate(invalid="ignore"):
        total /= count
    return total


def colour_ranks(ranks: np.ndarray) -> np.ndarray:
    """Colours (..., 3) uint8, RGB, of percentile ranks (...) in 0 to 100; NaN is white."""
    table = np.full((257, 3), 255, np.uint8)
    table[:256] = mpl.colormaps[HEAT](np.arange(256), bytes=True)[:, :3]
    index = np.full(np.shape(ranks), 256, np.uint16)
    known = ~np.isnan(ranks)
    index[known] = np.clip(ranks[known] * 2.56, 0, 255)
    return table[index]
