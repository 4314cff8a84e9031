"""Attention laid over patches: maps in colours, overlays, masks. All are (px, px, 3) uint8 RGB."""

import matplotlib as mpl
import numpy as np

from histossl.figures.style import HEAT

OPACITY = 0.6
"""Of the map over a grey patch."""
FADED, HALF_FADED = 0.85, 0.6
"""How far to white what a mask leaves out goes; the second where the patch has to be seen too."""
LINE = (0, 0, 0)


def enlarge(values: np.ndarray, px: int) -> np.ndarray:
    """A map (side, side) at a patch's resolution, (px, px): each pixel has the value of its token."""
    rows, columns = (np.arange(px) * side // px for side in values.shape)
    return values[np.ix_(rows, columns)]


def colour_map(values: np.ndarray, px: int) -> np.ndarray:
    """A map from 0 to its own maximum in colours, at a patch's resolution."""
    shares = values / max(float(values.max()), np.finfo(np.float32).tiny)
    return mpl.colormaps[HEAT](enlarge(shares, px), bytes=True)[..., :3]


def overlay(patch: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The map in colours over the patch in grey, so that no colour is of the stain."""
    grey = patch.mean(axis=-1, keepdims=True)
    return (OPACITY * colour_map(values, len(patch)) + (1 - OPACITY) * grey).round().astype(np.uint8)


def masked(patch: np.ndarray, mask: np.ndarray, faded: float = FADED) -> np.ndarray:
    """The patch with what lies outside the tokens of `mask` (side, side) faded to white."""
    inside = enlarge(mask, len(patch))[..., None]
    return np.where(inside, patch, faded * 255 + (1 - faded) * patch).round().astype(np.uint8)


def outlined(patch: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The patch with a dark line around the tokens of `mask` (side, side), and half faded outside."""
    inside = enlarge(mask, len(patch))
    around = np.pad(inside, 1, mode="edge")
    sides = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    picture = masked(patch, mask, HALF_FADED)
    picture[~inside & np.logical_or.reduce(sides)] = LINE
    return picture
