import numpy as np
import pytest
import torch

from histossl.encoders.backbone import build_backbone
from histossl.errors import UserError
from histossl.ssl.byol import Byol
from histossl.ssl.method import Horizon
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings
from histossl.ssl.share import Share


def make(values: dict) -> Byol:
    torch.manual_seed(0)
    return Byol(read_settings(values, METHODS), Horizon(steps=12, steps_per_epoch=4), Share(8))


def formula(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Equations 2 and 3 of the paper, (2, B, D): each view's prediction against the other view's target."""
    predictions = predictions / np.linalg.norm(predictions, axis=2, keepdims=True)
    targets = targets / np.linalg.norm(targets, axis=2, keepdims=True)
    return float(np.square(predictions - targets[::-1]).sum(2).mean(1).sum())


def test_loss_is_the_papers_formula_in_float64(byol_values):
    method = make(byol_values)
    with torch.no_grad():
        for parameter in method.target_projection.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    views = torch.randn(2, 8, 3, 16, 16)
    with torch.no_grad():
        online = [method.prediction(method.online_projection(method.online_backbone(view))) for view in views]
        target = [method.target_projection(method.target_backbone(view)) for view in views]
    loss, figures = method([views], step=0)
    expected = formula(torch.stack(online).double().numpy(), torch.stack(target).double().numpy())
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert 0 < float(figures["feature_std"]) < 1.2


def test_only_the_online_network_gets_gradients(byol_values):
    method = make(byol_values)
    method([torch.randn(2, 8, 3, 16, 16)], step=0)[0].backward()
    with_gradient = {name.split(".")[0] for name, parameter in method.named_parameters() if parameter.grad is not None}
    assert with_gradient == {"online_backbone", "online_projection", "prediction"}


def test_target_is_a_moving_average_whose_momentum_rises_to_one(byol_values):
    method = make(byol_values)
    assert [method.target_momentum(step) for step in (0, 11)] == pytest.approx([0.9, 1.0])
    pairs = [
        (dict(method.named_parameters())[name.replace("online", "target")], parameter)
        for name, parameter in method.named_parameters()
        if name.startswith("online")
    ]
    with torch.no_grad():
        for _, online in pairs:
            online.add_(torch.randn_like(online))
    before = [target.clone() for target, _ in pairs]
    method.after_step(0)
    for old, (target, online) in zip(before, pairs, strict=True):
        torch.testing.assert_close(target, 0.9 * old + 0.1 * online)


def test_the_encoder_is_the_online_network_and_starts_from_the_untrained_control(byol_values):
    method = make(byol_values)
    assert method.encoder() is method.online_backbone
    control = build_backbone(byol_values["model"], byol_values["model_args"], byol_values["seed"]).state_dict()
    for backbone in (method.online_backbone, method.target_backbone):
        assert backbone.state_dict().keys() == control.keys()
        assert all(torch.equal(tensor, control[name]) for name, tensor in backbone.state_dict().items())


def test_other_than_two_equal_views_are_refused(byol_values):
    byol_values["augmentation"]["views"][0]["count"] = 3
    with pytest.raises(UserError, match="exactly two views of one size"):
        make(byol_values)
