"""The part of a batch that a process works on, and random numbers that do not depend on how many there are."""

from dataclasses import dataclass

import torch
from timm.layers import DropPath
from torch import nn


@dataclass(frozen=True)
class Share:
    """Samples process, process + process_count, ... of a batch of `batch`."""

    batch: int
    process: int = 0
    process_count: int = 1

    @property
    def own(self) -> int:
        """How many samples that are."""
        return self.batch // self.process_count

    def random(self, *shape: int, device: torch.device) -> torch.Tensor:
        """Uniform numbers in 0..1, (*shape, own).

        Torch's generator stands alike in all processes (see `seed_step`): each draws the numbers of the whole batch
        and takes those of its own samples, so that a sample has the same ones on any number of processes.
        """
        return torch.rand(*shape, self.batch, device=device)[..., self.process :: self.process_count]


class SharedDropPath(nn.Module):
    """Drop path (stochastic depth) of samples, with numbers from a `Share`.

    The first dimension of the input is views x own samples, the samples of a view next to each other.
    """

    def __init__(self, probability: float, share: Share) -> None:
        super().__init__()
        self.probability, self.share = probability, share

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Set a sample's values to 0 with the probability, and scale those of the others up."""
        if not self.training or self.probability == 0:
            return values
        views = len(values) // self.share.own
        kept = self.share.random(views, device=values.device).flatten() >= self.probability
        return values * (kept / (1 - self.probability)).to(values.dtype).view(-1, *[1] * (values.ndim - 1))


def share_drop_path(network: nn.Module, share: Share) -> None:
    """Put a `SharedDropPath` in the place of each of timm's in `network`. Neither has weights."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, DropPath):
                setattr(module, name, SharedDropPath(child.drop_prob, share))
