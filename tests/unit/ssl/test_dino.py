import numpy as np
import pytest
import torch
from torch import nn

from histossl.encoders.backbone import build_backbone
from histossl.errors import UserError
from histossl.ssl.dino import Dino
from histossl.ssl.method import Horizon
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings
from histossl.ssl.share import Share

HORIZON = Horizon(steps=12, steps_per_epoch=4)


def make(values: dict) -> Dino:
    torch.manual_seed(0)
    return Dino(read_settings(values, METHODS), HORIZON, Share(4))


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def dino_loss(
    teacher: np.ndarray, student: np.ndarray, center: np.ndarray, teacher_temperature: float, student_temperature: float
) -> float:
    """DINOLoss of main_dino.py in float64: teacher (2, B, K) and student (V, B, K), each row of a view of a sample."""
    total, terms = 0.0, 0
    for i, q in enumerate(softmax((teacher - center) / teacher_temperature)):
        for j, logits in enumerate(student):
            if i != j:
                total += (-q * np.log(softmax(logits / student_temperature))).sum(-1).mean()
                terms += 1
    return total / terms


def logits_of(method: Dino, crops: list[torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Teacher's (2, B, K) and student's (V, B, K)."""
    with torch.no_grad():
        student = [method.student_head(method.student_backbone(view)).double().numpy() for c in crops for view in c]
        teacher = [method.teacher_head(method.teacher_backbone(view)).double().numpy() for view in crops[0]]
    return np.stack(teacher), np.stack(student)


def test_loss_is_the_originals_formula_in_float64(dino_values):
    method = make({**dino_values, "training_args": {}})
    method.loss.center.copy_(torch.randn(1, 1, 32) * 0.1)
    center = method.loss.center[0, 0].double().numpy()
    crops = [torch.randn(2, 6, 3, 16, 16), torch.randn(2, 6, 3, 8, 8)]
    teacher, student = logits_of(method, crops)
    loss, figures = method(crops, step=2)
    # Step 2 is halfway through the warm-up of 4 steps, from 0.04 to 0.07.
    assert float(loss.detach()) == pytest.approx(dino_loss(teacher, student, center, 0.055, 0.1), rel=1e-5)
    shares = softmax((teacher - center) / 0.055).reshape(-1, 32)
    assert float(figures["teacher_entropy"]) == pytest.approx(-(shares * np.log(shares)).sum(1).mean(), rel=1e-4)
    mean = shares.mean(0)
    assert float(figures["mean_teacher_entropy"]) == pytest.approx(-(mean * np.log(mean)).sum(), rel=1e-4)
    assert 0 < float(figures["feature_std"]) < 1.2


def test_center_moves_once_a_step_by_the_mean_of_all_parts(dino_values):
    method = make({**dino_values, "training_args": {}})
    method.loss.center.copy_(torch.randn(1, 1, 32) * 0.1)
    center = method.loss.center[0, 0].double().numpy()
    seen = []
    for _ in range(2):
        crops = [torch.randn(2, 4, 3, 16, 16), torch.randn(2, 4, 3, 8, 8)]
        seen.append(logits_of(method, crops)[0].reshape(-1, 32))
        method(crops, step=0)
        np.testing.assert_array_equal(method.loss.center[0, 0].double().numpy(), center)
    method.after_step(0)
    expected = 0.9 * center + 0.1 * np.concatenate(seen).mean(0)
    np.testing.assert_allclose(method.loss.center[0, 0].numpy(), expected, atol=1e-6)
    # The next step begins anew.
    crops = [torch.randn(2, 4, 3, 16, 16), torch.randn(2, 4, 3, 8, 8)]
    after = logits_of(method, crops)[0].reshape(-1, 32).mean(0)
    method(crops, step=1)
    method.after_step(1)
    np.testing.assert_allclose(method.loss.center[0, 0].numpy(), 0.9 * expected + 0.1 * after, atol=1e-6)


def test_what_is_summed_up_within_a_step_is_not_part_of_a_checkpoint(dino_values):
    names = make(dino_values).state_dict()
    assert "loss.center" in names
    assert not [name for name in names if "sums_and_count" in name]


def test_only_the_student_gets_gradients(dino_values):
    method = make(dino_values)
    loss, _ = method([torch.randn(2, 4, 3, 16, 16), torch.randn(2, 4, 3, 8, 8)], step=5)
    loss.backward()
    with_gradient = {name.split(".")[0] for name, parameter in method.named_parameters() if parameter.grad is not None}
    assert with_gradient == {"student_backbone", "student_head"}


def test_teacher_is_a_moving_average_whose_momentum_rises_to_one(dino_values):
    method = make(dino_values)
    assert method.teacher_momentum(0) == pytest.approx(0.9)
    assert method.teacher_momentum(11) == pytest.approx(1.0)
    with torch.no_grad():
        for parameter in method.student_backbone.parameters():
            parameter.add_(torch.randn_like(parameter))
    before = [parameter.clone() for parameter in method.teacher_backbone.parameters()]
    method([torch.randn(2, 4, 3, 16, 16), torch.randn(2, 4, 3, 8, 8)], step=0)
    method.after_step(0)
    for old, new, student in zip(
        before, method.teacher_backbone.parameters(), method.student_backbone.parameters(), strict=True
    ):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * student)


def test_teacher_temperature_rises_and_stays(dino_values):
    method = make(dino_values)
    temperatures = [method.teacher_temperature(step) for step in (0, 2, 4, 11)]
    assert temperatures == pytest.approx([0.04, 0.055, 0.07, 0.07])


def test_last_layer_keeps_still_at_first(dino_values):
    method = make(dino_values)
    layer = method.student_head.last_layer
    crops = [torch.randn(2, 4, 3, 16, 16), torch.randn(2, 4, 3, 8, 8)]
    for step, frozen in ((0, True), (1, True), (2, False)):
        layer.weight_v.grad = None
        method(crops, step)[0].backward()
        method.after_backward(step)
        assert (layer.weight_v.grad is None) == frozen


def test_training_starts_from_the_untrained_control_and_fits_the_plain_model(dino_values):
    method = make(dino_values)
    control = build_backbone(dino_values["model"], dino_values["model_args"], dino_values["seed"]).state_dict()
    for backbone in (method.student_backbone, method.teacher_backbone):
        assert backbone.state_dict().keys() == control.keys()
        assert all(torch.equal(tensor, control[name]) for name, tensor in backbone.state_dict().items())


def test_batch_norm_in_the_head_is_a_setting(dino_values):
    for wanted in (True, False):
        dino_values["dino"]["head_batch_norm"] = wanted
        modules = make(dino_values).student_head.modules()
        assert any(isinstance(module, nn.BatchNorm1d) for module in modules) == wanted


def test_views_of_unequal_size_first_are_refused(dino_values):
    dino_values["augmentation"]["views"][0]["count"] = 1
    with pytest.raises(UserError, match=r"two global views of one size first, but the views' sizes are \[16, 8, 8\]"):
        make(dino_values)


def test_a_view_size_that_the_network_cannot_take_is_refused(dino_values):
    dino_values["augmentation"]["views"][1]["px"] = 12
    with pytest.raises(UserError, match="does not take pictures of 12 px"):
        make(dino_values)


def test_a_teacher_temperature_that_would_fall_is_refused(dino_values):
    dino_values["dino"]["warmup_teacher_temperature"] = 0.08
    with pytest.raises(UserError, match=r"warmup_teacher_temperature is 0\.08 and teacher_temperature 0\.07"):
        make(dino_values)


def test_dropout_that_would_depend_on_the_number_of_gpus_is_refused(dino_values):
    with pytest.raises(UserError, match="has dropout"):
        make({**dino_values, "training_args": {"proj_drop_rate": 0.1}})
