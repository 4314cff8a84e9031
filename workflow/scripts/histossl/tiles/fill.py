"""Areas a scanner never imaged and filled with black or white."""

from collections.abc import Sequence

import cv2
import numpy as np

from histossl.tiles.glass import SATURATED, Glass
from histossl.tiles.levels import above, below

BLACK_BELOW = 25
"""No channel reaches this in black fill; tissue and ink let more light through over the width of a pixel here."""
GREY_GLASS_BELOW = 250
"""Only where the glass itself is darker, white areas are fill."""


def find_black(channels: Sequence[np.ndarray]) -> np.ndarray:
    """Black fill of a picture given as red, green and blue, (H, W) uint8 each; (H, W) uint8, 255 where so."""
    red, green, blue = channels
    return below(cv2.max(cv2.max(red, green), blue), BLACK_BELOW)


def find_white(channels: Sequence[np.ndarray], glass: Glass) -> np.ndarray:
    """White fill beside grey glass, without single bright pixels; (H, W) uint8, 0 everywhere if the glass is white."""
    red, green, blue = channels
    if min(glass.rgb) >= GREY_GLASS_BELOW:
        return np.zeros_like(red)
    white = above(cv2.min(cv2.min(red, green), blue), SATURATED - 1)
    return cv2.morphologyEx(white, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))


def widen(fill: np.ndarray) -> np.ndarray:
    """Fill and the pixels beside it, which are a mixture with its neighbours; specks do not grow."""
    square = np.ones((3, 3), np.uint8)
    return fill | cv2.dilate(cv2.morphologyEx(fill, cv2.MORPH_OPEN, square), square)
