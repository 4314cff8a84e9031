"""Patch coordinates: a regular grid over the tissue."""

import cv2
import numpy as np


def place_grid(
    mask: np.ndarray,
    slide_px: tuple[int, int],
    patch_level0: float,
    step_level0: float,
    min_tissue: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the cells of a grid that hold enough tissue.

    The fraction of tissue of every cell comes from one integral image of the mask, not patch by patch.

    Args:
        mask: tissue, (H, W) bool, of the whole slide at any scale.
        slide_px: width and height at level 0.
        patch_level0: side of a patch in level-0 pixels; need not be whole.
        step_level0: distance between patches in level-0 pixels, above 0.
        min_tissue: smallest fraction of tissue, 0 to 1; with 0 a patch must still touch tissue.

    Returns:
        Coordinates (N, 2) int64, level-0 x and y of the top left corners in reading order, and the tissue fractions
        (N,) float32. Patches lie wholly inside the slide.

    Raises:
        ValueError: a side or a step is not above 0.
    """
    if patch_level0 <= 0 or step_level0 <= 0:
        raise ValueError(f"patches of {patch_level0:g} level-0 px every {step_level0:g} px cover nothing")
    xs, ys = (_starts(length, patch_level0, step_level0) for length in slide_px)
    if not (len(xs) and len(ys) and mask.any()):
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    integral = _integrate(mask)
    left, right = (_edges(xs, shift, slide_px[0], mask.shape[1]) for shift in (0.0, patch_level0))
    top, bottom = (_edges(ys, shift, slide_px[1], mask.shape[0]) for shift in (0.0, patch_level0))
    area = (right - left)[None, :] * (bottom - top)[:, None]
    # Bands of rows first: what is between two rows of the integral image serves all cells of that row.
    bands = _rows(integral, bottom) - _rows(integral, top)
    fractions = np.clip((_columns(bands, right) - _columns(bands, left)) / np.maximum(area, 1e-12), 0, 1)
    # A hair of tolerance: a cell that is all tissue must pass `min_tissue: 1` in spite of rounding.
    chosen = np.argwhere((fractions >= min_tissue - 1e-9) & (fractions > 1e-9))
    coords = np.stack([xs[chosen[:, 1]], ys[chosen[:, 0]]], axis=1)
    return coords, fractions[chosen[:, 0], chosen[:, 1]].astype(np.float32)


def touches(mask: np.ndarray, slide_px: tuple[int, int], coords: np.ndarray, patch_level0: float) -> np.ndarray:
    """Which patches touch a mask at all, e.g. of ink.

    Args:
        mask: (H, W) bool, of the whole slide at any scale.
        slide_px: width and height at level 0.
        coords: (N, 2), level-0 x and y of the top left corners.
        patch_level0: side of a patch in level-0 pixels.

    Returns:
        (N,) bool.
    """
    # Whole pixels of the mask, from the first to the last that the patch reaches into.
    scale = np.array([mask.shape[1] / slide_px[0], mask.shape[0] / slide_px[1]])
    limit = np.array(mask.shape[::-1])
    first = np.clip(np.floor(coords * scale + 1e-6).astype(int), 0, limit)
    last = np.clip(np.ceil((coords + patch_level0) * scale - 1e-6).astype(int), 0, limit)
    integral = _integrate(mask)
    (x0, y0), (x1, y1) = first.T, last.T
    return integral[y1, x1] - integral[y0, x1] - integral[y1, x0] + integral[y0, x0] > 0


def _starts(length_px: int, patch_level0: float, step_level0: float) -> np.ndarray:
    """Whole level-0 pixels at which the patches of one row start; rounded one by one, so that nothing adds up."""
    if patch_level0 > length_px:
        return np.zeros(0, np.int64)
    count = int((length_px - patch_level0) / step_level0 + 1e-9) + 1
    starts = np.rint(np.arange(count) * step_level0).astype(np.int64)
    return starts[starts + patch_level0 <= length_px + 0.5]


def _integrate(mask: np.ndarray) -> np.ndarray:
    """(H + 1, W + 1) int32, the number of true pixels above and left of each corner."""
    return cv2.integral(mask.view(np.uint8), sdepth=cv2.CV_32S)


def _edges(starts: np.ndarray, shift: float, slide_px: int, mask_px: int) -> np.ndarray:
    return np.minimum((starts + shift) * mask_px / slide_px, mask_px)


def _rows(integral: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows of the integral image at fractional places: linear between corners, hence exact for cut pixels."""
    whole = np.floor(at).astype(int)
    part = (at - whole)[:, None]
    return integral[whole] * (1 - part) + integral[np.minimum(whole + 1, integral.shape[0] - 1)] * part


def _columns(bands: np.ndarray, at: np.ndarray) -> np.ndarray:
    whole = np.floor(at).astype(int)
    part = at - whole
    return bands[:, whole] * (1 - part) + bands[:, np.minimum(whole + 1, bands.shape[1] - 1)] * part
