import numpy as np
import pytest
import torch

from histossl.errors import UserError
from histossl.mil.bags import Bag, DeviceBags
from histossl.mil.settings import EarlyStopping, HeadSettings
from histossl.mil.share import Key, Run, Share

CPU = torch.device("cpu")
BAGS = {slide: Bag(np.zeros((3, 2), np.float32), np.zeros((3, 2), np.int64)) for slide in ("train", "val", "test")}


class ScriptedStack:
    """Heads whose validation loss after each epoch is given, and whose logits in the test are their epochs."""

    def __init__(self, losses):
        self.losses = losses
        self.epochs, self.kept = [0] * len(losses), {}

    def train(self, heads, bag, target):
        for head in heads:
            self.epochs[head] += 1
        return torch.ones(len(heads))

    def judge(self, heads, bag):
        loss = torch.tensor([self.losses[head][self.epochs[head] - 1] for head in heads])
        # The cross-entropy of class 0 is log(1 + exp(second logit)).
        return torch.stack([torch.zeros(len(heads)), torch.log(torch.expm1(loss))], dim=1), torch.ones(len(heads), 3)

    def keep(self, head):
        self.kept[head] = self.epochs[head]

    def restore(self, head):
        self.epochs[head] = self.kept[head]


def train(losses, stopping, epochs=8, validation=("val",)):
    settings = HeadSettings("any", epochs, 1e-3, 0.0, False, False, stopping, {})
    runs = [
        Run(Key(0, 1.0, fold), 1, ("train",), validation, ("test",), with_attention=fold == 0)
        for fold in range(len(losses))
    ]
    stack, steps = ScriptedStack(losses), []
    draws = [torch.Generator() for _ in runs]
    targets = {"train": 1, "val": 0}
    share = Share(
        "t", settings, runs, stack, draws, DeviceBags(BAGS, CPU), targets, lambda count, **_: steps.append(count)
    )
    share.train()
    return share, stack, sum(steps)


LOSSES = [[3.0, 2, 4, 4, 1, 5, 5, 5], [5.0, 4, 3, 2, 3, 3, 1, 9], [1.0, 1, 1, 1, 1, 1, 1, 1]]


def test_each_head_is_what_it_was_after_its_best_epoch():
    _, stack, steps = train(LOSSES, None)
    assert stack.epochs == [5, 7, 1]
    assert steps == 3 * 8


def test_a_head_stops_after_epochs_of_patience_but_not_before_the_least_number():
    # The first waits for two epochs in a row at epoch 4, the second at epoch 6, the third at epoch 3.
    assert train(LOSSES, EarlyStopping(patience=2, min_epochs=1))[1].epochs == [2, 4, 1]
    assert train(LOSSES, EarlyStopping(patience=2, min_epochs=5))[1].epochs == [5, 4, 1]
    assert train(LOSSES, EarlyStopping(patience=3, min_epochs=1))[1].epochs == [5, 7, 1]


def test_what_a_stopped_head_has_not_trained_counts_as_done():
    assert train(LOSSES, EarlyStopping(patience=2, min_epochs=1))[2] == 3 * 8


def test_without_validation_the_last_epoch_stays():
    assert train(LOSSES, EarlyStopping(1, 1), validation=())[1].epochs == [8, 8, 8]


def test_attention_is_kept_of_the_heads_that_it_is_wanted_of():
    judged = train(LOSSES, None)[0].test()
    assert judged[Key(0, 1.0, 0), 1, "test"].attention.tolist() == [1, 1, 1]
    assert judged[Key(0, 1.0, 1), 1, "test"].attention is None
    assert judged[Key(0, 1.0, 1), 1, "test"].probabilities[0] == pytest.approx(np.exp(-1))


def test_a_validation_loss_that_is_no_number_is_named_by_its_head():
    with pytest.raises(
        UserError, match=r"loss of any in fold 1 of fraction 1\.0 \(repeat 0, seed 1\) is nan in epoch 2"
    ):
        train([[1.0] * 8, [1.0] + [float("nan")] * 7], None)


def test_a_tested_slide_whose_features_are_no_numbers_is_named():
    share, stack, _ = train([[1.0] * 8], None)
    stack.judge = lambda heads, bag: (torch.full((len(heads), 2), torch.nan), torch.ones(len(heads), 3))
    with pytest.raises(UserError, match=r"task 't': slide 'test' has features that are not finite numbers"):
        share.test()
