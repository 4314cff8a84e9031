"""Which tissue lies where on a slide: pieces with ragged outlines on glass, divided into regions."""

import cv2
import numpy as np

from histossl.phantom.fields import rounded, smooth_noise
from histossl.phantom.section import CODE

# Share of the tissue that each class takes, (least, most); stroma is what remains.
SHARES: dict[str, tuple[float, float]] = {
    "tumour": (0.18, 0.28),
    "normal": (0.07, 0.12),
    "adipose": (0.08, 0.15),
    "muscle": (0.05, 0.09),
    "lymphocytes": (0.03, 0.06),
    "mucus": (0.03, 0.06),
    "debris": (0.03, 0.06),
}
# Extent of a region of each class, µm.
EXTENT_UM = {
    "tumour": 330,
    "normal": 300,
    "adipose": 300,
    "muscle": 280,
    "lymphocytes": 130,
    "mucus": 180,
    "debris": 170,
}
TISSUE_SHARE = (0.38, 0.52)


def draw_tissue(shape: tuple[int, int], pitch_um: float, rng: np.random.Generator) -> np.ndarray:
    """Return where tissue lies: one to three pieces that cover 38 to 52 % of the slide.

    Args:
        shape: (H, W) of the region map.
        pitch_um: µm per pixel of the map.
        rng: source of randomness.

    Returns:
        (H, W) bool.
    """
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y / height - 0.5, x / width - 0.5
    pieces = int(rng.integers(1, 4))
    nearness = np.full(shape, -np.inf, np.float32)
    for piece in range(pieces):
        centre = ((piece + 0.5) / pieces - 0.5) * 0.85 + rng.uniform(-0.03, 0.03)
        middle_y = rng.uniform(-0.08, 0.08)
        half_width = rng.uniform(0.75, 0.95) * (0.5 if pieces == 1 else 0.85 / pieces)
        turn = rng.uniform(-0.35, 0.35)
        along = ((x - centre) + turn * (y - middle_y)) / half_width
        across = (y - middle_y) / rng.uniform(0.42, 0.52)
        nearness = np.maximum(nearness, 1 - np.hypot(along, across))
    for extent_um, amount in ((450, 0.16), (120, 0.05), (35, 0.02), (12, 0.010)):
        nearness += amount * smooth_noise(shape, extent_um / pitch_um, rng)
    # Tissue keeps off the slide's border, as a section does off the edge of the scanned area.
    nearness -= 0.35 * (np.maximum(np.maximum(np.abs(x), np.abs(y)) - 0.40, 0) / 0.06) ** 2
    return nearness > np.quantile(nearness, 1 - rng.uniform(*TISSUE_SHARE))


def draw_regions(tissue: np.ndarray, pitch_um: float, rng: np.random.Generator) -> np.ndarray:
    """Divide tissue into regions whose shares are drawn from `SHARES`.

    Each class takes the part of what is left where its own noise is highest.

    Args:
        tissue: (H, W) bool.
        pitch_um: µm per pixel.
        rng: source of randomness.

    Returns:
        (H, W) uint8, codes of `section.CLASSES`.
    """
    regions = np.where(tissue, np.uint8(CODE["stroma"]), np.uint8(CODE["background"]))
    area = tissue.sum()
    for name, (least, most) in SHARES.items():
        field = smooth_noise(tissue.shape, EXTENT_UM[name] / pitch_um, rng)
        field += 0.12 * smooth_noise(tissue.shape, 25 / pitch_um, rng)
        share = rng.uniform(least, most)
        left = regions == CODE["stroma"]
        if left.any():
            level = np.quantile(field[left], max(0.0, 1 - share * area / left.sum()))
            regions[left & (field > level)] = CODE[name]
    return regions


PEN_COLOURS: dict[str, tuple[float, float, float]] = {
    "green": (1.6, 0.45, 1.0),
    "blue": (1.7, 1.1, 0.25),
    "black": (1.7, 1.65, 1.6),
    "red": (0.25, 1.6, 1.5),
}
PEN_UM = 110.0


def draw_pen(tissue: np.ndarray, pitch_um: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a felt pen's line part of the way around a piece of tissue, as pathologists mark a region.

    Args:
        tissue: (H, W) bool.
        pitch_um: µm per pixel.
        rng: source of randomness.

    Returns:
        (H, W) uint8, amount of ink: 0 none, 255 most; streaky, thicker towards the stroke's borders.
    """
    outlines, _ = cv2.findContours(tissue.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)[:, 0].astype(np.float32)
    # A hand draws a smooth line: keep 24 points of the outline and move them out a little.
    corners = outline[np.linspace(0, len(outline), 24, endpoint=False).astype(int)]
    corners = corners.mean(axis=0) + (corners - corners.mean(axis=0)) * rng.uniform(0.98, 1.08)
    start, length = rng.integers(24), rng.integers(9, 15)
    line = rounded(np.roll(corners, -start, axis=0)[:length], closed=False)
    ink = np.zeros(tissue.shape, np.uint8)
    thickness = max(1, round(PEN_UM / pitch_um))
    cv2.polylines(ink, [np.round(line * 16).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 4)
    core = cv2.blur(ink, (thickness // 2 | 1, thickness // 2 | 1)).astype(np.float32)
    streaks = smooth_noise(tissue.shape, 60 / pitch_um, rng)
    return np.clip(ink * (0.95 - 0.3 * core / 255 + 0.10 * streaks), 0, 255).astype(np.uint8)
