"""Views made in batches on an accelerator: the pictures of `views_opencv`, to rounding.

All that moves pixels about is linear and separable, so that it is matrix products, which accelerators do best: in
rows @ picture @ columns the matrices of a view hold its box, resampling and mirroring; a blur is two products with a
banded matrix. Which steps a batch needs is decided from its parameters on the host: nothing waits for the device.

Values stay 0..255 and are rounded wherever the other route has bytes: otherwise a stain's log and exp would carry
the fractions apart. On CUDA they are held in half precision, for speed. It holds 0..255 and the blur's weights
(multiples of 1/256) as they are, and the hardware sums products in single precision. What is rounded to half's 11
bits (weights of resampling and colours, sums before they become bytes) is off by some tenths of a grey level: one
byte in ten comes out as its neighbour. TF32, where someone allows it, has as many bits; bfloat16 with its 8 would not
do, hence no autocast here.
"""

import math

import torch

from histossl.ssl.view_parameters import ViewParameters
from histossl.ssl.views import LUMA

CUBIC = -0.5
"""The parameter of the cubic convolution that Pillow and torch resize with (Keys 1981, IEEE TASSP 29, 1153)."""
REACH = 2
"""A cubic convolution takes in this many pixels to each side, more by the factor by which a box shrinks."""


def make_views(patches: torch.Tensor, parameters: ViewParameters[torch.Tensor], px: int) -> torch.Tensor:
    """The views of a batch of patches that have one side length.

    Args:
        patches: (B, side, side, 3) uint8, RGB, on the device.
        parameters: of these views, (B, V, ...), on the host; pinned memory lets the host run ahead.
        px: side of the views.

    Returns:
        (B, V, 3, px, px), whole values of 0..255.
    """
    stained, solarised = bool(parameters.stained.any()), bool(parameters.solarised.any())
    blurred = bool((parameters.blur_taps[..., 0] < 1).any())
    parameters = ViewParameters(parameters.table.to(patches.device, non_blocking=True))
    dtype = working_dtype(patches.device)
    with torch.no_grad(), torch.autocast(patches.device.type, enabled=False):
        # x goes before y up to the end: half of the views have their axes swapped anyway.
        views = crop(patches, parameters, px, dtype).flatten(3)
        if stained:
            views = change_stain(views, parameters.stain_matrix, parameters.stain_shift)
        views = change_colour(views, parameters.colour_matrix, parameters.colour_mean_weight).unflatten(3, (px, px))
        if blurred:
            views = blur(views, parameters.blur_taps)
        if solarised:
            # Whichever of a value and its inverse is darker; of other views the inverse is out of reach.
            inverted_from = 255 * (2 - per_view(parameters.solarised, dtype))
            views = torch.minimum(views, inverted_from - views)
        return torch.where(per_view(parameters.orientation, dtype) >= 4, views, views.mT)


def working_dtype(device: torch.device) -> torch.dtype:
    """What pictures are held in; see above."""
    return torch.float16 if device.type == "cuda" else torch.float32


def crop(patches: torch.Tensor, parameters: ViewParameters[torch.Tensor], px: int, dtype: torch.dtype) -> torch.Tensor:
    """Cut out, resize and mirror: (B, V, 3, px, px), x before y."""
    count, side = patches.shape[:2]
    views = parameters.table.shape[1]
    left, top, width, height = parameters.box.unbind(-1)
    orientation = parameters.orientation.long()
    columns = resampling(left, width, (orientation & 1) > 0, px, side, dtype)
    rows = resampling(top, height, (orientation & 2) > 0, px, side, dtype)
    planes = patches.permute(0, 3, 1, 2).to(dtype, memory_format=torch.contiguous_format)
    # All views of a patch in one product; along x first, as the other route does.
    narrow = to_bytes(planes.view(count, 3 * side, side) @ columns.view(count, views * px, side).mT)
    narrow = narrow.view(count, 3, side, views, px).permute(0, 3, 1, 4, 2).reshape(count, views, 3 * px, side)
    return to_bytes(narrow @ rows.mT).view(count, views, 3, px, px)


def resampling(
    start: torch.Tensor, length: torch.Tensor, mirrored: torch.Tensor, px: int, side: int, dtype: torch.dtype
) -> torch.Tensor:
    """Matrices (B, V, px, side) that bring the pixels start .. start + length of `side` to `px`.

    Bicubic with antialiasing, as Pillow has it: where a box shrinks, the convolution widens by that factor. Only
    few pixels have a weight, so that these are calculated and written into zeros.

    Args:
        start: (B, V), px.
        length: (B, V), px.
        mirrored: (B, V) bool: whether to run backwards.
        px: pixels wanted.
        side: pixels there are.
        dtype: of the matrices.
    """
    device = start.device
    start, length = start[..., None], length[..., None]
    scale = length / px
    stretch = scale.clamp(min=1.0)
    wanted = torch.arange(px, device=device)
    wanted = torch.where(mirrored[..., None], px - 1 - wanted, wanted)
    centre = start + (wanted + 0.5) * scale
    count = min(2 * math.ceil(REACH * max(1.0, side / px)) + 1, side)
    first = (centre - REACH * stretch + 0.5).floor().clamp(0, side - count)
    taken = first[..., None] + torch.arange(count, device=device)
    weights = cubic((taken + 0.5 - centre[..., None]) / stretch[..., None])
    weights *= (taken >= start[..., None]) & (taken < (start + length)[..., None])
    weights /= weights.sum(-1, keepdim=True)
    matrices = torch.zeros((*centre.shape, side), dtype=dtype, device=device)
    return matrices.scatter_(-1, taken.long(), weights.to(dtype))


def cubic(distance: torch.Tensor) -> torch.Tensor:
    """Weights of Keys' cubic convolution at a `distance` in px."""
    x = distance.abs()
    near = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    far = CUBIC * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < REACH, far, 0.0))


def change_stain(views: torch.Tensor, matrix: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Map the optical densities of (B, V, 3, pixels); logarithms need single precision."""
    density = views.float().clamp_(min=0.5).div_(255).log_().neg_()  # half a grey level stands for 0
    density = (matrix.mT @ density).add_(shift[..., None]).clamp_(min=0)
    return density.neg_().exp_().mul_(255).round_().to(views.dtype)


def change_colour(views: torch.Tensor, matrix: torch.Tensor, mean_weight: torch.Tensor) -> torch.Tensor:
    """Map the colours of (B, V, 3, pixels)."""
    red, green, blue = views.mean(-1, dtype=torch.float32).unbind(-1)
    of_red, of_green, of_blue = LUMA.tolist()
    mean_luma = of_red * red + of_green * green + of_blue * blue
    offset = (mean_luma * mean_weight).to(views.dtype).view(-1, 1, 1)
    flat = torch.baddbmm(offset, matrix.to(views.dtype).flatten(0, 1), views.flatten(0, 1))
    return to_bytes(flat).view_as(views)


def blur(views: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Blur (B, V, 3, px, px) with Gaussians of weights `taps` (B, V, R + 1); the border mirrors, its pixel once."""
    px, beyond = views.shape[-1], taps.shape[-1]
    i = torch.arange(px, device=views.device)[:, None]
    j = i.T
    # Pixel j lies at j, mirrored in the first pixel at -j, and in the last one at 2 (px - 1) - j.
    distances = torch.stack(
        [
            (i - j).abs(),
            torch.where(j > 0, i + j, beyond),
            torch.where(j < px - 1, 2 * (px - 1) - i - j, beyond),
        ]
    ).clamp(max=beyond)
    taps = torch.nn.functional.pad(taps, (0, 1)).to(views.dtype)
    matrices = taps[..., distances].sum(-3).mT
    # One product along each axis, all channels at once; the second finds the axes swapped, and they are swapped back.
    along_y = (views.flatten(2, 3) @ matrices).view_as(views)
    along_x = (along_y.mT.reshape(views.shape).flatten(2, 3) @ matrices).view_as(views)
    return along_x.round_().mT


def to_bytes(values: torch.Tensor) -> torch.Tensor:
    """Round to whole 0..255, in place."""
    return values.round_().clamp_(0, 255)


def per_view(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(B, V) to (B, V, 1, 1, 1)."""
    return values.to(dtype)[..., None, None, None]
