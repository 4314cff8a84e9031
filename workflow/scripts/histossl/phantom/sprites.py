"""Small pictures of nuclei and cell bodies, drawn once and stamped many times."""

import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter

from histossl.phantom.stain import STEPS_PER_UNIT

ANGLES = 16
SHAPES = 8


@dataclass(frozen=True)
class Sprites:
    """Stamps of one kind of cell part, each shape in `ANGLES` directions.

    `haematoxylin` (N, S, S) uint8 is laid over what is there by the larger value; `eosin_least` and `eosin_most`
    (N, S, S) uint8 bound the eosin from below and above; `coverage` (N, S, S) uint8 is 255 where the part is.
    """

    haematoxylin: np.ndarray
    eosin_least: np.ndarray
    eosin_most: np.ndarray
    coverage: np.ndarray

    def choose(self, angle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the index of a random shape for each angle (radians)."""
        shape = rng.integers(0, len(self.coverage) // ANGLES, len(angle))
        turned = np.round(np.mod(angle, np.pi) / np.pi * ANGLES).astype(int) % ANGLES
        return shape * ANGLES + turned


@dataclass(frozen=True)
class Look:
    """What one kind of cell part looks like; lengths in µm, dyes in concentration, the rest relative."""

    length_um: tuple[float, float]
    width_um: tuple[float, float]
    haematoxylin: tuple[float, float]
    eosin: float
    irregular: float = 0.05
    texture: float = 0.2
    rim: float = 0.0
    nucleoli: int = 0


@cache
def draw_sprites(look: Look, spacing_um: float) -> Sprites:
    """Draw `SHAPES` random shapes of one look in every direction; the same for the same arguments.

    A shape is an ellipse whose radius is modulated by a few harmonics; chromatin is smoothed noise, the nuclear
    membrane a darker rim, nucleoli dark dots.

    Args:
        look: what to draw.
        spacing_um: µm per pixel of the stamps.
    """
    rng, shapes = np.random.default_rng(zlib.crc32(repr(look).encode())), SHAPES
    radius_px = max(look.length_um[1], look.width_um[1]) * (0.5 + look.irregular) / spacing_um
    half = int(np.ceil(radius_px)) + 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32) * np.float32(spacing_um)
    angle = (np.arange(ANGLES, dtype=np.float32) * np.float32(np.pi / ANGLES))[None, :, None, None]

    def each(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, (shapes, 1, 1, 1)).astype(np.float32)

    length, width = each(*look.length_um) / 2, each(*look.width_um) / 2
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    along, across = np.broadcast_arrays(along / length, across / width)
    radius, bearing = np.hypot(along, across), np.arctan2(across, along)
    for harmonic in (2, 3, 5):
        radius = radius * (1 + look.irregular * each(-1, 1) * np.cos(harmonic * bearing + each(0, 2 * np.pi)))
    inside = np.clip((1 - radius) * np.minimum(length, width) / spacing_um + 0.5, 0, 1)

    noise = gaussian_filter(rng.standard_normal(inside.shape, np.float32), (0, 0, 0.55 / spacing_um, 0.55 / spacing_um))
    dark = 1 + look.texture * noise / noise.std() + look.rim * np.exp(-(((radius - 0.88) / 0.13) ** 2))
    for _ in range(look.nucleoli):
        distance, towards = each(0, 0.5), each(0, 2 * np.pi)
        offset = (along - distance * np.cos(towards)) ** 2 * length**2
        offset = offset + (across - distance * np.sin(towards)) ** 2 * width**2
        dark = dark + 0.8 * np.exp(-offset / 0.7**2)
    haematoxylin = inside * each(*look.haematoxylin) * np.maximum(dark, 0.3)
    eosin = look.eosin * (1 + 0.5 * look.texture * noise / noise.std())

    def stamps(values: np.ndarray) -> np.ndarray:
        size = 2 * half + 1
        return np.clip(np.round(values), 0, 255).astype(np.uint8).reshape(shapes * ANGLES, size, size)

    eosin_steps = np.maximum(eosin, 0) * STEPS_PER_UNIT
    return Sprites(
        haematoxylin=stamps(haematoxylin * STEPS_PER_UNIT),
        eosin_least=stamps(inside * eosin_steps),
        eosin_most=stamps(255 - inside * (255 - eosin_steps)),
        coverage=stamps(255 * (inside > 0.5)),
    )
