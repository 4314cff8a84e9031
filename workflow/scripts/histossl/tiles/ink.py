"""Felt-pen marks on a slide: green, blue, black and red ink."""

from collections.abc import Sequence

import cv2
import numpy as np

from histossl.tiles.glass import Glass

STROKE_UM = 40.0
"""Narrower marks are no stroke of a pen: single nuclei, pigment, dye on the edge of a section."""
LENGTH_UM = 200.0
"""Shorter marks are specks of dirt."""
RED_LENGTH_UM = 500.0
"""Red marks must be longer, because small lakes of blood have the colour of red ink."""
REACH_UM = 100.0
"""How far from its clear core ink is looked for with looser rules: soft edges, and ink that lies over tissue."""
REACHES = 8
"""How often a stroke is followed so far, as it runs over tissue."""
STEPS = 80
"""Optical densities are kept in 8 bits, so many steps to a unit."""


def find_ink(channels: Sequence[np.ndarray], glass: Glass, spacing_um: float) -> np.ndarray:
    """Find pen marks on a picture given as red, green and blue, (H, W) uint8 each; (H, W) uint8, 255 where so.

    Inks and dyes are told apart by the ratios of their optical densities relative to the slide's own glass (Ruifrok
    and Johnston 2001, Anal Quant Cytol Histol 23:291). Haematoxylin and eosin absorb most in green, and in blue about
    half as much; green and blue ink absorb most in red, black ink all alike, red ink blue as much as green and red
    hardly. Ink over tissue keeps these rules less well: it is taken where it goes on from the clear part of a stroke.
    Red ink that runs over tissue alone cannot be told from blood and stays.
    """
    red, green, blue = (cv2.LUT(*pair) for pair in zip(channels, _density_tables(glass), strict=True))
    least, most = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    found = np.zeros_like(red)
    inks = (
        # Green and blue.
        (_exceeds(red, green, 1.2, 0.5) | _blue_over_tissue(red, green, blue), _loose_green_or_blue, LENGTH_UM),
        # Black.
        (_exceeds(least, most, 0.8, 0.55) | _exceeds(least, most, 0.7, 0.95), _loose_black, LENGTH_UM),
        # Red.
        (_exceeds(blue, green, 0.82, 0.62) & cv2.bitwise_not(_exceeds(red, green, 0.33, 0)), _loose_red, RED_LENGTH_UM),
    )
    # An odd side: OpenCV shifts what it opens with an even one.
    square = np.ones((2 * round(STROKE_UM / 2 / spacing_um) + 1,) * 2, np.uint8)
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(REACH_UM / spacing_um)) + 1,) * 2)
    for core, loose, length_um in inks:
        broad = cv2.erode(core, square)
        if not cv2.countNonZero(broad):
            continue
        possible = core | loose(red, green, blue)
        size = 0
        for _ in range(REACHES):
            ink = cv2.dilate(cv2.dilate(broad, square), reach) & possible
            broad = cv2.erode(ink, square)
            size, before = cv2.countNonZero(ink), size
            if size == before:
                break
        found |= _keep_long(ink, length_um / spacing_um)
    return found


def _blue_over_tissue(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    """As dark in red as nuclei, but far too clear in blue for haematoxylin."""
    return _exceeds(red, green, 0.75, 0.8) & cv2.bitwise_not(_exceeds(blue, green, 0.38, 0))


def _loose_green_or_blue(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    pale = _exceeds(red, green, 1.2, 0.45)
    blue_over_tissue = _exceeds(red, green, 0.8, 0.7) & cv2.bitwise_not(_exceeds(blue, green, 0.6, 0))
    green_over_tissue = _exceeds(red, green, 0.9, 0.75)
    return pale | blue_over_tissue | green_over_tissue


def _loose_black(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    least = cv2.min(red, blue)
    pale = _exceeds(cv2.min(least, green), cv2.max(cv2.max(red, blue), green), 0.75, 0.45)
    return pale | _exceeds(least, green, 0.62, 0.65)


def _loose_red(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    pale = _exceeds(blue, green, 0.82, 0.45)
    over_tissue = _exceeds(blue, green, 0.64, 0.7) & cv2.bitwise_not(_exceeds(red, green, 0.45, 0))
    return pale | over_tissue


def _density_tables(glass: Glass) -> list[np.ndarray]:
    """Optical density of each grey level relative to the glass: a table of 256 uint8 for each channel."""
    levels = np.maximum(np.arange(256), 1)
    densities = [np.log(max(bright, 1.0) / levels) for bright in glass.rgb]
    return [np.clip(np.round(density * STEPS), 0, 255).astype(np.uint8) for density in densities]


def _exceeds(first: np.ndarray, second: np.ndarray, ratio: float, least: float) -> np.ndarray:
    """Where `first` is more than `ratio` times `second`, and more than `least`; (H, W) uint8, 255 where so."""
    bound = np.clip(np.floor(np.maximum(np.arange(256) * ratio, least * STEPS)), 0, 255).astype(np.uint8)
    return cv2.compare(first, cv2.LUT(second, bound), cv2.CMP_GT)


def _keep_long(ink: np.ndarray, length_px: float) -> np.ndarray:
    """The pieces of (H, W) uint8 whose bounding box has a diagonal of at least `length_px`."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    keep = np.hypot(statistics[:, cv2.CC_STAT_WIDTH], statistics[:, cv2.CC_STAT_HEIGHT]) >= length_px
    keep[0] = False
    return keep[labels] * np.uint8(255)
