"""The colour of a slide's bare glass."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from histossl.tiles.levels import above, below

USUAL_GLASS = (245.0, 245.0, 245.0)
"""Where a picture shows no glass at all, as in a crop from the middle of tissue."""
SATURATED = 253
"""Channels at least so bright are white fill where the slide has a darker, grey glass as well."""
LEAST_SHARE = 0.02
"""A glass colour that takes less of the even, bright part of a picture is no glass."""


@dataclass(frozen=True)
class Glass:
    """Bare glass: its mean colour (red, green, blue) and how far its green varies over the slide (grey levels)."""

    rgb: tuple[float, float, float]
    spread: float


def find_glass(channels: Sequence[np.ndarray], usable: np.ndarray) -> Glass:
    """Find the glass of a small picture of a slide.

    Glass is even, bright and almost grey. Of the peaks in the histogram of such pixels the brightest of any weight is
    taken, since even tissue is always darker than its glass; white fill beside grey glass is passed over.

    Args:
        channels: red, green and blue, (H, W) uint8 each.
        usable: (H, W) uint8, 0 where the scanner filled in black.
    """
    red, green, blue = channels
    square = np.ones((3, 3), np.uint8)
    darkest, brightest = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    uneven = cv2.subtract(cv2.dilate(green, square), cv2.erode(green, square))
    even = below(uneven, 7) & below(cv2.subtract(brightest, darkest), 30) & usable
    # Dim glass is looked for only where there is none of the usual brightness.
    for least in (170, 80):
        glass = even & above(darkest, least)
        grey = glass & below(darkest, SATURATED)
        if cv2.countNonZero(grey) > LEAST_SHARE * cv2.countNonZero(glass):
            glass = grey
        if cv2.countNonZero(glass):
            return _average(channels, glass)
    return Glass(USUAL_GLASS, 0.0)


def _average(channels: Sequence[np.ndarray], glass: np.ndarray) -> Glass:
    green = channels[1]
    counts = cv2.calcHist([green], [0], glass, [256], [0, 256]).ravel()
    smooth = np.convolve(counts, np.ones(3) / 3, "same")
    highest = np.lib.stride_tricks.sliding_window_view(np.pad(smooth, 3), 7).max(axis=1)
    peak = int(np.flatnonzero((smooth >= 0.3 * smooth.max()) & (smooth == highest))[-1])
    near = glass & cv2.inRange(green, max(0, peak - 2), min(255, peak + 2))
    red, middle, blue = (cv2.mean(channel, near)[0] for channel in channels)
    levels = np.arange(max(0, peak - 10), min(256, peak + 11))
    weights = counts[levels]
    spread = float(np.sqrt((weights * (levels - middle) ** 2).sum() / weights.sum()))
    return Glass((red, middle, blue), spread)
