"""The moving average of a network's weights."""

import torch
from torch import nn


@torch.no_grad()
def move_average(average: nn.Module, network: nn.Module, momentum: float) -> None:
    """Move the parameters of `average` towards those of `network`: average * momentum + network * (1 - momentum).

    As lightly's update_momentum to rounding, in one pass over the weights instead of two. Buffers, such as the
    statistics of batch norm, stay each network's own, as in DINO and BYOL.
    """
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - momentum)
