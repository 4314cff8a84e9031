"""Patches to the size that an encoder takes: resized as Pillow does it, to the last bit, and cut from the middle.

Published encoders state their preprocessing as torchvision's `Resize` and `CenterCrop` on a Pillow image, which
resizes in whole numbers: first along rows, then along columns, with weights of 22 bits. Other bilinear and bicubic
filters with antialiasing (torch's for bytes, for floats) differ from it by one level in a pixel of several hundred to a
pixel of five, which moves features by 2e-4 of their length and more. On the CPU Pillow itself does it; on a GPU the
same sums are done for a batch at once.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import torch
from PIL import Image

from histossl.encoders.encoder_file import EncoderCard

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
SUPPORT = {"bilinear": 1.0, "bicubic": 2.0}
"""Half of the filters' widths, in pixels of the smaller picture."""
WEIGHT_BITS = 22
"""Of Pillow's weights, which are whole numbers of 2^-22."""
LOW_BITS = 11
"""float32 multiplies and adds whole numbers exactly up to 2^24: weights are applied in two halves."""


@dataclass(frozen=True)
class Geometry:
    """How a patch becomes the square that a network takes.

    Attributes:
        resize_px: length that the shorter side is brought to.
        input_px: side of the square that is then cut from the middle.
        interpolation: `bilinear` or `bicubic`, with antialiasing.
    """

    resize_px: int
    input_px: int
    interpolation: str = "bilinear"

    @classmethod
    def of_encoder(cls, card: EncoderCard) -> Self:
        """The encoder's own."""
        return cls(card.resize_px or card.input_px, card.input_px, card.interpolation)

    def apply(self, patch: np.ndarray) -> np.ndarray:
        """One patch (H, W, 3) uint8 to (input_px, input_px, 3), with Pillow."""
        height, width = self._resized(*patch.shape[:2])
        if (height, width) != patch.shape[:2]:
            patch = np.asarray(Image.fromarray(patch).resize((width, height), FILTERS[self.interpolation]))
        return patch[self._middle(height), self._middle(width)]

    def apply_on_device(self, patches: torch.Tensor) -> torch.Tensor:
        """Patches (B, 3, H, W) uint8 to (B, 3, input_px, input_px), on their device, with the same result."""
        height, width = self._resized(*patches.shape[2:])
        if width != patches.shape[3]:
            patches = _resample(patches, width, self.interpolation)
        if height != patches.shape[2]:
            patches = _resample(patches.transpose(2, 3), height, self.interpolation).transpose(2, 3)
        return patches[:, :, self._middle(height), self._middle(width)]

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """As torchvision rounds: the longer side down. A crop that is larger than that enlarges it."""
        shorter = max(self.resize_px, self.input_px)
        if height <= width:
            return shorter, int(shorter * width / height)
        return int(shorter * height / width), shorter

    def _middle(self, length: int) -> slice:
        start = round((length - self.input_px) / 2)
        return slice(start, start + self.input_px)


def _resample(patches: torch.Tensor, width: int, interpolation: str) -> torch.Tensor:
    """Resize (B, 3, H, W) uint8 along its last axis."""
    weights = pillow_weights(patches.shape[3], width, interpolation)
    halves = (weights >> LOW_BITS, weights & ((1 << LOW_BITS) - 1))
    pixels = patches.to(torch.float32)
    high, low = (
        (pixels @ torch.from_numpy(half.T.astype(np.float32)).to(patches.device)).to(torch.int32) for half in halves
    )
    rounded = ((high << LOW_BITS) + low + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS
    return rounded.clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=64)
def pillow_weights(source_px: int, target_px: int, interpolation: str) -> np.ndarray:
    """What each of `source_px` pixels adds to each of `target_px`: (target_px, source_px) int64, in units of 2^-22.

    Pillow's formula (libImaging/Resample.c): the filter is widened when shrinking, weights of a pixel are brought to
    the sum one in double precision, then rounded.
    """
    scale = source_px / target_px
    width = max(scale, 1.0)
    support = SUPPORT[interpolation] * width
    weights = np.zeros((target_px, source_px), np.int64)
    for target in range(target_px):
        center = (target + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        last = min(int(center + support + 0.5), source_px)
        values = [_filter((source - center + 0.5) / width, interpolation) for source in range(first, last)]
        total = sum(values)
        for source, value in zip(range(first, last), values, strict=True):
            share = value / total * (1 << WEIGHT_BITS)
            weights[target, source] = math.trunc(share + math.copysign(0.5, share))
    return weights


def _filter(distance: float, interpolation: str) -> float:
    """The filter's value at a distance in pixels; the bicubic one is Keys' with a = -0.5."""
    distance = abs(distance)
    if distance >= SUPPORT[interpolation]:
        return 0.0
    if interpolation == "bilinear":
        return 1.0 - distance
    if distance < 1.0:
        return ((-0.5 + 2.0) * distance - (-0.5 + 3.0)) * distance * distance + 1
    return (((distance - 5) * distance + 8) * distance - 4) * -0.5
