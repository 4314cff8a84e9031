"""Patches in, feature vectors out."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from histossl.encoders.encoder_file import EncoderCard
from histossl.encoders.scale import fits_scale, name_scales
from histossl.errors import UserError
from histossl.features.resize import resize


class Embedder:
    """A frozen encoder on a device, with the preprocessing it was trained with."""

    def __init__(self, backbone: nn.Module, card: EncoderCard, device: torch.device) -> None:
        self.card, self.device = card, device
        self.backbone = backbone.eval().to(device)
        mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (card.mean, card.std))
        self.scale, self.shift = 1 / (255 * std), -mean / std

    def check_spacing(self, spacing_um: float, source: str) -> None:
        """Refuse patches of another scale than the encoder's.

        Raises:
            UserError: µm/px differ by more than `SPACING_TOLERANCE`.
        """
        if not fits_scale(spacing_um, self.card.spacing_um):
            raise UserError(
                f"{source} has {spacing_um:g} µm/px but the encoder was trained at "
                f"{name_scales(self.card.spacing_um)} µm/px; "
                "use a tiling or data set of that scale"
            )

    @torch.inference_mode()
    def embed(self, patches: np.ndarray) -> np.ndarray:
        """Features of (B, H, W, 3) uint8 RGB patches: (B, D) float32.

        Patches of another size than the encoder's input are resized. They travel to the device as uint8 and are
        normalised there.

        Raises:
            UserError: the network gave a value that is not finite.
        """
        images = torch.from_numpy(patches).permute(0, 3, 1, 2).to(self.device, non_blocking=True)
        images = resize(images, self.card.input_px)
        # One pass: (x / 255 - mean) / std.
        features = self.backbone(torch.addcmul(self.shift, images.float(), self.scale))
        if not torch.isfinite(features).all():
            raise UserError("the encoder gave features that are not finite numbers; its weights are damaged")
        return features.float().cpu().numpy()

    def embed_all(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Features of all batches, (N, D) float32; N may be 0."""
        rows = [self.embed(batch) for batch in batches]
        return np.concatenate(rows) if rows else np.zeros((0, self.card.feature_dim), np.float32)
