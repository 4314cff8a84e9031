"""Views made patch by patch on the CPU: quicker there than in batches, because a view stays in the cache."""

import cv2
import numpy as np
import torch
from torch.nn import functional

from histossl.ssl.view_parameters import ViewParameters
from histossl.ssl.views import LUMA

# A value of 0 has no logarithm; half a grey level stands for it.
DENSITY = -np.log(np.maximum(np.arange(256, dtype=np.float32), 0.5) / 255)
MIRROR = (None, 1, 0, -1)
"""OpenCV's name for what bits 0 and 1 of an orientation do."""


def make_views(patch: np.ndarray, parameters: ViewParameters[np.ndarray], sides: list[int]) -> list[np.ndarray]:
    """The views of `patch` (side, side, 3) uint8, RGB, each (px, px, 3) uint8.

    Args:
        patch: the patch.
        parameters: of its views, (V, ...).
        sides: px of each view.
    """
    # With a fourth channel torch resizes bytes twice as fast.
    padded = cv2.cvtColor(patch, cv2.COLOR_RGB2RGBA)
    return [change_colours(crop(padded, parameters.at(i), px), parameters.at(i)) for i, px in enumerate(sides)]


def crop(patch: np.ndarray, parameters: ViewParameters[np.ndarray], px: int) -> np.ndarray:
    """Cut one view's box out of `patch` (side, side, 4), bring it to (px, px, 3) and turn it.

    Torch resizes bytes exactly as Pillow does: bicubic, over more pixels where a box shrinks. OpenCV has either no
    antialiasing or INTER_AREA, which blurs and takes three times as long for such boxes.
    """
    left, top, width, height = parameters.box.astype(int).tolist()
    orientation = int(parameters.orientation)
    box = np.ascontiguousarray(patch[top : top + height, left : left + width])
    planes = torch.from_numpy(box)[None].permute(0, 3, 1, 2)  # in this order torch sees and keeps channels last
    resized = functional.interpolate(planes, (px, px), mode="bicubic", antialias=True).permute(0, 2, 3, 1)[0].numpy()
    if orientation & 3:
        resized = cv2.flip(resized, MIRROR[orientation & 3])
    if orientation & 4:
        resized = cv2.transpose(resized)
    return cv2.cvtColor(resized, cv2.COLOR_RGBA2RGB)


def change_colours(picture: np.ndarray, parameters: ViewParameters[np.ndarray]) -> np.ndarray:
    """Stain, colour, blur and solarise a crop (px, px, 3)."""
    if parameters.stained:
        density = cv2.transform(cv2.LUT(picture, DENSITY), -affine(parameters.stain_matrix.T, parameters.stain_shift))
        picture = cv2.convertScaleAbs(cv2.exp(np.minimum(density, 0.0, out=density), density), alpha=255)
    mean_luma = LUMA @ cv2.mean(picture)[:3] * parameters.colour_mean_weight
    picture = cv2.transform(picture, affine(parameters.colour_matrix, mean_luma))
    taps = parameters.blur_taps
    reach = np.count_nonzero(taps)
    if reach > 1:
        kernel = np.concatenate([taps[reach - 1 : 0 : -1], taps[:reach]])
        picture = cv2.sepFilter2D(picture, -1, kernel, kernel)
    return cv2.min(picture, cv2.bitwise_not(picture)) if parameters.solarised else picture


def affine(matrix: np.ndarray, shift: np.ndarray | float) -> np.ndarray:
    """[matrix | shift], (3, 4), as OpenCV takes it."""
    both = np.empty((3, 4), np.float32)
    both[:, :3], both[:, 3] = matrix, shift
    return both
