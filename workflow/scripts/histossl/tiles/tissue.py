"""Where tissue is: classical segmentation on a small picture of the slide."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from histossl.tiles.fill import find_black, find_white, widen
from histossl.tiles.glass import USUAL_GLASS, Glass, find_glass
from histossl.tiles.ink import find_ink
from histossl.tiles.levels import above
from histossl.tiles.pieces import keep_pieces

WORK_UM = 8.0
"""Coarser pictures are enlarged before the threshold, so that outlines run between their pixels."""
PALE_SHARE = 0.045
"""Tissue as pale as this share of a slide's usual tissue is found, where the glass is clean enough."""
SPREADS = 2.5
"""What differs from the glass by fewer times the glass's own spread is glass."""
EDGE_SHARE = 0.4
"""Near dark tissue the edge lies where this share of its usual contrast is reached."""
EDGE_UM = 20.0
"""The smoothed contrast of dark tissue reaches so far over its edge."""
INK_EDGE_UM = 32.0
"""Beside ink there is tissue only where it goes on for longer than this: the stroke's soft edge is none."""
INK_HALO_UM = 80.0
"""What keeps within this of ink is no tissue: colours bleed out of ink by the scanner's compression."""
INK_MARGIN_UM = 24.0
"""Reported around ink, so that what is cut out beside it is free of it."""


@dataclass(frozen=True)
class TissueSettings:
    """How tissue is told from glass.

    Attributes:
        spacing_um: µm/px of the picture that is segmented.
        threshold: `glass` compares with the slide's own glass; `otsu` puts Otsu's threshold on HSV saturation; a
            number from 0 to 255 is a fixed saturation, as CLAM's `sthresh`.
        min_contrast: with `glass`, how much darker than glass tissue must at least be, grey levels of 255.
        relaxed_contrast: the same for the second try where the first finds nothing.
        min_saturation: the lowest threshold that Otsu may choose; without it, empty glass would be split in two.
        max_saturation: the highest one, so that pale tissue beside dark tissue is kept.
        relaxed_saturation: threshold of the second try, on saturation.
        smooth_um: width of the smoothing before the threshold, as CLAM's `mthresh`: a median on saturation, a Gaussian
            of half that standard deviation on the contrast with the glass.
        close_um: gaps narrower than this are closed, as CLAM's `close`; 0 closes none.
        min_area_mm2: smaller pieces are dropped, as CLAM's `a_t`.
        min_hole_mm2: smaller holes are filled, as CLAM's `a_h`.
        max_holes: at most so many holes of a piece remain, the largest, as CLAM's `max_n_holes`; None is no limit.
        exclude_pen: leave out green, blue, black and red ink.
    """

    spacing_um: float
    threshold: str | float
    min_contrast: float
    relaxed_contrast: float
    min_saturation: float
    max_saturation: float
    relaxed_saturation: float
    smooth_um: float
    close_um: float
    min_area_mm2: float
    min_hole_mm2: float
    max_holes: int | None
    exclude_pen: bool


@dataclass(frozen=True)
class Tissue:
    """What a picture shows; masks are (H, W) bool, of its size.

    Attributes:
        mask: tissue.
        pen: ink with a margin, which patches should not touch; the margin may overlap the tissue.
        fill: black or white that the scanner put where it saw nothing, with a margin of one pixel.
        threshold: the contrast with the glass (`threshold: glass`) or the saturation that told tissue.
        relaxed: whether only the second try found something.
    """

    mask: np.ndarray
    pen: np.ndarray
    fill: np.ndarray
    threshold: float
    relaxed: bool


def segment_tissue(rgb: np.ndarray, settings: TissueSettings) -> Tissue:
    """Segment tissue on an (H, W, 3) uint8 RGB picture at `settings.spacing_um`.

    Scanner fill and ink are found first. Tissue is then what differs from the slide's own glass, or, as in CLAM (Lu
    et al. 2021, doi:10.1038/s41551-020-00682-w), what is saturated. Where nothing is found, a second try takes the
    relaxed threshold.
    """
    rgb = np.ascontiguousarray(rgb)
    channels = cv2.split(rgb)
    black = find_black(channels)
    glass = find_glass(channels, cv2.bitwise_not(black))
    fill = widen(black | find_white(channels, glass))
    # On a picture without colours, dark tissue would pass for black ink; without glass either, there is only ink.
    coloured = any(cv2.norm(channels[0], other, cv2.NORM_INF) for other in channels[1:])
    look = settings.exclude_pen and (coloured or glass.rgb == USUAL_GLASS)
    ink = find_ink(channels, glass, settings.spacing_um) if look else np.zeros_like(fill)
    ink &= cv2.bitwise_not(fill)
    usable = cv2.bitwise_not(ink | fill)
    levels: _Contrast | _Saturation
    if settings.threshold == "glass":
        levels = _Contrast(channels, glass, usable, settings)
    else:
        levels = _Saturation(rgb, usable, settings)
    threshold = levels.threshold
    mask = _finish(levels.mask(threshold), ink, fill, usable, settings)
    relaxed = not mask.any() and levels.relaxed < threshold
    if relaxed:
        threshold = levels.relaxed
        mask = _finish(levels.mask(threshold), ink, fill, usable, settings)
    pen = _widen(ink, INK_MARGIN_UM / settings.spacing_um)
    return Tissue(mask, pen > 0, fill > 0, threshold, relaxed and bool(mask.any()))


class _Saturation:
    """HSV saturation after a median filter, as CLAM thresholds it."""

    def __init__(self, rgb: np.ndarray, usable: np.ndarray, settings: TissueSettings) -> None:
        saturation = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)[..., 1] & usable
        self.levels = _median(saturation, settings.smooth_um / settings.spacing_um)
        self.relaxed = float(settings.relaxed_saturation)
        if settings.threshold == "otsu":
            seen = self.levels[usable > 0]
            self.threshold = float(settings.max_saturation)
            if seen.size:
                otsu, _ = cv2.threshold(seen.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
                self.threshold = float(np.clip(otsu, settings.min_saturation, settings.max_saturation))
        else:
            self.threshold = float(settings.threshold)

    def mask(self, threshold: float) -> np.ndarray:
        """Where saturation exceeds the threshold; (H, W) uint8, 255 where so."""
        return above(self.levels, threshold)


class _Contrast:
    """How much darker than the glass each pixel is, in red or green, which H&E absorbs most.

    Two questions are asked of it. A low threshold on the smoothed contrast finds everything that is not glass: fat,
    whose cells are empty but for their walls, mucus, faint stain. The contrast is clipped before it is smoothed, so
    that a dark speck counts for no more than a pale one. But the smoothed contrast of dark tissue reaches over its
    edge; so near dark tissue a second threshold, at a share of its usual contrast, decides where the edge is.
    """

    def __init__(
        self, channels: Sequence[np.ndarray], glass: Glass, usable: np.ndarray, settings: TissueSettings
    ) -> None:
        self.settings = settings
        darker = [np.clip(np.round(level - np.arange(256)), 0, 255).astype(np.uint8) for level in glass.rgb]
        # Ink and black fill stay as dark as they are, since tissue may go on below them; `_finish` takes them away.
        self.levels = cv2.max(cv2.LUT(channels[0], darker[0]), cv2.LUT(channels[1], darker[1]))
        self.usual = _median_above(self.levels, 8, usable)
        least = max(SPREADS * glass.spread, PALE_SHARE * self.usual)
        self.threshold = round(max(settings.min_contrast, least), 2)
        self.relaxed = round(max(settings.relaxed_contrast, SPREADS * glass.spread), 2)

    def mask(self, threshold: float) -> np.ndarray:
        """Where there is tissue by the two thresholds; (H, W) uint8, 255 where so."""
        um = self.settings.spacing_um
        # To 8 bits, so that the threshold lies in the middle between no contrast and the clip.
        clipped = cv2.LUT(self.levels, np.clip(np.arange(256) * (127.5 / threshold), 0, 255).astype(np.uint8))
        smooth = cv2.GaussianBlur(clipped, (0, 0), max(0.3, self.settings.smooth_um / 2 / um))
        mask = np.zeros(self.levels.shape, np.uint8)
        # The rest is done where there is something alone; the margin keeps what it looks at inside.
        margin = 1 + round(2 * EDGE_UM / um)
        left, top, width, height = cv2.boundingRect(above(smooth, 127))
        if not width:
            return mask
        rows = slice(max(0, top - margin), top + height + margin)
        columns = slice(max(0, left - margin), left + width + margin)
        smooth, levels = smooth[rows, columns], self.levels[rows, columns]
        times = max(1, round(um / WORK_UM))
        size, edge_px = (smooth.shape[1] * times, smooth.shape[0] * times), EDGE_UM * times / um
        pale = above(cv2.resize(smooth, size, interpolation=cv2.INTER_LINEAR), 127)
        dark_from = max(2 * threshold, EDGE_SHARE * self.usual)
        dark = above(cv2.resize(levels, size, interpolation=cv2.INTER_LINEAR), dark_from)
        found = pale & (dark | cv2.erode(pale, _square(edge_px)) | cv2.bitwise_not(_widen(dark, edge_px)))
        found = cv2.resize(found, smooth.shape[::-1], interpolation=cv2.INTER_AREA)
        mask[rows, columns] = above(found, 127)
        return mask


def _finish(
    mask: np.ndarray, ink: np.ndarray, fill: np.ndarray, usable: np.ndarray, settings: TissueSettings
) -> np.ndarray:
    """Close gaps, drop small pieces, fill small holes; no tissue on ink or fill.

    Nor is there any on the soft edge of ink or on the pixels beside fill, which are a mixture with it, unless it goes
    on behind.
    """
    um = settings.spacing_um
    px_per_mm2 = (1000 / um) ** 2
    if settings.close_um > um:
        mask = _close(mask, settings.close_um / um)
    mask = mask & usable
    if cv2.countNonZero(fill):
        away = cv2.bitwise_not(fill)
        mask &= away | _widen(mask & away, 1)
    if cv2.countNonZero(ink):
        away = cv2.bitwise_not(_widen(ink, INK_EDGE_UM / um))
        mask &= away | _widen(mask & away, INK_EDGE_UM / um)
        mask = _keep_reaching(mask, cv2.bitwise_not(_widen(ink, INK_HALO_UM / um)), settings.min_area_mm2 * px_per_mm2)
    mask = keep_pieces(mask, settings.min_area_mm2 * px_per_mm2, settings.min_hole_mm2 * px_per_mm2, settings.max_holes)
    return (mask & usable) > 0


def _keep_reaching(mask: np.ndarray, region: np.ndarray, least_px: float) -> np.ndarray:
    """The pieces of a mask of which at least so many pixels lie in a region."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    keep = np.bincount(labels[region > 0], minlength=count) >= max(1.0, least_px)
    keep[0] = False
    return keep[labels] * np.uint8(255)


def _median_above(levels: np.ndarray, least: int, usable: np.ndarray) -> float:
    """Median of the usable pixels above `least`; 0 where there are none."""
    counts = cv2.calcHist([levels], [0], usable, [256], [0, 256]).ravel()
    counts[: least + 1] = 0
    return float(np.searchsorted(counts.cumsum(), counts.sum() / 2)) if counts.any() else 0.0


def _median(levels: np.ndarray, width_px: float) -> np.ndarray:
    odd = 2 * round((width_px - 1) / 2) + 1
    return cv2.medianBlur(levels, odd) if odd > 1 else levels


def _square(radius_px: float) -> np.ndarray:
    return np.ones((2 * max(1, round(radius_px)) + 1,) * 2, np.uint8)


def _widen(mask: np.ndarray, radius_px: float) -> np.ndarray:
    return cv2.dilate(mask, _square(radius_px))


def _close(mask: np.ndarray, width_px: float) -> np.ndarray:
    """Close gaps up to so wide; nothing is taken for tissue because of the picture's border."""
    side = 2 * max(1, round(width_px / 2)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    padded = cv2.copyMakeBorder(mask, side, side, side, side, cv2.BORDER_CONSTANT, value=0)
    return np.ascontiguousarray(cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)[side:-side, side:-side])
