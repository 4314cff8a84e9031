"""lightly's losses of self-distillation, with a centre that moves once a step.

lightly moves it in every forward, by the mean of the means of the processes. Here a step may take several forwards,
and the masked tokens are not as many in each process: what comes is summed up, and `move` ends the step.
"""

import torch
from lightly.loss import DINOLoss
from lightly.models.modules.center import Center
from torch import distributed, nn


class StepMean(nn.Module):
    """Mean of the rows that are added in a step, over all forwards and all processes."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        # Not part of a checkpoint: between steps there is nothing in it.
        self.register_buffer("sums_and_count", torch.zeros(dim + 1), persistent=False)

    def add(self, rows: torch.Tensor) -> None:
        """Add `rows` (N, dim)."""
        self.sums_and_count[:-1] += rows.sum(0)
        self.sums_and_count[-1] += len(rows)

    def take(self) -> torch.Tensor:
        """The mean (dim,), after which a new step begins. All processes must call it."""
        if distributed.is_initialized():
            distributed.all_reduce(self.sums_and_count)
        mean = self.sums_and_count[:-1] / self.sums_and_count[-1]
        self.sums_and_count.zero_()
        return mean


class StepCenter(Center):
    """The centre of rows (N, dim)."""

    def __init__(self, dim: int, momentum: float) -> None:
        super().__init__((1, dim), momentum=momentum)
        self.mean = StepMean(dim)

    @torch.no_grad()
    def update(self, x: torch.Tensor) -> None:
        """Add the rows of a forward."""
        self.mean.add(x)

    @torch.no_grad()
    def move(self) -> None:
        """End a step: move towards the mean of its rows."""
        self.center.lerp_(self.mean.take(), 1 - self.momentum)


class StepDINOLoss(DINOLoss):
    """The loss of DINO (Caron et al. 2021, arXiv 2104.14294, equation 2 over all pairs of unlike views)."""

    def __init__(self, output_dim: int, student_temperature: float, center_momentum: float) -> None:
        super().__init__(output_dim, student_temp=student_temperature, center_momentum=center_momentum)
        self.mean = StepMean(output_dim)

    @torch.no_grad()
    def update_center(self, teacher_out: torch.Tensor) -> None:
        """Add the teacher's output (V, B, K) of a forward."""
        self.mean.add(teacher_out.flatten(0, 1))

    @torch.no_grad()
    def move_center(self) -> None:
        """End a step: move the centre towards the mean of its output."""
        self.center.lerp_(self.mean.take(), 1 - self.center_momentum)
