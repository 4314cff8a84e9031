"""Dropout with masks from random bytes: on a CPU, drawing torch's masks takes a third of a small head's training."""

import torch
from torch import Tensor, nn


class ByteDropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014) whose probability is rounded to a multiple of 1/256.

    The scale follows the rounded probability, so that the expectation stays exact; 0.25 and 0.5 are not rounded.

    Attributes:
        dropped: of 256 values, how many are dropped on average.
        scale: what the others are multiplied by.
        generator: where random numbers come from; None takes torch's global one.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.dropped = min(round(probability * 256), 255)
        self.scale = 256 / (256 - self.dropped)
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Zero each value with the given probability in training and scale the others; the identity in evaluation."""
        if not self.training or not self.dropped:
            return values
        words = torch.empty((values.numel() + 7) // 8, dtype=torch.int64, device=values.device)
        kept = draw_kept(words, self.dropped, self.generator)[: values.numel()].view(values.shape)
        return values * kept * self.scale


def draw_kept(words: Tensor, dropped: int, generator: torch.Generator | None) -> Tensor:
    """Fill (n,) int64 with 8n bytes, 0 with probability `dropped` / 256 and 1 otherwise; return them as uint8."""
    # The lower bound is what makes `random_` fill all 64 bits.
    drawn = words.random_(-(2**63), None, generator=generator).view(torch.uint8)
    return torch.ge(drawn, dropped, out=drawn)  # into bytes: into booleans it takes ten times as long
