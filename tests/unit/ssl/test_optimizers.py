import pytest
from torch import nn

from histossl.ssl.method import Horizon
from histossl.ssl.methods import METHODS
from histossl.ssl.optimizers import build_optimizer, set_schedules
from histossl.ssl.settings import read_settings

HORIZON = Horizon(steps=20, steps_per_epoch=10)


@pytest.mark.parametrize("name", ["adamw", "lars", "sgd"])
def test_schedules_meet_their_end_points(simclr_values, name):
    settings = read_settings({**simclr_values, "optimizer": name}, METHODS)
    optimizer = build_optimizer(settings, nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)))
    rates, decays = [], []
    for step in range(20):
        set_schedules(optimizer, settings, HORIZON, step)
        decayed, free = optimizer.param_groups
        assert free["weight_decay"] == 0
        assert free["lr"] == decayed["lr"]
        rates.append(decayed["lr"])
        decays.append(decayed["weight_decay"])
    # Warm-up over half an epoch, 5 steps, reaches the peak; the last step has the final values.
    assert rates[:5] == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 1e-3])
    assert rates[-1] == pytest.approx(1e-5)
    assert max(rates) == pytest.approx(1e-3)
    assert (decays[0], decays[-1]) == pytest.approx((0.04, 0.1))


def test_only_weights_of_two_dimensions_or_more_decay(simclr_values):
    optimizer = build_optimizer(
        read_settings(simclr_values, METHODS), nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    )
    shapes = [[tuple(parameter.shape) for parameter in group["params"]] for group in optimizer.param_groups]
    assert shapes == [[(4, 3, 3, 3)], [(4,), (4,), (4,)]]


def test_a_warmup_longer_than_the_run_is_cut_to_it():
    assert HORIZON.steps_in(7.0) == 20
    assert HORIZON.steps_in(0.26) == 3
