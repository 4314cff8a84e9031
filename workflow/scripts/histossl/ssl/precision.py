"""Precision of what is computed from the networks' output."""

import torch


def at_least_float32(values: torch.Tensor) -> torch.Tensor:
    """`values` as float32 where they are of half precision, in which losses and statistics would lose their digits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
