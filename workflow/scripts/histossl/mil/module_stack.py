"""Heads of any kind, trained by autograd, each with its own module and optimiser."""

from collections.abc import Sequence

import torch
from torch import Tensor

from histossl.mil.dropout import ByteDropout
from histossl.mil.stack import Beginner


class ModuleStack:
    """A `Stack` whose heads take their turns at a bag."""

    def __init__(
        self, beginners: Sequence[Beginner], learning_rate: float, weight_decay: float, device: torch.device
    ) -> None:
        self.modules = [beginner.module.to(device) for beginner in beginners]
        for beginner in beginners:
            for layer in beginner.module.modules():
                if isinstance(layer, ByteDropout):
                    layer.generator = beginner.generator
        self.scales = [b.scale and tuple(value.to(device) for value in b.scale) for b in beginners]
        self.optimizers = [
            torch.optim.Adam(module.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)
            for module in self.modules
        ]
        self.kept: dict[int, dict[str, Tensor]] = {}

    def train(self, heads: Sequence[int], bag: Tensor, target: int) -> Tensor:
        """See `Stack`."""
        losses = []
        for head in heads:
            loss = self.modules[head].train().loss(self._standardise(head, bag), target)
            self.optimizers[head].zero_grad(set_to_none=True)
            loss.backward()
            self.optimizers[head].step()
            losses.append(loss.detach())
        return torch.stack(losses)

    @torch.no_grad()
    def judge(self, heads: Sequence[int], bag: Tensor) -> tuple[Tensor, Tensor]:
        """See `Stack`."""
        judged = [self.modules[head].eval()(self._standardise(head, bag)) for head in heads]
        logits, attention = zip(*judged, strict=True)
        return torch.stack(logits), torch.stack(attention)

    def keep(self, head: int) -> None:
        """See `Stack`."""
        self.kept[head] = {name: value.clone() for name, value in self.modules[head].state_dict().items()}

    def restore(self, head: int) -> None:
        """See `Stack`."""
        self.modules[head].load_state_dict(self.kept[head])

    def _standardise(self, head: int, bag: Tensor) -> Tensor:
        if (scale := self.scales[head]) is None:
            return bag
        mean, deviation = scale
        return (bag - mean) / deviation
