"""Which pieces of a mask and which holes in them are worth keeping."""

import cv2
import numpy as np


def keep_pieces(mask: np.ndarray, min_area_px: float, min_hole_px: float, max_holes: int | None) -> np.ndarray:
    """Drop small pieces and fill small holes, outlines being traced once.

    Args:
        mask: (H, W) uint8, 0 or 255.
        min_area_px: smaller pieces are dropped; what their remaining holes take does not count.
        min_hole_px: smaller holes are filled.
        max_holes: at most so many holes of a piece remain, the largest ones; None sets no limit.

    Returns:
        (H, W) uint8, 0 or 255. A piece inside a hole that is filled becomes part of what surrounds it.
    """
    result = np.zeros(mask.shape, np.uint8)
    contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # An outline runs through the centres of the border's pixels; Pick's theorem gives the number of pixels.
    outer = [i for i in range(len(contours)) if tree[0][i][3] < 0]
    areas = {i: cv2.contourArea(contours[i]) + len(contours[i]) / 2 + 1 for i in outer}
    # Large ones first: what lies in a hole comes after the hole.
    for piece, area in sorted(areas.items(), key=lambda item: -item[1]):
        hole = tree[0][piece][2]
        if area < min_area_px:
            continue
        holes = []
        while hole >= 0:
            # A hole's outline runs through the pixels around it.
            size = cv2.contourArea(contours[hole]) - len(contours[hole]) / 2 + 1
            if size >= min_hole_px:
                holes.append((size, hole))
            hole = tree[0][hole][0]
        holes = sorted(holes, reverse=True)[:max_holes]
        if area - sum(size for size, _ in holes) < min_area_px:
            continue
        cv2.drawContours(result, contours, piece, 255, cv2.FILLED)
        for _, kept in holes:
            _carve(result, contours[kept])
    return result


def _carve(result: np.ndarray, outline: np.ndarray) -> None:
    """Cut a hole out of `result`; its outline runs through the pixels around it, which stay."""
    left, top, width, height = cv2.boundingRect(outline)
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [outline], 0, 1, cv2.FILLED, offset=(-left, -top))
    cv2.drawContours(inside, [outline], 0, 0, 1, offset=(-left, -top))
    result[top : top + height, left : left + width][inside > 0] = 0
