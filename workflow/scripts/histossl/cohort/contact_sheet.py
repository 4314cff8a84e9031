"""Contact sheets: every slide's tissue and patches side by side, to see at a glance what was segmented."""

from collections.abc import Sequence

import cv2
import numpy as np

COLUMNS, ROWS = 6, 5
CELL_PX = (320, 260)
"""Width and height of a slide's cell, without its caption."""
CAPTION_PX = 46
MARGIN_PX = 8
TEXT_PX, LINE_PX, TEXT_BGR = 13, 20, (40, 40, 40)
PATCH_BGR = (200, 80, 0)
PATCH_OPACITY = 0.25
LINE_FROM_PX = 4.0
"""Patches smaller than this on the sheet are tinted without lines, which would hide the tissue."""


def draw_cell(
    overlay: np.ndarray, slide_width_px: int, coords: np.ndarray, patch_level0: float, caption: Sequence[str]
) -> np.ndarray:
    """One slide: its overlay with its patches tinted, and lines of text below.

    Args:
        overlay: (h, w, 3) uint8 BGR, with the outlines of tissue.
        slide_width_px: at level 0; 0 for a slide that could not be read.
        coords: (N, 2) level-0 x, y of the patches.
        patch_level0: their side in level-0 pixels.
        caption: at most two lines.

    Returns:
        (CELL_PX[1] + CAPTION_PX, CELL_PX[0], 3) uint8 BGR.
    """
    shrink = min(CELL_PX[0] / overlay.shape[1], CELL_PX[1] / overlay.shape[0])
    size = tuple(max(1, round(side * shrink)) for side in overlay.shape[1::-1])
    small = cv2.resize(overlay, size, interpolation=cv2.INTER_AREA if shrink < 1 else cv2.INTER_LINEAR)
    if len(coords) and slide_width_px:
        scale = size[0] / slide_width_px
        corners = np.rint(np.concatenate([coords, coords + patch_level0], axis=1) * scale).astype(int)
        lined = patch_level0 * scale >= LINE_FROM_PX
        corners[:, 2:] = np.maximum(corners[:, 2:] - lined, corners[:, :2] + 1)
        tint = small.copy()
        tint[cover(corners, size)] = PATCH_BGR
        small = cv2.addWeighted(tint, PATCH_OPACITY, small, 1 - PATCH_OPACITY, 0)
    cell = np.full((CELL_PX[1] + CAPTION_PX, CELL_PX[0], 3), 255, np.uint8)
    left = (CELL_PX[0] - size[0]) // 2
    cell[: size[1], left : left + size[0]] = small
    return write_lines(cell, caption, (2, CELL_PX[1] + 18), CELL_PX[0] - 8)


def cover(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a picture of `size` (width, height) that lie in any of `boxes`: (height, width) bool.

    Each box adds one from its first corner on and takes it back at its sides; the sums are how many boxes lie on each
    pixel. It takes no longer for many boxes, of which a slide has thousands.

    Args:
        boxes: (N, 4) int: left, top, right and bottom, of which the last two are the first outside.
        size: of the picture, px.
    """
    left, top, right, bottom = np.clip(boxes, 0, [*size, *size]).T
    changes = np.zeros((size[1] + 1, size[0] + 1), int)
    for rows, columns, change in ((top, left, 1), (bottom, right, 1), (top, right, -1), (bottom, left, -1)):
        np.add.at(changes, (rows, columns), change)
    return changes.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0


def compose_page(cells: Sequence[np.ndarray]) -> np.ndarray:
    """Arrange at most `COLUMNS` times `ROWS` cells in reading order; the page is as large as they need."""
    height, width = (side + MARGIN_PX for side in cells[0].shape[:2])
    columns, rows = min(COLUMNS, len(cells)), -(-len(cells) // COLUMNS)
    page = np.full((rows * height + MARGIN_PX, columns * width + MARGIN_PX, 3), 255, np.uint8)
    for i, cell in enumerate(cells):
        top, left = i // COLUMNS * height + MARGIN_PX, i % COLUMNS * width + MARGIN_PX
        page[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return page


def write_lines(picture: np.ndarray, lines: Sequence[str], start: tuple[int, int], width_px: int) -> np.ndarray:
    """Write dark `lines` onto `picture`, the first one's baseline from `start` (x, y); what is too long is cut.

    OpenCV's own font has letters of most scripts: slides have names of all kinds.
    """
    font = cv2.FontFace("sans")
    for i, line in enumerate(lines):
        at = start[0], start[1] + i * LINE_PX
        while line and cv2.getTextSize((0, 0), line, at, font, TEXT_PX)[2] > width_px:
            line = line[:-2].rstrip("…") + "…"
        cv2.putText(picture, line, at, TEXT_BGR, font, TEXT_PX)
    return picture
