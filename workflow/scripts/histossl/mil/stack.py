"""Stacks: heads that are trained together, and how they take in a bag.

Heads of a stack have the same model and settings. Nothing of one enters the other: what a head becomes depends neither
on the stack it is in nor on its place there (on a CPU bit for bit; on a GPU sums may be rounded otherwise).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Beginner:
    """A head before training.

    Attributes:
        module: with its first weights, on the CPU.
        generator: of its dropout, on the device.
        scale: mean and standard deviation (D,) that features are standardised by, or None.
    """

    module: nn.Module
    generator: torch.Generator
    scale: tuple[Tensor, Tensor] | None


class Stack(Protocol):
    """Heads 0 to G-1, on a device."""

    def train(self, heads: Sequence[int], bag: Tensor, target: int) -> Tensor:
        """Let some heads take a step on one bag (N, D) of class `target`; return their losses (len(heads),)."""

    def judge(self, heads: Sequence[int], bag: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (len(heads), classes) and attention (len(heads), N) of one bag."""

    def keep(self, head: int) -> None:
        """Remember a head as it is."""

    def restore(self, head: int) -> None:
        """Make a head what was last kept."""
