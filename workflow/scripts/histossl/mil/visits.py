"""The order in which heads see their training slides, such that one look at a bag serves many of them.

An epoch of a head is a random order of its slides, or of a draw from them with replacement. All heads of a task share
one random order of visits (slide, r); a head takes part in as many visits to a slide as it has drawn it times. Given
what a head has drawn, each order of it is as probable as any other, as in an epoch of its own; only that two heads
whose slides overlap see them in orders that are alike.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import torch


class Visit(NamedTuple):
    """A look at a bag.

    Attributes:
        slide: whose bag.
        heads: those that take a step on it.
    """

    slide: str
    heads: list[int]


def draw_epoch(targets: Mapping[str, int], balanced: bool, generator: torch.Generator) -> dict[str, int]:
    """How often each slide of a training set is seen in an epoch; slides that are not are left out.

    Args:
        targets: class index of each slide.
        balanced: draw as many slides as there are with replacement, every class with the same probability, as CLAM's
            weighted sampling does; otherwise each slide once.
        generator: of the head; it alone, and the order of `targets`, determine the draw.
    """
    if not balanced:
        return dict.fromkeys(targets, 1)
    classes = torch.tensor(list(targets.values()))
    weights = 1.0 / torch.bincount(classes)[classes]
    drawn = torch.multinomial(weights, len(targets), replacement=True, generator=generator)
    counts = torch.bincount(drawn, minlength=len(targets)).tolist()
    return {slide: count for slide, count in zip(targets, counts, strict=True) if count}


def plan_visits(drawn: Mapping[int, Mapping[str, int]], task: str, epoch: int) -> list[Visit]:
    """All visits of an epoch, in order.

    Each visit has a random place that follows from the task, the epoch, the slide and r alone, so that neither other
    heads nor other slides change the order that a head sees.

    Args:
        drawn: for each head, how often it sees which slides.
        task: name of the task.
        epoch: number of the epoch.
    """
    heads: dict[tuple[str, int], list[int]] = {}
    for head, counts in drawn.items():
        for slide, count in counts.items():
            for number in range(count):
                heads.setdefault((slide, number), []).append(head)
    ordered = sorted(heads, key=lambda visit: stable_seed(task, "visit", epoch, *visit))
    return [Visit(slide, heads[slide, number]) for slide, number in ordered]


def stable_seed(*parts: object) -> int:
    """A seed below 2**63 that depends on the parts' text alone; Python's own `hash` of text changes at each start."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
