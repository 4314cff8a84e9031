"""Views made patch by patch with OpenCV, for the CPU."""

import cv2
import numpy as np

from histossl.ssl.views import LUMA, ViewParameters

# A value of 0 has no logarithm; half a grey level stands for it.
DENSITY = -np.log(np.maximum(np.arange(256, dtype=np.float32), 0.5) / 255)
SOLARISED = np.where(np.arange(256) < 128, np.arange(256), 255 - np.arange(256)).astype(np.uint8)


def make_view(patch: np.ndarray, parameters: ViewParameters, patch_position: int, view: int, px: int) -> np.ndarray:
    """Make one view (px, px, 3) uint8 of `patch` (side, side, 3) uint8, RGB.

    Args:
        patch: the patch.
        parameters: of a batch of patches.
        patch_position: which patch of that batch it is.
        view: which of its views is wanted.
        px: side of the view.
    """
    at = (patch_position, view)
    picture = cv2.warpAffine(
        patch,
        parameters.warp[at],
        (px, px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if parameters.stained[at]:
        density_map = np.column_stack((parameters.stain_matrix[at].T, parameters.stain_shift[at]))
        density = cv2.transform(cv2.LUT(picture, DENSITY), -density_map)
        picture = cv2.convertScaleAbs(cv2.exp(np.minimum(density, 0.0, out=density), density), alpha=255)
    mean_luma = LUMA @ cv2.mean(picture)[:3] * parameters.colour_mean_weight[at]
    colour_map = np.column_stack((parameters.colour_matrix[at], np.full(3, mean_luma)))
    picture = cv2.transform(picture, colour_map)
    if parameters.blur_sigma[at] > 0:
        picture = cv2.GaussianBlur(picture, (0, 0), float(parameters.blur_sigma[at]))
    return cv2.LUT(picture, SOLARISED) if parameters.solarised[at] else picture
