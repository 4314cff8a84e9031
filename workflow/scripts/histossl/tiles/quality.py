"""Patches that are mostly glass, inked, folded or out of focus: told by simple measures, each with a limit of its own.

All measures are taken at fixed physical scales, so that a limit means the same for every tiling.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from histossl.slides.patches import read_patches
from histossl.slides.prefetch import prefetch
from histossl.slides.reader import Slide

BLANK_UM, COARSE_UM, FINE_UM = 4.0, 8.0, 0.5
"""Scales at which glass, ink and folds, and focus are looked at, µm/px."""
GLASS_CHROMA, GLASS_LEAST, FILL_MOST = 10, 180, 25
"""Glass, white or grey, has nearly equal channels that are all bright; black fill has no bright one."""
STAINED_DENSITY = 0.05
LAYERS = 2.0
"""So many times the usual density of its slide, and a pixel is taken for more than one layer."""
SAMPLE = 64
"""Patches that tell the usual density of a slide."""
PIECE = 32
REASONS = ("blank", "pen", "fold", "blur")


@dataclass(frozen=True)
class QualitySettings:
    """Limits; None switches a check off.

    Attributes:
        max_blank: largest share of glass or scanner fill, 0 to 1. Fat is mostly glass: 0.95 keeps most of it.
        max_pen: largest share of ink, 0 to 1.
        max_fold: largest share that is twice as dense as usual in its slide, 0 to 1; cell-rich tissue comes close.
        min_sharpness: smallest sharpness, see `measure_sharpness`: about 4 to 9 in focus, 2 with a blur of 1 µm.
    """

    max_blank: float | None
    max_pen: float | None
    max_fold: float | None
    min_sharpness: float | None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Reasons of the checks that are on, in the order in which they are made."""
        limits = (self.max_blank, self.max_pen, self.max_fold, self.min_sharpness)
        return tuple(reason for reason, limit in zip(REASONS, limits, strict=True) if limit is not None)


@dataclass(frozen=True)
class Scan:
    """What the patches of one slide are judged against: its own µm/px and its usual density (0: unknown)."""

    spacing_um: float
    density: float


def judge_patch(patch: np.ndarray, spacing_um: float, settings: QualitySettings, scan: Scan) -> str:
    """Why a patch should be left out: `blank`, `pen`, `fold` or `blur`; empty where it should stay.

    Args:
        patch: (H, W, 3) uint8, RGB.
        spacing_um: its µm/px.
        settings: the limits.
        scan: the slide it is from.
    """
    if settings.max_blank is not None and measure_blank(patch, spacing_um) > settings.max_blank:
        return "blank"
    if settings.max_pen is not None and measure_pen(patch, spacing_um) > settings.max_pen:
        return "pen"
    if settings.max_fold is not None and measure_fold(patch, spacing_um, scan.density) > settings.max_fold:
        return "fold"
    if settings.min_sharpness is not None:
        # An enlarged patch is soft by itself: it is judged at the scale at which it was scanned.
        sharpness = measure_sharpness(patch, spacing_um, max(FINE_UM, scan.spacing_um))
        if sharpness < settings.min_sharpness:
            return "blur"
    return ""


def judge_patches(
    slide_file: Path,
    coords: np.ndarray,
    patch_level0: float,
    patch_px: int,
    spacing_um: float,
    settings: QualitySettings,
    threads: int,
) -> list[str]:
    """Read all patches of a slide and judge each, see `judge_patch`; one reason for each row of `coords` (N, 2).

    Args:
        slide_file: the slide.
        coords: level-0 x and y of the top left corners.
        patch_level0: side of a patch in level-0 pixels.
        patch_px: side of a patch, px.
        spacing_um: µm/px of a patch.
        settings: the limits.
        threads: that read and judge.

    Raises:
        UserError: the slide is damaged.
    """
    with Slide(slide_file) as slide:
        read = partial(read_patches, slide, patch_level0=patch_level0, patch_px=patch_px)
        density = 0.0
        if settings.max_fold is not None:
            some = coords[np.unique(np.linspace(0, len(coords) - 1, SAMPLE).astype(int))] if len(coords) else coords
            density = find_density(read(some), spacing_um)
        scan = Scan(spacing_um * patch_px / patch_level0, density)

        def judge(piece: np.ndarray) -> list[str]:
            return [judge_patch(patch, spacing_um, settings, scan) for patch in read(piece)]

        pieces = (coords[start : start + PIECE] for start in range(0, len(coords), PIECE))
        return [reason for reasons in prefetch(judge, pieces, threads) for reason in reasons]


def find_density(patches: Iterable[np.ndarray], spacing_um: float) -> float:
    """The usual optical density of stained tissue in a slide: the median over some of its patches; 0 without tissue."""
    densities = [_density(patch, spacing_um).ravel() for patch in patches]
    values = np.concatenate(densities) if densities else np.zeros(0, np.float32)
    stained = values[values > STAINED_DENSITY]
    return float(np.median(stained)) if len(stained) else 0.0


def measure_blank(patch: np.ndarray, spacing_um: float) -> float:
    """Share of a patch that is bare glass, white or grey, or black scanner fill; 0 to 1."""
    small = _shrink(patch, spacing_um, BLANK_UM)
    most, least = small.max(2), small.min(2)
    return float((((most - least <= GLASS_CHROMA) & (least >= GLASS_LEAST)) | (most <= FILL_MOST)).mean())


def measure_pen(patch: np.ndarray, spacing_um: float) -> float:
    """Share of a patch that has the colour of green, blue, black or red ink; 0 to 1.

    Looked at where single nuclei have melted into their surroundings, because the hue of a nucleus may be that of blue
    ink. Green and blue ink are told by hue and saturation, as in the pen filters of HistoQC (Janowczyk et al. 2019,
    doi:10.1200/CCI.18.00157); black and red ink, which may lie over pink, by optical densities, to which tissue adds:
    black absorbs all colours alike, red ink blue as much as green and red hardly at all. A lake of blood may pass for
    red ink.
    """
    small = _shrink(patch, spacing_um, COARSE_UM)
    hue, saturation, _ = (channel.astype(np.int16) for channel in cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2HSV)))
    green = (hue > 35) & (hue < 90) & (saturation > 50)
    blue = (hue >= 90) & (hue < 122) & (saturation > 110)
    density = -np.log10(np.maximum(small, 1) / np.float32(245))
    in_red, in_green, in_blue = (density[..., channel] for channel in range(3))
    most, least = density.max(2), density.min(2)
    black = (most > 0.35) & (least > 0.7 * most) & (small.max(2) > FILL_MOST)
    red = (in_green > 0.5) & (in_red < 0.25 * in_green) & (in_blue > 0.75 * in_green)
    return float((green | blue | black | red).mean())


def measure_fold(patch: np.ndarray, spacing_um: float, usual_density: float) -> float:
    """Share of a patch where tissue seems to lie on itself; 0 to 1, and 0 where `usual_density` is unknown (0).

    Folds stand out by being dark and saturated (Bautista and Yagi 2010, doi:10.4103/2153-3539.73320), against limits
    that must follow the slide's own stain (Kothari et al. 2013, doi:10.4103/2153-3539.117448). Both are one number in
    optical densities, which add up where layers do: here that of green light, which both dyes absorb, so that nuclei
    stand out less. Dense infiltrates may still look like a fold.
    """
    if usual_density <= 0:
        return 0.0
    return float((_density(patch, spacing_um) > LAYERS * usual_density).mean())


def measure_sharpness(patch: np.ndarray, spacing_um: float, at_um: float = FINE_UM) -> float:
    """How much finest detail a patch has beside the next coarser: the higher, the sharper.

    The variance of the Laplacian (Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548) rises with the contrast of
    the stain and with the number of edges as well as with focus. Divided by that of the same patch after a slight blur
    (compare with a blurred self: Crete et al. 2007, doi:10.1117/12.702790), content and stain cancel. Where there is
    nothing to see, it is infinite: no patch is called blurred for being empty.

    Args:
        patch: (H, W, 3) uint8, RGB.
        spacing_um: its µm/px.
        at_um: the scale to look at, µm/px; a coarser patch is taken as it is.
    """
    grey = cv2.cvtColor(_shrink(patch, spacing_um, at_um), cv2.COLOR_RGB2GRAY).astype(np.float32)
    # The one of less blur takes away a scanner's noise, which would pass for detail.
    fine, coarse = (cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), px), cv2.CV_32F).var() for px in (1.0, 2.0))
    return float(fine / coarse) if coarse > 1e-3 else float("inf")


def _density(patch: np.ndarray, spacing_um: float) -> np.ndarray:
    """Optical density of green light, at a scale where nuclei have melted into tissue."""
    green = _shrink(patch, spacing_um, COARSE_UM)[..., 1]
    return -np.log10(np.maximum(green, 1) / np.float32(240))


def _shrink(patch: np.ndarray, spacing_um: float, at_um: float) -> np.ndarray:
    if spacing_um >= at_um:
        return patch
    size = [max(1, round(side * spacing_um / at_um)) for side in patch.shape[1::-1]]
    return cv2.resize(patch, size, interpolation=cv2.INTER_AREA)
