"""Random fields that textures are made of: smooth noise, streaks, and the course of fibres."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

TEXTURE_PX = 512


def smooth_noise(shape: tuple[int, int], scale_px: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise that varies over about `scale_px`: mean 0, standard deviation roughly 0.8.

    Args:
        shape: (H, W) of the result.
        scale_px: distance between independent values.
        rng: source of randomness.

    Returns:
        (H, W) float32.
    """
    height, width = shape
    if scale_px >= 16:  # slowly varying: draw a quarter of the size, and enlarge, which is many times faster
        small = smooth_noise((height // 4 + 1, width // 4 + 1), scale_px / 4, rng)
        return cv2.resize(small, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)[:height, :width]
    rows, columns = int(height / scale_px) + 3, int(width / scale_px) + 3
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    # A random part of a cell is cut off so that the grid's corners do not fall on the image's corners.
    shift_y, shift_x = rng.uniform(0, scale_px, 2)
    to_coarse = np.array([[1 / scale_px, 0, shift_x / scale_px + 0.5], [0, 1 / scale_px, shift_y / scale_px + 0.5]])
    return cv2.warpAffine(
        coarse, to_coarse, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )


@cache
def streaks(length_px: float, thickness_px: float) -> np.ndarray:
    """Return a texture of horizontal streaks that can be repeated without a seam; the same for the same arguments.

    White noise is filtered by a Gaussian of the given standard deviations in the frequency domain, where the filter
    wraps around the borders by itself.

    Returns:
        (TEXTURE_PX, TEXTURE_PX) float32, mean 0, standard deviation 1.
    """
    frequency = np.fft.fftfreq(TEXTURE_PX)
    response = np.exp(
        -2 * np.pi**2 * ((frequency[:, None] * thickness_px) ** 2 + (frequency[None, :] * length_px) ** 2)
    )
    noise = np.random.default_rng(TEXTURE_PX).standard_normal((TEXTURE_PX, TEXTURE_PX))
    texture = np.fft.ifft2(np.fft.fft2(noise) * response).real
    return ((texture - texture.mean()) / texture.std()).astype(np.float32)


@dataclass(frozen=True)
class Fibres:
    """The course of fibres: coordinates along and across them, in µm, on a grid of `pitch_um`.

    A fibre is a line on which `across` is constant, so textures sampled at (along, across) and cells placed along
    such lines run the same way.
    """

    along: np.ndarray
    across: np.ndarray
    pitch_um: float

    @classmethod
    def draw(cls, shape: tuple[int, int], pitch_um: float, rng: np.random.Generator) -> "Fibres":
        """Draw a course that swings over some 300 µm and is wavy over some 40 µm."""
        turn = rng.uniform(0, np.pi)
        y = np.arange(shape[0], dtype=np.float32)[:, None] * np.float32(pitch_um)
        x = np.arange(shape[1], dtype=np.float32)[None, :] * np.float32(pitch_um)
        swing = smooth_noise(shape, 320 / pitch_um, rng) * 130 + smooth_noise(shape, 90 / pitch_um, rng) * 16
        wave = smooth_noise(shape, 22 / pitch_um, rng) * 1.8
        cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        return cls(x * cosine + y * sine, y * cosine - x * sine + swing + wave, pitch_um)

    def refine(self, factor: int) -> "Fibres":
        """Return the same course on a grid `factor` times as fine."""
        size = (self.across.shape[1] * factor, self.across.shape[0] * factor)
        return Fibres(cv2.resize(self.along, size), cv2.resize(self.across, size), self.pitch_um / factor)

    def sample(self, texture: np.ndarray, um_per_px: float, box: tuple[slice, slice]) -> np.ndarray:
        """Lay a repeating texture along the fibres inside a box of the grid; float32 of the box's shape."""
        # Wrapped here, not by the border mode of remap, which is several times slower.
        period = np.float32(TEXTURE_PX - 1)
        along, across = (course[box] * np.float32(1 / um_per_px) for course in (self.along, self.across))
        along -= np.floor(along * (1 / period)) * period
        across -= np.floor(across * (1 / period)) * period
        return cv2.remap(texture, along, across, cv2.INTER_LINEAR)

    def direction(self, x_um: np.ndarray, y_um: np.ndarray) -> np.ndarray:
        """Return the fibres' angle (radians, x towards y) at points; gradients are taken over 12 µm."""
        step = max(1, round(6 / self.pitch_um))
        height, width = self.across.shape
        row = np.clip((np.asarray(y_um) / self.pitch_um).astype(int), step, height - 1 - step)
        column = np.clip((np.asarray(x_um) / self.pitch_um).astype(int), step, width - 1 - step)
        down = self.across[row + step, column] - self.across[row - step, column]
        right = self.across[row, column + step] - self.across[row, column - step]
        return np.arctan2(-right, down)


def rounded(corners: np.ndarray, cut: float = 0.25, closed: bool = True, rounds: int = 3) -> np.ndarray:
    """Round the corners of a line by cutting them off again and again.

    Chaikin 1974, Computer Graphics and Image Processing 3:346.

    Args:
        corners: (N, 2) points.
        cut: share of an edge that is cut off at each end; 0.25 gives a quadratic B-spline, less keeps corners sharper.
        closed: whether the last point is joined to the first.
        rounds: how often; each doubles the number of points.

    Returns:
        (M, 2) points.
    """
    for _ in range(rounds):
        start, end = (corners, np.roll(corners, -1, axis=0)) if closed else (corners[:-1], corners[1:])
        corners = np.stack([(1 - cut) * start + cut * end, cut * start + (1 - cut) * end], axis=1).reshape(-1, 2)
    return corners
