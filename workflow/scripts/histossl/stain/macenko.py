"""Macenko's normalisation of stains.

Macenko et al. 2009, "A method for normalizing histology slides for quantitative analysis", ISBI, doi
10.1109/ISBI.2009.5193250.
"""

from typing import Self

import cv2
import numpy as np
from torchstain.base.normalizers import MacenkoNormalizer

from histossl.stain.normaliser import Normaliser

# As in torchstain, and in most code since Macenko's own.
LIGHT = 240
"""Grey level of light that met no tissue."""
MIN_DENSITY = 0.15
"""Natural optical density of each channel, from which on a pixel counts as stained (the paper's beta)."""
PERCENTILE = 1
"""Of the angles: the two stains are at this percentile and at 100 minus it (the paper's alpha)."""
MAX_PERCENTILE = 99
"""Of a stain's amounts: their robust maximum."""

MIN_ANGLE = np.deg2rad(1)
"""Between two stains that can be told apart."""
SAME = 0.01
"""Of a stain's vector, as torchstain and as we estimate it."""
DENSITY = -np.log((np.arange(256) + 1) / LIGHT)
"""Optical density of each grey level; 1 is added because black has none."""
STAINED = int(np.flatnonzero(DENSITY >= MIN_DENSITY).max())
"""The highest grey level of a stained pixel."""


class Macenko(Normaliser):
    """Two stains are estimated in each patch and replaced by those of the reference.

    The arithmetic is that of torchstain 1.4.1 (its NumPy normaliser), but for two things. torchstain takes angles about
    an axis that may lie anywhere, and is wrong where pixels are on both sides of ±180°. And it cuts decimals off and
    leaves the 1 in that it added before the logarithm, where this rounds and takes it off again: at most one grey
    level.
    """

    def __init__(self, name: str, stains: np.ndarray, maxima: np.ndarray) -> None:
        """Take what was fitted.

        Args:
            name: see `Normaliser`.
            stains: the reference's, as of `estimate_stains`.
            maxima: (2,) robust maxima of their amounts.
        """
        self.name, self.stains, self.maxima = name, stains, maxima

    @classmethod
    def fit(cls, name: str, picture: np.ndarray) -> Self | None:
        """Fit to a (H, W, 3) uint8 RGB picture with torchstain; None where its stains can't be told."""
        stains = estimate_stains(picture, cv2.LUT(picture, DENSITY.astype(np.float32)))
        if stains is None:
            return None
        library = MacenkoNormalizer(backend="numpy")
        library.fit(picture, LIGHT, PERCENTILE, MIN_DENSITY)
        # Else torchstain met the trap above, or no stain.
        right = np.allclose(library.HERef, stains, atol=SAME) and (library.maxCRef > 0).all()
        return cls(name, library.HERef, library.maxCRef) if right else None

    def normalise(self, patch: np.ndarray) -> None:
        """See `Normaliser.normalise`."""
        density = cv2.LUT(patch, DENSITY.astype(np.float32))
        stains = estimate_stains(patch, density)
        if stains is None:
            return
        unmix = np.linalg.pinv(stains)
        maxima = np.percentile(_multiply(unmix, density), MAX_PERCENTILE, axis=1)
        if (maxima > 0).all():
            # Unmixing, scaling and mixing are one matrix.
            density = cv2.transform(density, self.stains @ np.diag(self.maxima / maxima) @ unmix)
            cv2.convertScaleAbs(cv2.exp(-np.clip(density, DENSITY[255], DENSITY[0])), patch, LIGHT, -1)


def estimate_stains(patch: np.ndarray, density: np.ndarray) -> np.ndarray | None:
    """Estimate the two stains of a (H, W, 3) patch whose pixels have these optical densities (float32).

    Returns:
        (3, 2): densities of haematoxylin and of eosin in red, green and blue, each of length 1. None where they can't
        be told apart.
    """
    stained = np.flatnonzero(cv2.inRange(patch, (0, 0, 0), (STAINED,) * 3))
    if not len(stained):
        return None
    density = density.reshape(-1, 1, 3).take(stained, axis=0)
    mean = np.array(cv2.mean(density)[:3])
    covariance = cv2.mulTransposed(density.reshape(-1, 3), True, dtype=cv2.CV_64F) / len(density) - np.outer(mean, mean)
    normal = np.linalg.eigh(covariance)[1][:, 0]
    # In the plane of the two largest variances, angles are taken about the middle of the pixels.
    middle = mean - normal * (normal @ mean)
    axis = middle / np.linalg.norm(middle)
    across = np.cross(normal, axis)
    along, aside = _multiply(np.stack([axis, across]), density)
    slopes = aside / np.maximum(along, np.finfo(np.float32).tiny)  # what lies behind comes last, too
    angles = np.arctan(np.percentile(slopes, [PERCENTILE, 100 - PERCENTILE]))
    stains = np.outer(axis, np.cos(angles)) + np.outer(across, np.sin(angles))
    # No dye makes light brighter.
    if angles[1] - angles[0] < MIN_ANGLE or not (stains > 0).all():
        return None
    return stains[:, np.argsort(-stains[0])]  # haematoxylin takes more of the red light


def _multiply(matrix: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """A (2, 3) matrix times N colours (H, W, 3): (2, N). OpenCV is three times as fast with a third row."""
    return cv2.transform(colours, np.vstack([matrix, np.zeros(3)])).reshape(-1, 3).T[:2]
