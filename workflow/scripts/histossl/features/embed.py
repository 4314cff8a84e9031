"""Patches in, feature vectors out."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn

from histossl.encoders.encoder_file import EncoderCard
from histossl.errors import JobError, UserError
from histossl.features.geometry import Geometry
from histossl.features.readers import BATCH

CPU_BATCH = 32
"""A core has no use for more: the activations leave its cache."""
PROBE = (4, 12)
"""Patches of two trial batches, whose difference is what a patch takes of the GPU's memory."""
SHARE = 0.7
"""Of the memory that is free then, for a batch: other work may come."""
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Embedder:
    """A frozen encoder on a device, with the preprocessing it was trained with.

    Attributes:
        precision: `fp32`, or `bf16` or `fp16` for mixed precision.
        batch: patches that go through the network at once.
        geometry: how patches come to the encoder's size.
    """

    def __init__(
        self,
        backbone: nn.Module,
        card: EncoderCard,
        device: torch.device,
        precision: str = "fp32",
        batch: int | None = None,
    ) -> None:
        """`precision` may be `auto`: `fp16` on a GPU, `fp32` on the CPU. None lets the batch be found."""
        self.card, self.device = card, device
        self.on_gpu = device.type == "cuda"
        self.precision = ("fp16" if self.on_gpu else "fp32") if precision == "auto" else precision
        self.geometry = Geometry.of_encoder(card)
        self.backbone = backbone.eval().to(device)
        if self.on_gpu:
            # Convolutions are quickest so, and patches come so. TensorFloat-32 would not be fp32.
            self.backbone = self.backbone.to(memory_format=torch.channels_last)
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (card.mean, card.std))
        self.scale, self.shift = 1 / (255 * std), -mean / std
        self.copying = torch.cuda.Stream() if self.on_gpu else None
        self.batch = batch or self._find_batch()

    def upload(self, patches: np.ndarray, prepared: bool = False) -> torch.Tensor:
        """Patches (B, H, W, 3) uint8 RGB on the device: (B, 3, input_px, input_px) uint8.

        They are resized and cut there, unless they are `prepared`. `patches` may be overwritten afterwards. The copy
        goes on beside the network's work on earlier patches.
        """
        beside = torch.cuda.stream(self.copying) if self.copying else nullcontext()
        with beside:
            images = torch.from_numpy(patches).to(self.device, copy=True, non_blocking=True).permute(0, 3, 1, 2)
            if not prepared:
                images = self.geometry.apply_on_device(images)
        if self.copying:
            self.copying.synchronize()
            images.record_stream(torch.cuda.current_stream())
        return images

    @torch.inference_mode()
    def launch(self, uploaded: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features (B, D) float32 of uploaded patches, still on the device, where the work may just have begun.

        When the device runs out of memory, the batch is halved, with a line in the log, from then on.

        Raises:
            JobError: not even one patch fits into the device's memory.
        """
        images = torch.cat(list(uploaded))
        while True:
            try:
                return torch.cat([self._forward(part) for part in images.split(self.batch)])
            except torch.OutOfMemoryError as error:
                if self.batch == 1:
                    raise JobError(
                        f"the network {self.card.model!r} doesn't fit into the GPU's memory, not even with one patch; "
                        "use a GPU with more, or end what else runs on it"
                    ) from error
                self.batch = max(1, min(self.batch, len(images)) // 2)
                print(f"out of memory on the GPU: going on with batches of {self.batch} patches", file=sys.stderr)
            torch.cuda.empty_cache()

    def fetch(self, features: torch.Tensor) -> np.ndarray:
        """Features from the device, (B, D) float32.

        Raises:
            UserError: some are not finite numbers.
        """
        values = features.cpu().numpy()
        if not np.isfinite(values).all():
            remedy = "its weights are damaged" if self.precision == "fp32" else "try `features: precision: fp32`"
            raise UserError(f"the encoder gave features that are not finite numbers in {self.precision}; {remedy}")
        return values

    def embed(self, patches: np.ndarray) -> np.ndarray:
        """Features of (B, H, W, 3) uint8 RGB patches: (B, D) float32; see `upload`, `launch` and `fetch`."""
        return self.fetch(self.launch([self.upload(patches)]))

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        # One pass: (x / 255 - mean) / std.
        normalised = torch.addcmul(self.shift, images.float(), self.scale)
        mixed = self.precision != "fp32"
        with torch.autocast(self.device.type, DTYPES.get(self.precision), enabled=mixed):
            return self.backbone(normalised).float()

    def _find_batch(self) -> int:
        if not self.on_gpu:
            return CPU_BATCH
        peaks = []
        for count in PROBE:
            torch.cuda.reset_peak_memory_stats()
            side = self.card.input_px
            try:
                self.batch = count
                self.launch([torch.zeros(count, 3, side, side, dtype=torch.uint8, device=self.device)])
            except JobError:
                return 1
            peaks.append(torch.cuda.max_memory_allocated())
        each = max(1, (peaks[1] - peaks[0]) // (PROBE[1] - PROBE[0]))
        fitting = int(SHARE * torch.cuda.mem_get_info()[0] / each)
        return max(1, min(BATCH, 1 << (fitting.bit_length() - 1)) if fitting else 1)
