"""Heads with gated attention (ABMIL, CLAM), trained without autograd where the work is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from histossl.mil.adam import Adam
from histossl.mil.clam import ClamSB
from histossl.mil.dropout import draw_kept
from histossl.mil.gated_attention import CPU_ROWS, GatedAttention, Masks, Weights
from histossl.mil.heads import BagClassifier, GatedAttentionPool
from histossl.mil.stack import Beginner

GPU_SHARE = 0.3
"""Of the GPU's memory that is free at the start, for what the heads of a visit compute at once."""


@dataclass(frozen=True)
class Lesson:
    """What one of CLAM's instance classifiers learns from a bag.

    Attributes:
        classifier: which.
        ranks: (K,) of the patches in its branch's attention, 0 being attended to most.
        labels: (K,) of these patches.
    """

    classifier: int
    ranks: Tensor
    labels: Tensor


class AttentionStack:
    """Heads with gated attention (ABMIL, CLAM), all at once on a GPU, one after the other on a CPU.

    Weights of all heads are rows of one tensor. The patches' part of a step is `GatedAttention`'s; autograd is left
    with the pooled bag and, for CLAM, the few patches that instance classifiers look at.
    """

    def __init__(
        self, beginners: Sequence[Beginner], learning_rate: float, weight_decay: float, device: torch.device
    ) -> None:
        module = beginners[0].module
        self.clam = module if isinstance(module, ClamSB) else None
        self.shapes = {name: value.shape for name, value in module.named_parameters()}
        rows = [nn.utils.parameters_to_vector(beginner.module.parameters()) for beginner in beginners]
        self.weights = torch.stack(rows).detach().to(device)
        self.gradients = torch.zeros_like(self.weights)
        sizes = {name: shape.numel() for name, shape in self.shapes.items()}
        taught = [
            sum(size for name, size in sizes.items() if name.startswith(f"instances.{classifier}."))
            for classifier in range(len(self.clam.instances) if self.clam else 0)
        ]
        # Instance classifiers come last among the parameters. One that a bag does not concern stays where it is.
        widths = [sum(sizes.values()) - sum(taught), *taught]
        self.adam = Adam(self.weights, widths, learning_rate, weight_decay)
        self.generators = [beginner.generator for beginner in beginners]
        self.scales = None
        if beginners[0].scale is not None:
            mean, deviation = (torch.stack([b.scale[part] for b in beginners])[:, None].to(device) for part in range(2))
            self.scales = (1 / deviation, -mean / deviation)
        self.embed_dropout, self.gates_dropout = module.embed[2], module.pool.dropout
        self.on_gpu = device.type == "cuda"
        self.attend = GatedAttention(None if self.on_gpu else CPU_ROWS)
        self.memory = int(GPU_SHARE * torch.cuda.mem_get_info(device)[0]) if self.on_gpu else 0
        self.kept: dict[int, Tensor] = {}
        self.words = torch.empty(0, dtype=torch.int64, device=device)

    def train(self, heads: Sequence[int], bag: Tensor, target: int) -> Tensor:
        """See `Stack`."""
        return torch.cat([self._train(group, bag, target) for group in self._groups(heads, len(bag))])

    @torch.no_grad()
    def judge(self, heads: Sequence[int], bag: Tensor) -> tuple[Tensor, Tensor]:
        """See `Stack`."""
        judged = [self._judge(group, bag) for group in self._groups(heads, len(bag))]
        logits, attention = zip(*judged, strict=True)
        return torch.cat(logits), torch.cat(attention)

    def keep(self, head: int) -> None:
        """See `Stack`."""
        self.kept[head] = self.weights[head].clone()

    def restore(self, head: int) -> None:
        """See `Stack`."""
        self.weights[head] = self.kept[head]

    @torch.no_grad()
    def _train(self, heads: Sequence[int], bag: Tensor, target: int) -> Tensor:
        gradients = self.gradients[: len(heads)].zero_()
        named, on_named = self._named(pick_rows(self.weights, heads)), self._named(gradients)
        pooled, attention = self.attend.forward(
            bag, attention_weights(named), self._draw_masks(heads, len(bag)), self._scale(heads)
        )
        on_weights = attention_weights(on_named)
        lessons = find_lessons(self.clam, len(bag), target, bag.device) if self.clam else []
        chosen = choose_patches(attention, lessons) if lessons else None

        leaves = {name: value for name, value in named.items() if name.startswith(("classify.", "instances."))}
        leaves["pooled"] = pooled
        if chosen is not None:
            leaves["rows"] = self.attend.rows_of(chosen)
        leaves = {name: value.detach().requires_grad_() for name, value in leaves.items()}
        with torch.enable_grad():
            losses = self._losses(leaves, target, lessons)
            found = torch.autograd.grad(losses.sum(), list(leaves.values()), materialize_grads=True)
        on_leaves = dict(zip(leaves, found, strict=True))
        for name in leaves.keys() & on_named.keys():
            on_named[name].copy_(on_leaves[name])
        self.attend.backward(on_leaves["pooled"], on_weights)
        if chosen is not None:
            self.attend.backward_rows(chosen, on_leaves["rows"], on_weights)
        self.adam.step(heads, [0, *(1 + lesson.classifier for lesson in lessons)], gradients)
        return losses.detach()

    def _judge(self, heads: Sequence[int], bag: Tensor) -> tuple[Tensor, Tensor]:
        named = self._named(pick_rows(self.weights, heads))
        pooled, attention = self.attend.forward(bag, attention_weights(named), Masks(), self._scale(heads))
        logits = classify({"pooled": pooled, **named})
        # A head with a branch for each class shows that of the class which it takes the bag for.
        branch = logits.argmax(dim=1) if attention.shape[1] > 1 else torch.zeros_like(logits[:, 0], dtype=torch.int64)
        return logits, attention[torch.arange(len(heads), device=bag.device), branch]

    def _losses(self, leaves: dict[str, Tensor], target: int, lessons: Sequence[Lesson]) -> Tensor:
        """Losses (g,) from the pooled bag and the chosen patches."""
        logits = classify(leaves)
        targets = torch.full((len(logits),), target, device=logits.device)
        losses = functional.cross_entropy(logits, targets, reduction="none")
        if self.clam is None:
            return losses
        losses = (1 - self.clam.instance_weight) * losses
        if not lessons:
            return losses
        patch_loss = torch.vmap(self.clam.patch_loss, in_dims=(0, None))
        parts = leaves["rows"].split([len(lesson.labels) for lesson in lessons], dim=1)
        taught = []
        for lesson, rows in zip(lessons, parts, strict=True):
            weight, bias = (leaves[f"instances.{lesson.classifier}.{kind}"] for kind in ("weight", "bias"))
            taught.append(patch_loss(torch.baddbmm(bias[:, None], rows, weight.mT), lesson.labels))
        return losses + self.clam.instance_weight * torch.stack(taught).mean(dim=0)

    def _groups(self, heads: Sequence[int], patches: int) -> list[Sequence[int]]:
        """Heads that go through a bag at once: as many as the memory holds."""
        width, gates = self.shapes["embed.0.weight"][0], self.shapes["pool.gates.weight"][0]
        each = 4 * patches * (3 * width + 4 * gates + self.shapes["embed.0.weight"][1])
        at_once = max(1, self.memory // each)
        return [heads[start : start + at_once] for start in range(0, len(heads), at_once)]

    def _named(self, table: Tensor) -> dict[str, Tensor]:
        """Views (g, ...) on the parameters in (g, P)."""
        parts = table.split([shape.numel() for shape in self.shapes.values()], dim=1)
        return {name: part.unflatten(1, shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def _scale(self, heads: Sequence[int]) -> tuple[Tensor, Tensor] | None:
        return self.scales and tuple(pick_rows(value, heads) for value in self.scales)

    def _draw_masks(self, heads: Sequence[int], patches: int) -> Masks:
        """Masks from each head's own generator, drawn as its module draws them."""
        dropouts = (self.embed_dropout, self.gates_dropout)
        widths = (self.shapes["embed.0.weight"][0], self.shapes["pool.score.weight"][1])
        words = [-(-patches * width // 8) if drop.dropped else 0 for drop, width in zip(dropouts, widths, strict=True)]
        if self.words.numel() < len(heads) * sum(words):
            self.words = self.words.new_empty(len(heads) * sum(words))
        drawn = self.words[: len(heads) * sum(words)].view(len(heads), sum(words))
        for row, head in zip(drawn, heads, strict=True):
            for part, drop in zip(row.split(words), dropouts, strict=True):
                if drop.dropped:
                    draw_kept(part, drop.dropped, self.generators[head])
        masks = [
            part.view(torch.uint8)[:, : patches * width].unflatten(1, (patches, width)) if part.numel() else None
            for part, width in zip(drawn.split(words, dim=1), widths, strict=True)
        ]
        return Masks(*masks, *(drop.scale for drop in dropouts))


def attention_weights(named: dict[str, Tensor]) -> Weights:
    """Those of `GatedAttention`, by the names that they have in a module."""
    names = ("embed.0.weight", "embed.0.bias", "pool.gates.weight", "pool.gates.bias", "pool.score.weight")
    return Weights(*(named[name] for name in names))


def classify(named: dict[str, Tensor]) -> Tensor:
    """Logits (g, classes) of pooled bags (g, B, H): each class looks at its own branch, or all at the only one."""
    return (named["classify.weight"] * named["pooled"]).sum(dim=2) + named["classify.bias"]


def pick_rows(table: Tensor, rows: Sequence[int]) -> Tensor:
    """Rows of a table: a view where one is asked for, otherwise a copy."""
    return table[rows[0] : rows[0] + 1] if len(rows) == 1 else table[list(rows)]


def has_gated_attention(module: nn.Module) -> bool:
    """Whether an `AttentionStack` can hold heads of this kind."""
    if isinstance(module, BagClassifier):
        return isinstance(module.pool, GatedAttentionPool)
    return isinstance(module, ClamSB)


def find_lessons(clam: ClamSB, patches: int, target: int, device: torch.device) -> list[Lesson]:
    """What the instance classifiers learn from a bag of so many patches, as `ClamSB.instance_loss` has it."""
    count = min(clam.instance_patches, patches // 2)
    lessons = []
    for classifier in range(len(clam.instances) if count else 0):
        ranks = torch.arange(count, device=device)
        if classifier == target:
            ranks = torch.cat([ranks, ranks + patches - count])
            lessons.append(Lesson(classifier, ranks, (ranks < count).long()))
        elif clam.subtyping:
            lessons.append(Lesson(classifier, ranks, torch.zeros_like(ranks)))
    return lessons


def choose_patches(attention: Tensor, lessons: Sequence[Lesson]) -> Tensor:
    """The patches (g, K) of all lessons, given the attention (g, B, N)."""
    ranking = attention.argsort(dim=2, descending=True, stable=True)
    branches = [lesson.classifier if attention.shape[1] > 1 else 0 for lesson in lessons]
    return torch.cat([ranking[:, b, lesson.ranks] for b, lesson in zip(branches, lessons, strict=True)], dim=1)
