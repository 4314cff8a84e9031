import pytest
import torch
from torch import Tensor

from histossl.mil.gated_attention import GatedAttention, Masks, Weights

HEADS, PATCHES, FEATURES, HIDDEN, GATE = 3, 7, 5, 6, 4
EMBED_SCALE, GATES_SCALE = 4 / 3, 16 / 9


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def draw_weights(branches: int) -> list[Tensor]:
    return [
        draw(HEADS, HIDDEN, FEATURES),
        draw(HEADS, HIDDEN),
        draw(HEADS, 2 * GATE, HIDDEN),
        draw(HEADS, 2 * GATE),
        draw(HEADS, branches, GATE),
    ]


def draw_masks(dropout: bool) -> Masks:
    if not dropout:
        return Masks()
    kept = [(torch.rand(HEADS, PATCHES, width) > 0.3).byte() for width in (HIDDEN, GATE)]
    return Masks(*kept, EMBED_SCALE, GATES_SCALE)


def formula(bag, weights, masks, scale):
    """Equations 8 and 9 of the paper for each head, left to autograd."""
    embed, embed_bias, gates, gates_bias, score = weights
    if scale:
        bag = bag * scale[0] + scale[1]
    hidden = torch.relu((bag @ embed.mT) + embed_bias[:, None])
    if masks.embed is not None:
        hidden = hidden * masks.embed * EMBED_SCALE
    content, gate = (hidden @ gates.mT + gates_bias[:, None]).chunk(2, dim=2)
    gated = torch.tanh(content) * torch.sigmoid(gate)
    if masks.gates is not None:
        gated = gated * masks.gates * GATES_SCALE
    attention = torch.softmax((gated @ score.mT).mT, dim=2)
    return attention @ hidden, attention, hidden


@pytest.mark.parametrize("rows", [None, 3, 7])
@pytest.mark.parametrize(("branches", "dropout", "standardised"), [(1, True, False), (3, True, True), (2, False, True)])
def test_pooled_bags_and_gradients_are_those_of_autograd(rows, branches, dropout, standardised):
    torch.manual_seed(0)
    bag, weights, masks = draw(PATCHES, FEATURES), draw_weights(branches), draw_masks(dropout)
    scale = (draw(HEADS, 1, FEATURES), draw(HEADS, 1, FEATURES)) if standardised else None
    index = torch.tensor([[0, 6], [3, 2], [4, 4]])
    on_pooled, on_rows = draw(HEADS, branches, HIDDEN), draw(HEADS, 2, HIDDEN)

    leaves = [weight.clone().requires_grad_() for weight in weights]
    pooled, attention, hidden = formula(bag, leaves, masks, scale)
    picked = hidden[torch.arange(HEADS)[:, None], index]
    expected = torch.autograd.grad((pooled * on_pooled).sum() + (picked * on_rows).sum(), leaves)

    attend = GatedAttention(rows)
    # A larger bag before: what is left of it in the buffers must not matter.
    attend.forward(draw(PATCHES + 4, FEATURES), Weights(*weights), Masks(), scale)
    own_pooled, own_attention = attend.forward(bag, Weights(*weights), masks, scale)
    gradients = Weights(*(torch.zeros_like(weight) for weight in weights))
    attend.backward(on_pooled, gradients)
    torch.testing.assert_close(attend.rows_of(index), picked.detach())
    attend.backward_rows(index, on_rows, gradients)
    torch.testing.assert_close(own_pooled, pooled.detach())
    torch.testing.assert_close(own_attention, attention.detach())
    for name, gradient in zip(Weights.__dataclass_fields__, expected, strict=True):
        torch.testing.assert_close(getattr(gradients, name), gradient, msg=name)


class Pooling(torch.autograd.Function):
    """`GatedAttention` as a function that `gradcheck` can take."""

    @staticmethod
    def forward(ctx, bag, masks, *weights):
        ctx.attend = GatedAttention(3)
        ctx.weights = weights
        return ctx.attend.forward(bag, Weights(*weights), masks, None)[0].clone()

    @staticmethod
    def backward(ctx, on_pooled):
        gradients = Weights(*(torch.zeros_like(weight) for weight in ctx.weights))
        ctx.attend.backward(on_pooled, gradients)
        return None, None, *(getattr(gradients, name) for name in Weights.__dataclass_fields__)


def test_gradients_are_the_limits_of_differences():
    torch.manual_seed(1)
    bag, masks = draw(PATCHES, FEATURES), draw_masks(True)
    weights = [weight.requires_grad_() for weight in draw_weights(2)]
    assert torch.autograd.gradcheck(lambda *w: Pooling.apply(bag, masks, *w), weights)
