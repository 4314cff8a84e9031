"""Adam for many heads whose weights are the rows of one tensor."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980) as torch has it, for each part of each row by itself."""

    def __init__(self, weights: Tensor, widths: Sequence[int], learning_rate: float, weight_decay: float) -> None:
        """Before the first step.

        Args:
            weights: (G, P), changed in place by `step`.
            widths: of the parts that P consists of.
            learning_rate: constant.
            weight_decay: times the weights is added to the gradient.
        """
        self.widths, self.learning_rate, self.weight_decay = widths, learning_rate, weight_decay
        self.weights, self.means, self.squares = (
            [row.split(widths) for row in table]
            for table in (weights, torch.zeros_like(weights), torch.zeros_like(weights))
        )
        self.steps = [list(row) for row in torch.zeros(len(weights), len(widths), device=weights.device)]

    def step(self, rows: Sequence[int], parts: Sequence[int], gradients: Tensor) -> None:
        """Move some parts of some rows, given the gradients (len(rows), P) of these rows."""
        on_rows = [gradient.split(self.widths) for gradient in gradients]
        adam(
            [self.weights[row][part] for row in rows for part in parts],
            [on_row[part] for on_row in on_rows for part in parts],
            [self.means[row][part] for row in rows for part in parts],
            [self.squares[row][part] for row in rows for part in parts],
            [],
            [self.steps[row][part] for row in rows for part in parts],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )
