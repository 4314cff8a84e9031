"""Patches to an encoder's input size."""

import torch
from torch.nn import functional


def resize(images: torch.Tensor, side_px: int) -> torch.Tensor:
    """Bring (B, 3, H, W) images, uint8 or float, to (B, 3, side_px, side_px) of the same kind.

    Bilinear with antialiasing, as torchvision resizes; without loss where the size is right already.
    """
    if images.shape[2:] == (side_px, side_px):
        return images
    if images.is_cuda and images.dtype == torch.uint8:  # no kernel for bytes there
        return resize(images.float(), side_px).round().clamp(0, 255).to(torch.uint8)
    return functional.interpolate(images, (side_px, side_px), mode="bilinear", antialias=True)
