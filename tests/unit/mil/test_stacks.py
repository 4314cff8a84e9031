"""Stacks against each other: the modules, trained by autograd and torch's Adam, say what is right."""

import pytest
import torch

from histossl.mil.attention_stack import AttentionStack, has_gated_attention
from histossl.mil.gated_attention import GatedAttention
from histossl.mil.models import build_model
from histossl.mil.module_stack import ModuleStack
from histossl.mil.stack import Beginner

CPU = torch.device("cpu")
GATED = {"hidden": 16, "attention": 8, "dropout": 0.25}
CLAM = {**GATED, "instance_loss": "svm", "instance_weight": 0.3, "instance_patches": 4, "subtyping": True}
MODELS = [
    ("abmil", GATED),
    ("abmil", {**GATED, "dropout": 0.0}),
    ("clam_sb", CLAM),
    ("clam_sb", {**CLAM, "subtyping": False, "instance_loss": "cross_entropy"}),
    ("clam_mb", CLAM),
]
SIZES = (31, 5, 1, 1100, 8)
"""Patches of the bags: one that has no instance loss, and one of more than a chunk."""


def beginners(model, layers, standardised):
    made = []
    for seed in range(3):
        torch.manual_seed(seed)
        scale = (torch.randn(12), torch.rand(12) + 0.5) if standardised else None
        module = build_model(model, 12, 3, layers)
        made.append(Beginner(module, torch.Generator().manual_seed(seed), scale))
    return made


def train(stack):
    """Losses of each step and last judgement, after steps of different heads."""
    generator = torch.Generator().manual_seed(9)
    bags = [torch.randn(size, 12, generator=generator) for size in SIZES]
    losses = [
        stack.train(heads, bag, number % 3)
        for number, bag in enumerate(bags)
        for heads in ([0, 1, 2], [1], [2, 0], [0, 1, 2])
    ]
    logits, attention = stack.judge([2, 0, 1], bags[0])
    return torch.cat(losses), logits, attention


def build(kind, model, layers, standardised=False):
    return kind(beginners(model, layers, standardised), 1e-3, 1e-4, CPU)


def at_once(stack: AttentionStack) -> AttentionStack:
    """As on a GPU: all heads of a visit together, bags as a whole."""
    stack.memory, stack.attend = 10**9, GatedAttention(None)
    return stack


@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize(("model", "layers"), MODELS)
def test_heads_with_gated_attention_learn_what_their_modules_learn(model, layers, standardised):
    assert has_gated_attention(build_model(model, 12, 3, layers))
    expected = train(build(ModuleStack, model, layers, standardised))
    for stack in (
        build(AttentionStack, model, layers, standardised),
        at_once(build(AttentionStack, model, layers, standardised)),
    ):
        for own, module in zip(train(stack), expected, strict=True):
            torch.testing.assert_close(own, module, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "model", "layers"),
    [
        (AttentionStack, "clam_mb", CLAM),
        (ModuleStack, "mean", GATED),
        (ModuleStack, "transmil", {"hidden": 16, "landmarks": 4, "dropout": 0.25}),
        (ModuleStack, "dsmil", {"query": 8, "dropout": 0.25}),
    ],
)
def test_a_head_alone_becomes_what_it_becomes_among_others_bit_for_bit(kind, model, layers):
    bag = torch.randn(40, 12, generator=torch.Generator().manual_seed(5))
    together = build(kind, model, layers)
    losses = torch.stack([together.train([0, 1, 2], bag, target) for target in (0, 2)])
    for head in range(3):
        alone = kind([beginners(model, layers, False)[head]], 1e-3, 1e-4, CPU)
        assert torch.stack([alone.train([0], bag, target)[0] for target in (0, 2)]).equal(losses[:, head])
        assert alone.judge([0], bag)[0][0].equal(together.judge([0, 1, 2], bag)[0][head])


@pytest.mark.parametrize("kind", [AttentionStack, ModuleStack])
def test_a_head_is_restored_to_what_was_kept(kind):
    stack, bag = build(kind, "abmil", GATED), torch.randn(20, 12)
    stack.train([0, 1, 2], bag, 0)
    before = stack.judge([0, 1], bag)[0]
    stack.keep(0)
    stack.train([0, 1, 2], bag, 1)
    stack.restore(0)
    after = stack.judge([0, 1], bag)[0]
    assert after[0].equal(before[0])
    assert not after[1].equal(before[1])


def test_mean_and_max_are_left_to_autograd():
    assert not any(has_gated_attention(build_model(model, 12, 3, GATED)) for model in ("mean", "max"))
