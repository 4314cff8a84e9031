"""Gated attention over a bag for several heads at once, forward and backward, without autograd's detours.

The same as `heads.GatedAttentionPool` over `embed` (equations 8 and 9 of Ilse, Tomczak and Welling 2018, arXiv
1802.04712). There the products cost most, but autograd adds half as much again for activations, dropout and fresh
memory. Here a bag is worked through in chunks that stay in a core's cache, in buffers that serve the next bag again.
"""

from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

CPU_ROWS = 1024
"""Patches of a chunk on the CPU: small enough for the cache, large enough for the products."""


@dataclass(frozen=True)
class Weights:
    """Weights of g heads, or the gradients on them.

    Attributes:
        embed: (g, H, D).
        embed_bias: (g, H).
        gates: (g, 2A, H), the rows of the content first.
        gates_bias: (g, 2A).
        score: (g, B, A), B branches. Their biases are left out: softmax does not see them.
    """

    embed: Tensor
    embed_bias: Tensor
    gates: Tensor
    gates_bias: Tensor
    score: Tensor


@dataclass(frozen=True)
class Masks:
    """Dropout of one step, as `ByteDropout` has it; nothing is dropped where a mask is None.

    Attributes:
        embed: (g, N, H) uint8, 1 where a unit is kept.
        gates: (g, N, A) the same for the product of content and gate.
        embed_scale: what kept units are multiplied by.
        gates_scale: the same for the product.
    """

    embed: Tensor | None = None
    gates: Tensor | None = None
    embed_scale: float = 1.0
    gates_scale: float = 1.0


class GatedAttention:
    """Pools bags; `backward` belongs to the latest `forward`.

    Not to be shared among threads: it keeps what the backward pass needs.
    """

    def __init__(self, rows: int | None) -> None:
        """`rows` is the number of patches of a chunk; None works on a bag as a whole, as is best on a GPU."""
        self.rows = rows
        self.buffers: dict[str, Tensor] = {}

    def forward(
        self, bag: Tensor, weights: Weights, masks: Masks, scale: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Pool one bag by each head.

        Args:
            bag: (N, D) features, N > 0; the same for all heads.
            weights: of the heads.
            masks: dropout.
            scale: what features are multiplied by and what is added then, each (g, 1, D); or None.

        Returns:
            pooled (g, B, H) and attention (g, B, N), whose rows sum to one.
        """
        # What is kept is scaled in the weights behind it, where that costs least.
        weights = replace(weights, gates=weights.gates * masks.embed_scale, score=weights.score * masks.gates_scale)
        self.bag, self.weights, self.masks, self.scale = bag, weights, masks, scale
        heads, width = weights.embed_bias.shape
        # tanh x = 2 sigmoid(2x) - 1, and torch takes three times as long for tanh as for sigmoid.
        twice = torch.ones_like(weights.gates_bias[:1])
        twice[:, : weights.score.shape[2]] = 2
        gates_weights, gates_bias = weights.gates * twice[:, :, None], weights.gates_bias * twice
        self.hidden = self._buffer("hidden", heads, len(bag), width)
        self.gates = self._buffer("gates", heads, len(bag), weights.gates.shape[1])
        scores = self._buffer("scores", heads, len(bag), weights.score.shape[1])
        for part in self._parts():
            hidden, gates = self.hidden[:, part], self.gates[:, part]
            hidden.copy_(weights.embed_bias[:, None]).baddbmm_(self._features(part), weights.embed.mT)
            hidden.clamp_(min=0)
            if masks.embed is not None:
                hidden.mul_(masks.embed[:, part])
            gates.copy_(gates_bias[:, None]).baddbmm_(hidden, gates_weights.mT).sigmoid_()
            content, gate = gates.chunk(2, dim=2)
            content.mul_(2).sub_(1)
            if masks.gates is not None:
                # Both factors, so that their derivatives below vanish where the product is dropped.
                kept = self._buffer("kept", *content.shape).copy_(masks.gates[:, part])
                content.mul_(kept)
                gate.mul_(kept)
            gated = torch.mul(content, gate, out=self._buffer("gated", *content.shape))
            torch.bmm(gated, weights.score.mT, out=scores[:, part])
        self.attention = torch.softmax(scores.mT, dim=2)
        self.pooled = torch.bmm(self.attention, self.hidden)
        return self.pooled * masks.embed_scale, self.attention

    def backward(self, pooled_gradient: Tensor, gradients: Weights) -> None:
        """Add the gradients on the weights to `gradients`, given that on `pooled`, (g, B, H)."""
        weights, masks = self.weights, self.masks
        pooled_gradient = pooled_gradient * masks.embed_scale
        heads, _, width = pooled_gradient.shape
        # Softmax: the gradient on a score is a_k (g . h_k - g . sum_j a_j h_j).
        expected = (pooled_gradient * self.pooled).sum(dim=2)[:, None]
        for part in self._parts():
            hidden, gates, attention = self.hidden[:, part], self.gates[:, part], self.attention[:, :, part]
            rows = hidden.shape[1]
            content, gate = gates.chunk(2, dim=2)
            on_score = (torch.bmm(hidden, pooled_gradient.mT) - expected).mul_(attention.mT)
            gated = torch.mul(content, gate, out=self._buffer("gated", *content.shape))
            gradients.score.baddbmm_(on_score.mT, gated, alpha=masks.gates_scale)
            on_gated = torch.bmm(on_score, weights.score, out=self._buffer("on_gated", *gated.shape))
            # d tanh = 1 - tanh^2 and d sigmoid = sigmoid (1 - sigmoid), each times the other factor.
            on_gates = self._buffer("on_gates", heads, rows, gates.shape[2])
            on_content, on_gate = on_gates.chunk(2, dim=2)
            torch.addcmul(gate, content, gated, value=-1, out=on_content).mul_(on_gated)
            torch.addcmul(gated, gated, gate, value=-1, out=on_gate).mul_(on_gated)
            gradients.gates.baddbmm_(on_gates.mT, hidden, alpha=masks.embed_scale)
            ones = on_gates.new_ones(1, 1, rows).expand(heads, -1, -1)
            gradients.gates_bias[:, None].baddbmm_(ones, on_gates)
            on_hidden = torch.bmm(attention.mT, pooled_gradient, out=self._buffer("on_hidden", heads, rows, width))
            on_hidden.baddbmm_(on_gates, weights.gates)
            torch.ops.aten.threshold_backward.grad_input(on_hidden, hidden, 0, grad_input=on_hidden)
            gradients.embed.baddbmm_(on_hidden.mT, self._features(part))
            gradients.embed_bias[:, None].baddbmm_(ones, on_hidden)

    def rows_of(self, index: Tensor) -> Tensor:
        """Embeddings (g, K, H) of the patches (g, K) of the latest forward pass."""
        rows = self.hidden.gather(1, index[:, :, None].expand(-1, -1, self.hidden.shape[2]))
        return rows * self.masks.embed_scale

    def backward_rows(self, index: Tensor, rows_gradient: Tensor, gradients: Weights) -> None:
        """Add what `rows_of(index)` pass back: a loss may look at some patches beside the pooled bag."""
        rows = self.hidden.gather(1, index[:, :, None].expand(-1, -1, self.hidden.shape[2]))
        on_hidden = torch.where(rows > 0, rows_gradient, 0) * self.masks.embed_scale
        features = self.bag[index]
        if self.scale:
            features = torch.addcmul(self.scale[1], features, self.scale[0])
        gradients.embed.baddbmm_(on_hidden.mT, features)
        gradients.embed_bias.add_(on_hidden.sum(dim=1))

    def _parts(self) -> list[slice]:
        rows = self.rows or len(self.bag)
        return [slice(start, start + rows) for start in range(0, len(self.bag), rows)]

    def _features(self, part: slice) -> Tensor:
        features, heads = self.bag[part], len(self.weights.embed)
        if self.scale is None:
            return features.expand(heads, -1, -1)
        factor, shift = self.scale
        return torch.addcmul(shift, features, factor, out=self._buffer("features", heads, *features.shape))

    def _buffer(self, name: str, *shape: int) -> Tensor:
        """Memory for `shape`, whose contents are lost when the name is asked for again."""
        size, like = prod(shape), self.weights.embed
        if name not in self.buffers or self.buffers[name].numel() < size:
            self.buffers[name] = like.new_empty(size)
        return self.buffers[name][:size].view(shape)
