"""Patches in, feature vectors out."""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Launched:
    """Features that the device is working on."""

    features: torch.Tensor
    """(B, D) float32 on the host; filled when the work is done."""
    done: torch.cuda.Event | None
    """When that is; None where it is done already."""


def find_device() -> torch.device:
    """The GPU that the job was granted, else the CPU.

    Raises:
        JobError: a GPU was granted, but PyTorch cannot use it.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    if granted := os.environ.get("CUDA_VISIBLE_DEVICES"):
        raise JobError(
            f"the GPU {granted} was granted, but this PyTorch ({torch.__version__}) cannot use it; mend the driver or "
            "the installation, or run without GPUs (`--resources gpu=0`)"
        )
    return torch.device("cpu")


def resolve_precision(precision: str, device: torch.device) -> str:
    """`auto` is mixed precision, `fp16`, on a GPU and `fp32` on the CPU."""
    return {"cuda": "fp16"}.get(device.type, "fp32") if precision == "auto" else precision


class Embedder:
    """A frozen encoder on a device, with the preprocessing it was trained with.

    Attributes:
        precision: `fp32`, or `bf16` or `fp16` for mixed precision.
        batch: patches that go through the network at once.
        geometry: how patches come to the encoder's size.
        resizes: whether that is quickest on the device; else the readers do it, which are many.
    """

    def __init__(
        self,
        backbone: nn.Module,
        card: EncoderCard,
        device: torch.device,
        precision: str = "fp32",
        batch: int | None = None,
    ) -> None:
        """Without `batch`, a number that fits is found.

        Raises:
            JobError: the network doesn't fit into the device's memory.
        """
        self.card, self.device, self.precision = card, device, precision
        self.on_gpu = self.resizes = device.type == "cuda"
        self.geometry = Geometry.of_encoder(card)
        try:
            self.backbone = backbone.eval().to(device)
        except torch.OutOfMemoryError as error:
            raise self._too_large() from error
        if self.on_gpu:
            # Convolutions are quickest so. TensorFloat-32 would not be fp32.
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
        try:
            return self._upload(patches, prepared)
        except torch.OutOfMemoryError:
            torch.cuda.synchronize()  # the work on earlier patches gives its memory back
            torch.cuda.empty_cache()
        try:
            return self._upload(patches, prepared)
        except torch.OutOfMemoryError as error:
            raise self._too_large() from error

    @torch.inference_mode()
    def launch(self, uploaded: Sequence[torch.Tensor]) -> Launched:
        """Begin to work on uploaded patches; on a GPU this returns before it is done.

        When the device runs out of memory, the batch is halved, with a line in the log, from then on.

        Raises:
            JobError: not even one patch fits into the device's memory.
        """
        count = sum(map(len, uploaded))
        while True:
            try:
                images = torch.cat(list(uploaded))
                features = torch.cat([self._forward(part) for part in images.split(self.batch)])
                break
            except torch.OutOfMemoryError as error:
                if self.batch == 1:
                    raise self._too_large() from error
                self.batch = max(1, min(self.batch, count) // 2)
                print(f"out of memory on the GPU: going on with batches of {self.batch} patches", file=sys.stderr)
            torch.cuda.empty_cache()
        if not self.on_gpu:
            return Launched(features, None)
        # Now, not in `fetch`: a copy that is asked for then would wait for the batch that has been launched since.
        on_host = torch.empty(features.shape, dtype=features.dtype, pin_memory=True)
        on_host.copy_(features, non_blocking=True)
        done = torch.cuda.Event()
        done.record()
        return Launched(on_host, done)

    def fetch(self, launched: Launched) -> np.ndarray:
        """Wait for features, (B, D) float32.

        Raises:
            UserError: some are not finite numbers.
        """
        if launched.done is not None:
            launched.done.synchronize()
        values = launched.features.numpy()
        if not np.isfinite(values).all():
            remedy = "its weights are damaged" if self.precision == "fp32" else "try `features: precision: fp32`"
            raise UserError(f"the encoder gave features that are not finite numbers in {self.precision}; {remedy}")
        return values

    def embed(self, patches: np.ndarray) -> np.ndarray:
        """Features of (B, H, W, 3) uint8 RGB patches: (B, D) float32; see `upload`, `launch` and `fetch`."""
        return self.fetch(self.launch([self.upload(patches)]))

    def _upload(self, patches: np.ndarray, prepared: bool) -> torch.Tensor:
        with torch.cuda.stream(self.copying) if self.copying else nullcontext():
            images = torch.from_numpy(patches).to(self.device, copy=True, non_blocking=True).permute(0, 3, 1, 2)
            if not prepared:
                images = self.geometry.apply_on_device(images)
        if self.copying:
            self.copying.synchronize()
            images.record_stream(torch.cuda.current_stream())
        return images

    def _too_large(self) -> JobError:
        return JobError(
            f"the network {self.card.model!r} doesn't fit into the GPU's memory, not even with one patch; use a GPU "
            "with more, or end what else runs on it"
        )

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        # One pass: (x / 255 - mean) / std.
        normalised = torch.addcmul(self.shift, images.float(), self.scale)
        if self.on_gpu:
            normalised = normalised.contiguous(memory_format=torch.channels_last)
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
            if self.batch < count:
                return self.batch
            peaks.append(torch.cuda.max_memory_allocated())
        each = max(1, (peaks[1] - peaks[0]) // (PROBE[1] - PROBE[0]))
        fitting = int(SHARE * torch.cuda.mem_get_info()[0] / each)
        return max(1, min(BATCH, 1 << (fitting.bit_length() - 1)) if fitting else 1)
