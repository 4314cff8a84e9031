"""The random parameters of the views that a network is shown of a patch.

Parameters are drawn here and applied elsewhere (`views_opencv`), so that another route, e.g. in batches on an
accelerator, can apply the very same ones. A patch's parameters depend on the seed, the epoch and the patch, never
on the process or worker that makes the views.

All colour work of a view comes down to two maps:
    stain:   density -> density @ stain_matrix + stain_shift, where density = -ln(colour), colour in 0..1
    colour:  colour -> colour_matrix @ colour + colour_mean_weight * (mean luma of the view)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histossl.ssl.settings import AugmentationSettings

CROP_TRIES = 10
LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of R, G, B (ITU-R BT.601)."""

# Luma and two colour axes; turning the plane of the latter turns the hue and leaves grey as it is (YIQ, FCC 1953).
YIQ_FROM_RGB = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
RGB_FROM_YIQ = np.linalg.inv(YIQ_FROM_RGB)

# Optical density of haematoxylin, eosin and DAB in R, G, B: Ruifrok & Johnston 2001, table 1, rows of unit length.
RGB_FROM_HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
RGB_FROM_HED /= np.linalg.norm(RGB_FROM_HED, axis=1, keepdims=True)
HED_FROM_RGB = np.linalg.inv(RGB_FROM_HED)

# Position of each random number in a view's row.
AREA = slice(0, CROP_TRIES)
ASPECT = slice(CROP_TRIES, 2 * CROP_TRIES)
LEFT, TOP, ORIENTATION, JITTER, BRIGHTNESS, CONTRAST, SATURATION, HUE, STAIN = range(2 * CROP_TRIES, 2 * CROP_TRIES + 9)
STAIN_SCALE = slice(STAIN + 1, STAIN + 4)
STAIN_SHIFT = slice(STAIN + 4, STAIN + 7)
GRAYSCALE, BLUR, BLUR_SIGMA, SOLARISE = range(STAIN + 7, STAIN + 11)
NUMBERS = SOLARISE + 1


@dataclass(frozen=True)
class ViewParameters:
    """Parameters of V views of each of B patches; view v is `settings.views` unrolled by `count`."""

    warp: np.ndarray
    """(B, V, 2, 3): source x, y (px indices of the patch) = warp @ (x, y, 1) of the view."""
    stained: np.ndarray
    """(B, V) bool: whether the stain map is more than the identity."""
    stain_matrix: np.ndarray
    """(B, V, 3, 3)."""
    stain_shift: np.ndarray
    """(B, V, 3)."""
    colour_matrix: np.ndarray
    """(B, V, 3, 3)."""
    colour_mean_weight: np.ndarray
    """(B, V)."""
    blur_sigma: np.ndarray
    """(B, V), px; 0 for no blur."""
    solarised: np.ndarray
    """(B, V) bool."""


def draw_views(
    settings: AugmentationSettings, patch_px: int, seed: int, epoch: int, indices: Sequence[int]
) -> ViewParameters:
    """Draw the views' parameters for the patches `indices` (B of them) in `epoch`."""
    view_count = sum(view.count for view in settings.views)
    numbers = np.stack([np.random.default_rng([seed, epoch, index]).random((view_count, NUMBERS)) for index in indices])

    def per_view(name: str) -> np.ndarray:
        return np.array([getattr(view, name) for view in settings.views for _ in range(view.count)])

    left, top, width, height = draw_boxes(numbers, per_view("scale"), settings.aspect)
    stained = numbers[..., STAIN] < settings.stain_probability
    stain_matrix, stain_shift = draw_stain_maps(numbers, stained, settings)
    colour_matrix, colour_mean_weight = draw_colour_maps(numbers, settings)
    low, high = settings.blur_sigma
    blurred = numbers[..., BLUR] < per_view("blur_probability")
    return ViewParameters(
        warp=warp_matrices(
            left * patch_px,
            top * patch_px,
            width * patch_px,
            height * patch_px,
            (numbers[..., ORIENTATION] * 8).astype(int),
            per_view("px"),
        ),
        stained=stained,
        stain_matrix=stain_matrix,
        stain_shift=stain_shift,
        colour_matrix=colour_matrix,
        colour_mean_weight=colour_mean_weight,
        blur_sigma=np.where(blurred, low + numbers[..., BLUR_SIGMA] * (high - low), 0.0),
        solarised=numbers[..., SOLARISE] < per_view("solarise_probability"),
    )


def draw_boxes(
    numbers: np.ndarray, scale: np.ndarray, aspect: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Left, top, width and height of the crops, each (B, V), as shares of the patch's side.

    As torchvision's RandomResizedCrop does it: area and logarithm of the aspect ratio are uniform, a box that
    doesn't fit is drawn again up to ten times, and after that the whole patch is taken.
    """
    low, high = scale[:, :1], scale[:, 1:]
    area = low + numbers[..., AREA] * (high - low)
    log_low, log_high = np.log(aspect)
    ratio = np.exp(log_low + numbers[..., ASPECT] * (log_high - log_low))
    widths, heights = np.sqrt(area * ratio), np.sqrt(area / ratio)
    fits = (widths <= 1) & (heights <= 1)
    first = fits.argmax(-1)[..., None]
    any_fits = fits.any(-1)
    width = np.where(any_fits, np.take_along_axis(widths, first, -1)[..., 0], 1.0)
    height = np.where(any_fits, np.take_along_axis(heights, first, -1)[..., 0], 1.0)
    return numbers[..., LEFT] * (1 - width), numbers[..., TOP] * (1 - height), width, height


def warp_matrices(
    left: np.ndarray, top: np.ndarray, width: np.ndarray, height: np.ndarray, orientation: np.ndarray, px: np.ndarray
) -> np.ndarray:
    """Matrices (..., 2, 3) from a view's pixel indices to the patch's, for a box in px and one of 8 orientations.

    Tissue has no up: bit 0 of `orientation` mirrors left and right, bit 1 top and bottom, bit 2 swaps the axes.
    """
    matrix = np.zeros((*left.shape, 2, 3))
    swap = (orientation & 4) > 0
    for axis, (start, length, bit) in enumerate(((left, width, 1), (top, height, 2))):
        mirrored = (orientation & bit) > 0
        step = np.where(mirrored, -length, length) / px
        matrix[..., axis, axis] = np.where(swap, 0.0, step)
        matrix[..., axis, 1 - axis] = np.where(swap, step, 0.0)
        # Pixel i covers i..i+1, so that its centre is at i + 0.5 in the view and in the patch.
        matrix[..., axis, 2] = np.where(mirrored, start + length, start) + 0.5 * step - 0.5
    return matrix


def draw_stain_maps(
    numbers: np.ndarray, stained: np.ndarray, settings: AugmentationSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (B, V, 3, 3) and shift (B, V, 3) of optical densities: each stain's amount is scaled and shifted.

    After Tellez et al. 2019 (Medical Image Analysis 58, 101544), who call it HED jitter.
    """
    scale = 1 + settings.stain_scale * (2 * numbers[..., STAIN_SCALE] - 1)
    shift = settings.stain_shift * (2 * numbers[..., STAIN_SHIFT] - 1)
    scale = np.where(stained[..., None], scale, 1.0)
    shift = np.where(stained[..., None], shift, 0.0)
    return (HED_FROM_RGB * scale[..., None, :]) @ RGB_FROM_HED, shift @ RGB_FROM_HED


def draw_colour_maps(numbers: np.ndarray, settings: AugmentationSettings) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (B, V, 3, 3) and weight of the mean luma (B, V): brightness, contrast, saturation, hue, greyscale.

    Each is linear in the colours once the view's mean luma is known, so that one product does all of them, in this
    order and clipped once, where torchvision's ColorJitter clips after each and shuffles the order.
    """
    jittered = numbers[..., JITTER] < settings.jitter_probability

    def factor(column: int, spread: float) -> np.ndarray:
        return np.where(jittered, 1 + spread * (2 * numbers[..., column] - 1), 1.0)

    brightness = factor(BRIGHTNESS, settings.brightness)
    contrast = factor(CONTRAST, settings.contrast)
    saturation = factor(SATURATION, settings.saturation)
    saturation = np.where(numbers[..., GRAYSCALE] < settings.grayscale_probability, 0.0, saturation)[..., None, None]
    turn = np.where(jittered, settings.hue * (2 * numbers[..., HUE] - 1), 0.0) * 2 * np.pi

    rotation = np.zeros((*turn.shape, 3, 3))
    rotation[..., 0, 0] = 1.0
    rotation[..., 1, 1] = rotation[..., 2, 2] = np.cos(turn)
    rotation[..., 1, 2], rotation[..., 2, 1] = -np.sin(turn), np.sin(turn)
    saturate = saturation * np.eye(3) + (1 - saturation) * np.outer(np.ones(3), LUMA)
    matrix = (brightness * contrast)[..., None, None] * (saturate @ RGB_FROM_YIQ @ rotation @ YIQ_FROM_RGB)
    return matrix, (1 - contrast) * brightness
