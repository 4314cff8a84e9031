"""A share of a task's heads: those that one thread or GPU trains together, bag by bag, and tests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from histossl.errors import UserError
from histossl.mil.bags import DeviceBags
from histossl.mil.settings import HeadSettings
from histossl.mil.stack import Stack
from histossl.mil.visits import draw_epoch, plan_visits


class Key(NamedTuple):
    """Whose training and test sets: `repeat`, `fraction` of the training patients, `fold` that is tested."""

    repeat: int
    fraction: float
    fold: int


@dataclass(frozen=True)
class Run:
    """What one head is trained and tested on; slides are ids of such that have patches.

    Attributes:
        key: of the sets.
        seed: of weights, draws and dropout.
        train: slides.
        validation: slides.
        test: slides.
        with_attention: whether the attention it pays to test slides is wanted.
    """

    key: Key
    seed: int
    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    with_attention: bool


@dataclass(frozen=True)
class Judgement:
    """What a head says of a slide: `probabilities` (classes,) float64, and `attention` (N,) float32 where wanted."""

    probabilities: np.ndarray
    attention: np.ndarray | None


class Share:
    """Heads of one stack.

    Args:
        task: name of the task.
        settings: of all heads.
        runs: one for each head of the stack, in its order.
        stack: the heads.
        draws: generators (on the CPU) of what each head draws for an epoch.
        bags: features of the slides.
        targets: class index of each slide.
        report: told after each visit how many steps were taken, and the latest epoch's loss.
    """

    def __init__(
        self,
        task: str,
        settings: HeadSettings,
        runs: Sequence[Run],
        stack: Stack,
        draws: Sequence[torch.Generator],
        bags: DeviceBags,
        targets: Mapping[str, int],
        report: Callable[..., None],
    ) -> None:
        self.task, self.settings, self.runs, self.stack = task, settings, runs, stack
        self.draws, self.bags, self.targets, self.report = draws, bags, targets, report

    def train(self) -> None:
        """Train all heads; each is then as it was after the epoch with the lowest validation loss.

        A head without validation slides stays as it was after the last epoch.

        Raises:
            UserError: a loss is no longer a finite number.
        """
        lowest = dict.fromkeys(range(len(self.runs)), float("inf"))
        waited = dict.fromkeys(lowest, 0)
        active = list(lowest)
        figures: dict[str, float] = {}
        for epoch in range(self.settings.epochs):
            losses = self._train_epoch(active, epoch, figures)
            self._check(losses, epoch)
            figures = {"epoch": epoch + 1, "loss": float(np.mean(list(losses.values())))}
            losses = self._validate(active)
            self._check(losses, epoch)
            for head, loss in losses.items():
                if loss < lowest[head]:
                    lowest[head], waited[head] = loss, 0
                    self.stack.keep(head)
                else:
                    waited[head] += 1
            active = [head for head in active if not self._is_done(head, epoch + 1, waited[head])]
            if not active:
                break
        for head, loss in lowest.items():
            if loss < float("inf"):
                self.stack.restore(head)

    def test(self) -> dict[tuple[Key, int, str], Judgement]:
        """What each head says of the slides of its test set, by key, seed and slide.

        Raises:
            UserError: a probability is not a finite number.
        """
        judged = {}
        for slide, heads in group_by_slide({head: run.test for head, run in enumerate(self.runs)}).items():
            logits, attention = self.stack.judge(heads, self.bags[slide])
            probabilities = torch.softmax(logits.double(), dim=1).cpu().numpy()
            if not np.isfinite(probabilities).all():
                raise UserError(
                    f"task '{self.task}': slide '{slide}' has features that are not finite numbers, or that make "
                    f"{self.settings.model} overflow; embed it again"
                )
            for head, chances, weights in zip(heads, probabilities, attention.cpu().numpy(), strict=True):
                run = self.runs[head]
                judged[run.key, run.seed, slide] = Judgement(chances, weights if run.with_attention else None)
        return judged

    def _train_epoch(self, active: Sequence[int], epoch: int, figures: Mapping[str, float]) -> dict[int, float]:
        drawn = {}
        for head in active:
            targets = {slide: self.targets[slide] for slide in self.runs[head].train}
            drawn[head] = draw_epoch(targets, self.settings.balanced, self.draws[head])
        sums = torch.zeros(len(self.runs), device=self.bags.device)
        for slide, heads in plan_visits(drawn, self.task, epoch):
            sums[heads] += self.stack.train(heads, self.bags[slide], self.targets[slide])
            self.report(len(heads), **figures)
        return {head: total / len(self.runs[head].train) for head, total in enumerate(sums.tolist()) if head in drawn}

    def _validate(self, active: Sequence[int]) -> dict[int, float]:
        """Cross-entropy of each head that has validation slides."""
        sets = {head: self.runs[head].validation for head in active if self.runs[head].validation}
        sums = torch.zeros(len(self.runs), device=self.bags.device)
        for slide, heads in group_by_slide(sets).items():
            logits, _ = self.stack.judge(heads, self.bags[slide])
            targets = torch.full((len(heads),), self.targets[slide], device=logits.device)
            sums[heads] += functional.cross_entropy(logits, targets, reduction="none")
        return {head: sums[head].item() / len(slides) for head, slides in sets.items()}

    def _is_done(self, head: int, epochs: int, waited: int) -> bool:
        stopping = self.settings.early_stopping
        if stopping is None or epochs < stopping.min_epochs or waited < stopping.patience:
            return False
        self.report((self.settings.epochs - epochs) * len(self.runs[head].train))
        return True

    def _check(self, losses: Mapping[int, float], epoch: int) -> None:
        for head, loss in losses.items():
            if not np.isfinite(loss):
                run = self.runs[head]
                raise UserError(
                    f"task '{self.task}': the loss of {self.settings.model} in fold {run.key.fold} of fraction "
                    f"{run.key.fraction} (repeat {run.key.repeat}, seed {run.seed}) is {loss} in epoch {epoch + 1}; "
                    f"lower `learning_rate`, set `standardise`, or look for features that are not finite numbers"
                )


def group_by_slide(sets: Mapping[int, Sequence[str]]) -> dict[str, list[int]]:
    """The heads that have each slide in their set, in the order of the slides."""
    heads: dict[str, list[int]] = {}
    for head, slides in sets.items():
        for slide in slides:
            heads.setdefault(slide, []).append(head)
    return dict(sorted(heads.items()))
