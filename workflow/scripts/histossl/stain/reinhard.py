"""Reinhard's transfer of colours.

Reinhard et al. 2001, "Color transfer between images", IEEE Computer Graphics and Applications 21(5), doi
10.1109/38.946629.
"""

from typing import Self

import cv2
import numpy as np
from torchstain.base.normalizers import ReinhardNormalizer

from histossl.stain.normaliser import Normaliser

MIN_DEVIATION = 0.5
"""Of each channel of L*a*b*: where a patch has less, there is nothing in it but noise, which must not be blown up."""

# CIE L*a*b* (1976) of sRGB under D65, with the constants of torchstain: L*a*b* is linear in the roots of XYZ, but for
# the dark, where straight lines take the place of the powers.
LEVELS = np.arange(256) / 255
LINEAR = np.where(LEVELS > 0.04045, ((LEVELS + 0.055) / 1.055) ** 2.4, LEVELS / 12.92).astype(np.float32)
WHITE = np.array([0.95047, 1.0, 1.08883])
RGB_TO_XYZ = (
    np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    / WHITE[:, None]
)
ROOTS_TO_LAB = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
XYZ_TO_RGB, LAB_TO_ROOTS = np.linalg.inv(RGB_TO_XYZ), np.linalg.inv(ROOTS_TO_LAB)
BLACK = np.array([-16.0, 0.0, 0.0])
DARK_XYZ, DARK_ROOT, DARK_RGB = 0.008856, 0.2068966, 0.0031308


class Reinhard(Normaliser):
    """Each channel of L*a*b* is given the mean and the standard deviation that it has in the reference.

    The arithmetic is that of torchstain 1.4.1 (its NumPy normaliser), which takes CIE L*a*b*, as most do in histology,
    where the paper takes Ruderman's lαβ; but it cuts decimals off where this rounds.
    """

    def __init__(self, name: str, means: np.ndarray, deviations: np.ndarray) -> None:
        """Take what was fitted.

        Args:
            name: see `Normaliser`.
            means: (3,) of L*, a*, b* in the reference.
            deviations: (3,) of the same.
        """
        self.name, self.means, self.deviations = name, means, deviations

    @classmethod
    def fit(cls, name: str, picture: np.ndarray) -> Self | None:
        """Fit to a (H, W, 3) uint8 RGB picture with torchstain; None where it is of one colour."""
        library = ReinhardNormalizer(backend="numpy")
        library.fit(picture)
        right = (library.target_stds >= MIN_DEVIATION).all()
        return cls(name, library.target_means, library.target_stds) if right else None

    def normalise(self, patch: np.ndarray) -> None:
        """See `Normaliser.normalise`."""
        lab = rgb_to_lab(patch)
        means, deviations = (values.ravel() for values in cv2.meanStdDev(lab))
        if (deviations >= MIN_DEVIATION).all():
            scale = self.deviations / deviations
            patch[:] = lab_to_rgb(lab, scale, self.means - scale * means)


def rgb_to_lab(picture: np.ndarray) -> np.ndarray:
    """L*a*b* of a (H, W, 3) uint8 RGB picture, float32."""
    xyz = cv2.transform(cv2.LUT(picture, LINEAR), RGB_TO_XYZ)
    roots = cv2.pow(np.maximum(xyz, DARK_XYZ), 1 / 3) + 7.787 * np.minimum(xyz - DARK_XYZ, 0)
    return cv2.transform(roots, np.column_stack([ROOTS_TO_LAB, BLACK]))


def lab_to_rgb(lab: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB, rounded, of `scale * lab + shift`; what sRGB does not have is cut off."""
    roots = cv2.transform(lab, np.column_stack([LAB_TO_ROOTS * scale, LAB_TO_ROOTS @ (shift - BLACK)]))
    above = np.maximum(roots, DARK_ROOT)
    xyz = above * above * above + np.minimum(roots - DARK_ROOT, 0) / 7.787
    rgb = np.clip(cv2.transform(xyz, XYZ_TO_RGB), 0, 1)
    gamma = 1.055 * cv2.pow(np.maximum(rgb, DARK_RGB), 1 / 2.4) - 0.055 + 12.92 * np.minimum(rgb - DARK_RGB, 0)
    return cv2.convertScaleAbs(gamma, alpha=255)
