"""Where tissue is: classical segmentation on a small picture of the slide."""

from dataclasses import dataclass

import cv2
import numpy as np

PEN_MARGIN_UM = 60.0
"""The soft edge of a pen stroke, taken away together with it."""


@dataclass(frozen=True)
class TissueSettings:
    """How tissue is told from glass.

    Attributes:
        spacing_um: µm/px of the picture that is segmented.
        threshold: `otsu`, or a fixed HSV saturation from 0 to 255 as in CLAM's `sthresh`.
        min_saturation: the lowest threshold that Otsu may choose; without it, empty glass would be split in two.
        max_saturation: the highest one, so that pale tissue beside dark tissue is kept.
        median_px, close_px: median filter and closing, px of that picture.
        min_area_mm2, min_hole_mm2: smaller pieces and holes are dropped and filled.
        exclude_pen: leave out green, blue, red and black ink.
        relaxed_saturation: threshold of the second try where the first finds nothing.
    """

    spacing_um: float
    threshold: str | float
    min_saturation: float
    max_saturation: float
    median_px: int
    close_px: int
    min_area_mm2: float
    min_hole_mm2: float
    exclude_pen: bool
    relaxed_saturation: float


@dataclass(frozen=True)
class Tissue:
    """A tissue mask (bool, H x W), the ink left out of it, and the saturation threshold that made it."""

    mask: np.ndarray
    pen: np.ndarray
    threshold: float
    relaxed: bool


def segment_tissue(rgb: np.ndarray, settings: TissueSettings) -> Tissue:
    """Segment tissue on an (H, W, 3) uint8 RGB picture at `settings.spacing_um`.

    Saturation with Otsu's or a fixed threshold after a median filter, as CLAM does (Lu et al. 2021,
    doi:10.1038/s41551-020-00682-w), minus ink and scanner fill, with Otsu kept within bounds. Where nothing is found,
    a second try uses the lower `relaxed_saturation`.
    """
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    pen = _find_pen(hsv, settings.spacing_um) if settings.exclude_pen else np.zeros(rgb.shape[:2], bool)
    black_fill = hsv[..., 2] < 25
    usable = ~(pen | black_fill)
    saturation = cv2.medianBlur(np.where(usable, hsv[..., 1], 0).astype(np.uint8), settings.median_px)
    threshold = _choose_threshold(saturation[usable], settings)
    mask = _clean((saturation > threshold) & usable, settings)
    relaxed = not mask.any() and settings.relaxed_saturation < threshold
    if relaxed:
        threshold = settings.relaxed_saturation
        mask = _clean((saturation > threshold) & usable, settings)
    return Tissue(mask & usable, pen, threshold, relaxed and bool(mask.any()))


def _choose_threshold(saturation: np.ndarray, settings: TissueSettings) -> float:
    if settings.threshold != "otsu":
        return float(settings.threshold)
    if not saturation.size:
        return settings.max_saturation
    otsu, _ = cv2.threshold(saturation.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(np.clip(otsu, settings.min_saturation, settings.max_saturation))


def _find_pen(hsv: np.ndarray, spacing_um: float) -> np.ndarray:
    """Ink: hues that haematoxylin and eosin do not have, or darkness without colour, in strokes rather than specks."""
    hue, saturation, value = (hsv[..., i].astype(np.int16) for i in range(3))
    green = (hue > 35) & (hue < 90) & (saturation > 50)
    blue = (hue >= 90) & (hue < 124) & (saturation > 110)
    red = ((hue < 6) | (hue > 176)) & (saturation > 150) & (value > 120)
    black = (value < 90) & (saturation < 70) & (value >= 25)
    ink = (green | blue | red | black).astype(np.uint8)
    # A stroke is wider than a nucleus or a speck of pigment.
    ink = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    margin_px = max(1, round(PEN_MARGIN_UM / spacing_um))
    return cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin_px + 1,) * 2)).astype(bool)


def _clean(mask: np.ndarray, settings: TissueSettings) -> np.ndarray:
    """Close gaps, drop small pieces, fill small holes."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (settings.close_px,) * 2)
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    px_per_mm2 = (1000 / settings.spacing_um) ** 2
    kept = _drop_small(closed, settings.min_area_mm2 * px_per_mm2)
    return ~_drop_small(~kept, settings.min_hole_mm2 * px_per_mm2)


def _drop_small(mask: np.ndarray, min_px: float) -> np.ndarray:
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = statistics[:, cv2.CC_STAT_AREA] >= min_px
    keep[0] = False
    return keep[labels]
