"""The pictures that a method is given: views on the device, normalised."""

import torch

from histossl.ssl.batches import Batch
from histossl.ssl.settings import PretrainSettings
from histossl.ssl.view_parameters import ViewParameters
from histossl.ssl.views_torch import make_views

PATCHES_AT_ONCE = 64
"""Views are made of so many patches at a time, so that the memory for it does not grow with the batch."""


class CropMaker:
    """Makes a method's input of a batch, by either route.

    If the batch brings views that were made on the CPU, these are normalised; if it brings patches and parameters,
    the views are made here.
    """

    def __init__(self, settings: PretrainSettings, device: torch.device) -> None:
        self.device = device
        self.sides = list(dict.fromkeys(view.px for view in settings.augmentation.views))
        self.factor = 1 / (255 * torch.tensor(settings.std, device=device))
        self.shift = -torch.tensor(settings.mean, device=device) / torch.tensor(settings.std, device=device)
        self.buffers: dict[int, torch.Tensor] = {}

    def __call__(self, batch: Batch) -> list[torch.Tensor]:
        """For each side length, in the order of the settings, (V, B, 3, px, px) float32, channels last in memory.

        On the CPU the next call writes over them: fresh memory would cost more than the arithmetic.
        """
        if batch.crops:
            return [self.normalise(crops) for crops in batch.crops]
        patches = batch.patches.to(self.device, non_blocking=True)
        return [self.make(patches, table, px) for table, px in zip(batch.parameters, self.sides, strict=True)]

    def normalise(self, crops: torch.Tensor) -> torch.Tensor:
        """Normalise uint8 views (V, B, px, px, 3)."""
        px = crops.shape[-2]
        out = self.room(crops.shape)
        # Rows of a picture: an affine map over three values at a time would crawl.
        shift, factor = self.shift.repeat(px), self.factor.repeat(px)
        rows = out.copy_(crops, non_blocking=True).flatten(3)
        torch.addcmul(shift, rows, factor, out=rows)
        return out.permute(0, 1, 4, 2, 3)

    def make(self, patches: torch.Tensor, table: torch.Tensor, px: int) -> torch.Tensor:
        """Make views of side `px` of `patches` (B, side, side, 3) uint8, with parameters (B, V, C), and normalise."""
        out = self.room((table.shape[1], len(patches), px, px, 3)).permute(0, 1, 4, 2, 3)
        shift, factor = self.shift.view(3, 1, 1), self.factor.view(3, 1, 1)
        for start in range(0, len(patches), PATCHES_AT_ONCE):
            part = slice(start, start + PATCHES_AT_ONCE)
            views = make_views(patches[part], ViewParameters(table[part]), px)
            torch.addcmul(shift, views.transpose(0, 1), factor, out=out[:, part])
        return out

    def room(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Memory (V, B, px, px, 3) for the views of one side length; on CUDA torch itself keeps and reuses it."""
        if self.device.type == "cuda":
            return torch.empty(shape, device=self.device)
        px = shape[-2]
        if px not in self.buffers or self.buffers[px].shape != shape:
            self.buffers[px] = torch.empty(shape, device=self.device)
        return self.buffers[px]
