"""The random parameters of the views that a network is shown of a patch.

Parameters are drawn here and applied elsewhere: patch by patch on the CPU (`views_opencv`), or in batches on an
accelerator (`views_torch`); both give the same pictures to rounding. A patch's parameters depend on the seed, the
epoch and the patch, never on the process or worker that makes the views.

A view is made in this order, each step rounded to 8 bits:
    crop:     the box, resized to the view's size (bicubic, antialiased), mirrored, its axes swapped
    stain:    density -> density @ stain_matrix + stain_shift, where density = -ln(colour), colour in 0..1
    colour:   colour -> colour_matrix @ colour + colour_mean_weight * (mean luma of the view)
    blur:     a Gaussian
    solarise: values of 128 and more are inverted
"""

from collections.abc import Sequence

import numpy as np

from histossl.ssl.settings import AugmentationSettings
from histossl.ssl.view_parameters import ViewParameters

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


def view_sides(settings: AugmentationSettings) -> list[int]:
    """Side of each view, px: `settings.views` unrolled by `count`."""
    return [view.px for view in settings.views for _ in range(view.count)]


def draw_views(
    settings: AugmentationSettings, patch_px: int, seed: int, epoch: int, indices: Sequence[int]
) -> ViewParameters[np.ndarray]:
    """Draw the parameters (B, V, ...) of the V views of the patches `indices` (B of them) in `epoch`."""
    sides = view_sides(settings)
    shape = len(sides), NUMBERS
    numbers = np.stack([np.random.default_rng([seed, epoch, index]).random(shape) for index in indices])

    def per_view(name: str) -> np.ndarray:
        return np.array([getattr(view, name) for view in settings.views for _ in range(view.count)])

    stained = numbers[..., STAIN] < settings.stain_probability
    stain_matrix, stain_shift = draw_stain_maps(numbers, stained, settings)
    colour_matrix, colour_mean_weight = draw_colour_maps(numbers, settings)
    low, high = settings.blur_sigma
    blurred = numbers[..., BLUR] < per_view("blur_probability")
    sigma = np.where(blurred, low + numbers[..., BLUR_SIGMA] * (high - low), 0.0)
    return ViewParameters.of(
        box=draw_boxes(numbers, per_view("scale"), settings.aspect, patch_px),
        orientation=np.floor(numbers[..., ORIENTATION] * 8),
        stained=stained,
        stain_matrix=stain_matrix,
        stain_shift=stain_shift,
        colour_matrix=colour_matrix,
        colour_mean_weight=colour_mean_weight,
        # A border can be mirrored no further than to the opposite one.
        blur_taps=blur_taps(sigma, min(int(np.ceil(3 * high)), min(sides) - 1)),
        solarised=numbers[..., SOLARISE] < per_view("solarise_probability"),
    )


def draw_boxes(numbers: np.ndarray, scale: np.ndarray, aspect: tuple[float, float], patch_px: int) -> np.ndarray:
    """Left, top, width and height of the crops in px, (B, V, 4).

    As torchvision's RandomResizedCrop does it: area and logarithm of the aspect ratio are uniform, a box that
    doesn't fit is drawn again up to ten times, and after that the largest one in the middle is taken.
    """
    low, high = scale[:, :1], scale[:, 1:]
    area = patch_px**2 * (low + numbers[..., AREA] * (high - low))
    log_low, log_high = np.log(aspect)
    ratio = np.exp(log_low + numbers[..., ASPECT] * (log_high - log_low))
    widths, heights = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
    fits = (np.minimum(widths, heights) >= 1) & (np.maximum(widths, heights) <= patch_px)
    first = fits.argmax(-1)[..., None]
    width, height = (np.take_along_axis(sides, first, -1)[..., 0] for sides in (widths, heights))
    left = np.floor(numbers[..., LEFT] * (patch_px - width + 1))
    top = np.floor(numbers[..., TOP] * (patch_px - height + 1))
    box = np.stack([left, top, width, height], -1)
    return np.where(fits.any(-1)[..., None], box, middle_box(aspect, patch_px))


def middle_box(aspect: tuple[float, float], patch_px: int) -> np.ndarray:
    """Left, top, width and height of the largest box in the middle of a patch that keeps to `aspect`."""
    ratio = np.clip(1.0, *aspect)
    size = np.rint(patch_px * np.minimum(1.0, [ratio, 1 / ratio]))
    return np.concatenate([(patch_px - size) // 2, size])


def blur_taps(sigma: np.ndarray, radius: int) -> np.ndarray:
    """Weights at 0, 1, ... `radius` px of Gaussians with standard deviations `sigma` (px), (..., radius + 1).

    They are whole multiples of 1/256 that sum to exactly 1: so does OpenCV calculate with bytes, a flat area keeps
    its colour, and half precision holds them as they are.
    """
    weights = np.exp(-0.5 * (np.arange(radius + 1) / np.maximum(sigma, 1e-3)[..., None]) ** 2)
    weights /= 2 * weights.sum(-1, keepdims=True) - weights[..., :1]
    taps = np.rint(256 * weights)
    taps[..., 0] = 256 - 2 * taps[..., 1:].sum(-1)
    return taps / 256


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
        low, high = max(0.0, 1 - spread), 1 + spread
        return np.where(jittered, low + (high - low) * numbers[..., column], 1.0)

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
