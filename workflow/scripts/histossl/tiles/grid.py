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
        step_level0: distance between patches in level-0 pixels.
        min_tissue: smallest fraction of tissue, 0 to 1; with 0 a patch must still touch tissue.

    Returns:
        Coordinates (N, 2) int64, level-0 x and y of the top left corners in reading order, and the tissue fractions
        (N,) float32. Patches lie wholly inside the slide.
    """
    columns, rows = (max(0, int((length - patch_level0) / step_level0 + 1e-9) + 1) for length in slide_px)
    if patch_level0 > min(slide_px):
        columns = rows = 0
    xs = np.rint(np.arange(columns) * step_level0).astype(np.int64)
    ys = np.rint(np.arange(rows) * step_level0).astype(np.int64)
    xs, ys = xs[xs + patch_level0 <= slide_px[0] + 0.5], ys[ys + patch_level0 <= slide_px[1] + 0.5]
    integral = cv2.integral(mask.astype(np.uint8)).astype(np.float64)
    left, right = (_edges(xs, shift, slide_px[0], mask.shape[1]) for shift in (0.0, patch_level0))
    top, bottom = (_edges(ys, shift, slide_px[1], mask.shape[0]) for shift in (0.0, patch_level0))
    area = (right - left)[None, :] * (bottom - top)[:, None]
    inside = (
        _sample(integral, bottom, right)
        - _sample(integral, top, right)
        - _sample(integral, bottom, left)
        + _sample(integral, top, left)
    )
    fractions = np.clip(inside / np.maximum(area, 1e-12), 0, 1)
    chosen = np.argwhere((fractions >= min_tissue) & (fractions > 0))
    coords = np.stack([xs[chosen[:, 1]], ys[chosen[:, 0]]], axis=1) if len(chosen) else np.zeros((0, 2), np.int64)
    return coords, fractions[chosen[:, 0], chosen[:, 1]].astype(np.float32)


def _edges(starts: np.ndarray, shift: float, slide_px: int, mask_px: int) -> np.ndarray:
    return np.minimum((starts + shift) * mask_px / slide_px, mask_px)


def _sample(integral: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear values of the integral image: exact for rectangles whose edges cut through mask pixels."""
    r, c = np.floor(rows).astype(int), np.floor(columns).astype(int)
    r1, c1 = np.minimum(r + 1, integral.shape[0] - 1), np.minimum(c + 1, integral.shape[1] - 1)
    fr, fc = (rows - r)[:, None], (columns - c)[None, :]
    upper = integral[r][:, c] * (1 - fc) + integral[r][:, c1] * fc
    lower = integral[r1][:, c] * (1 - fc) + integral[r1][:, c1] * fc
    return upper * (1 - fr) + lower * fr
