import pytest
import torch
from torch import nn

from histossl.errors import UserError
from histossl.ssl.method import Horizon
from histossl.ssl.methods import METHODS
from histossl.ssl.optimizers import build_optimizer, clip_gradients, set_schedules
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


def with_gradients(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in network.parameters():
        parameter.grad = 10 * torch.randn_like(parameter)
    return network


def test_adamw_is_the_papers_formula_in_float64(simclr_values):
    settings = read_settings({**simclr_values, "optimizer": "adamw"}, METHODS)
    network = nn.Linear(3, 2)
    expected = [parameter.detach().double().clone() for parameter in network.parameters()]
    moments = [(torch.zeros_like(value), torch.zeros_like(value)) for value in expected]
    optimizer = build_optimizer(settings, network)
    for step in range(1, 4):
        for parameter, value, (first, second), decay in zip(
            network.parameters(), expected, moments, (0.04, 0.0), strict=True
        ):
            parameter.grad = torch.randn_like(parameter)
            gradient = parameter.grad.double()
            first.mul_(0.9).add_(0.1 * gradient)
            second.mul_(0.999).add_(0.001 * gradient**2)
            # Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2; torch multiplies the decay by the rate.
            value.mul_(1 - 1e-3 * decay)
            value.sub_(1e-3 * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8))
        optimizer.step()
    for parameter, value in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.double(), value, rtol=1e-5, atol=1e-7)


def test_lars_scales_weights_but_not_biases_and_norms(simclr_values):
    values = {**simclr_values, "optimizer": "lars", "learning_rate": 0.5, "weight_decay": 1e-2}
    network = with_gradients(nn.Linear(4, 3))
    weight, bias = (parameter.detach().double().clone() for parameter in network.parameters())
    weight_gradient, bias_gradient = (parameter.grad.double() for parameter in network.parameters())
    build_optimizer(read_settings(values, METHODS), network).step()
    # You et al. 2017, arXiv 1708.03888, equation 6, with the trust coefficient 0.001 of SimCLR and BYOL.
    trust = 1e-3 * weight.norm() / (weight_gradient.norm() + 1e-2 * weight.norm())
    expected = weight - 0.5 * trust * (weight_gradient + 1e-2 * weight)
    torch.testing.assert_close(network.weight.double(), expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(network.bias.double(), bias - 0.5 * bias_gradient, rtol=1e-5, atol=1e-7)


def test_lars_without_weight_decay_is_refused(simclr_values):
    values = {**simclr_values, "optimizer": "lars", "final_weight_decay": 0.0}
    with pytest.raises(UserError, match="would scale no layer"):
        build_optimizer(read_settings(values, METHODS), nn.Linear(2, 2))


def test_each_gradient_is_clipped_by_itself():
    network = with_gradients(nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 1, bias=False), nn.Linear(1, 1)))
    network[1].weight.grad *= 1e-3
    network[2].weight.grad = None
    before = {name: p.grad.double() for name, p in network.named_parameters() if p.grad is not None}
    clip_gradients(network, 3.0)
    for name, parameter in network.named_parameters():
        if name in before:
            # clip_gradients of the original DINO's utils.py
            expected = before[name] * min(3.0 / (float(before[name].norm()) + 1e-6), 1.0)
            torch.testing.assert_close(parameter.grad.double(), expected, rtol=1e-5, atol=1e-8)
    assert network[0].weight.grad.norm() < before["0.weight"].norm()
    assert torch.equal(network[1].weight.grad.double(), before["1.weight"])


def test_gradients_are_left_alone_where_no_limit_is_set():
    network = with_gradients(nn.Linear(5, 4))
    before = network.weight.grad.clone()
    clip_gradients(network, None)
    assert torch.equal(network.weight.grad, before)
