"""Dropout with masks from random bytes: on a CPU, drawing torch's masks takes a third of a small head's training."""

import torch
from torch import Tensor, nn


class ByteDropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014) whose probability is rounded to a multiple of 1/256.

    The scale follows the rounded probability, so that the expectation stays exact; 0.25 and 0.5 are not rounded.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.dropped = min(round(probability * 256), 255)

    def forward(self, values: Tensor) -> Tensor:
        """Zero each value with the given probability in training and scale the others; the identity in evaluation."""
        if not self.training or not self.dropped:
            return values
        # Eight random bytes a draw; the lower bound is what makes `random_` fill all 64 bits.
        words = torch.empty((values.numel() + 7) // 8, dtype=torch.int64, device=values.device).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: values.numel()].view(values.shape) >= self.dropped
        return values * kept * (256 / (256 - self.dropped))
