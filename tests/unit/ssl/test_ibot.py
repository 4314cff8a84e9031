import numpy as np
import pytest
import torch

from histossl.encoders.backbone import build_backbone
from histossl.errors import UserError
from histossl.ssl.ibot import Ibot
from histossl.ssl.masks import draw_masks
from histossl.ssl.method import Horizon
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings
from histossl.ssl.share import Share
from tests.unit.ssl.test_dino import dino_loss, softmax

BATCH = 5


def make(values: dict) -> Ibot:
    torch.manual_seed(0)
    return Ibot(read_settings(values, METHODS), Horizon(steps=12, steps_per_epoch=4), Share(BATCH))


def make_crops() -> list[torch.Tensor]:
    return [torch.randn(2, BATCH, 3, 32, 32), torch.randn(2, BATCH, 3, 16, 16)]


@pytest.fixture
def values(ibot_values) -> dict:
    """Larger views, of 4 x 4 tokens, and no drop path."""
    for view, px in zip(ibot_values["augmentation"]["views"], (32, 16), strict=True):
        view["px"] = px
    return {**ibot_values, "training_args": {}}


@pytest.mark.parametrize("separate_head", [True, False])
def test_loss_is_the_originals_formula_in_float64(values, separate_head):
    values["ibot"] |= {"separate_head": separate_head, "patch_loss_weight": 0.7, "koleo_weight": 0.3}
    method = make(values)
    with torch.no_grad():
        method.student_backbone.mask_token.normal_()
        method.loss.center.normal_(std=0.1)
        method.token_loss.center.center.normal_(std=0.1)
    crops = make_crops()
    torch.manual_seed(4)
    masks = draw_masks(Share(BATCH), 4, 4, (0.1, 0.5), torch.device("cpu")).flatten(0, 1)
    torch.manual_seed(4)
    loss, figures = method(crops, step=2)

    heads = (
        (method.teacher_token_head, method.student_token_head)
        if separate_head
        else (method.teacher_head, method.student_head)
    )
    pictures = crops[0].flatten(0, 1)
    with torch.no_grad():
        teacher_tokens = method.teacher_backbone(pictures)
        student_tokens = method.student_backbone(pictures, masks)
        local_tokens = method.student_backbone(crops[1].flatten(0, 1))
        features = student_tokens[:, 0].double().numpy()
        student = method.student_head(torch.cat([student_tokens[:, 0], local_tokens[:, 0]])).double().numpy()
        teacher = method.teacher_head(teacher_tokens[:, 0]).double().numpy()
        teacher_patches = heads[0](teacher_tokens[:, 1:]).double().numpy()
        student_patches = heads[1](student_tokens[:, 1:]).double().numpy()

    center = method.loss.center[0, 0].double().numpy()
    pictures_term = dino_loss(teacher.reshape(2, BATCH, 32), student.reshape(4, BATCH, 32), center, 0.055, 0.1)

    # iBOTPatchLoss.forward_masked of DINOv2: the mean over the masked tokens of a picture, summed over pictures,
    # divided by the number of all global crops, masked or not.
    center = method.token_loss.center.value[0].double().numpy()
    tokens_term = 0.0
    for picture, mask in enumerate(masks.flatten(1).numpy()):
        if mask.any():
            q = softmax((teacher_patches[picture][mask] - center) / 0.055)
            tokens_term += (-q * np.log(softmax(student_patches[picture][mask] / 0.1))).sum(1).mean()
    tokens_term /= 2 * BATCH

    # KoLeoLoss of DINOv2, for each global crop: minus the mean logarithm of the distance to the nearest neighbour.
    koleo_term = 0.0
    for view in np.split(features / np.linalg.norm(features, axis=1, keepdims=True), 2):
        distances = np.linalg.norm(view[:, None] - view[None], axis=2) + 9 * np.eye(BATCH)
        koleo_term -= np.log(distances.min(1)).mean()

    assert float(figures["patch_loss"]) == pytest.approx(tokens_term, rel=1e-5)
    assert float(figures["koleo_loss"]) == pytest.approx(koleo_term, rel=1e-4)
    expected = pictures_term + 0.7 * tokens_term + 0.3 * koleo_term
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)

    method.after_step(2)
    moved = 0.9 * center + 0.1 * teacher_patches[masks.flatten(1).numpy()].mean(0)
    np.testing.assert_allclose(method.token_loss.center.value[0].numpy(), moved, atol=1e-6)


def test_tokens_are_those_of_the_plain_network_where_nothing_is_masked(values):
    method = make({**values, "model_args": {**values["model_args"], "reg_tokens": 2}})
    plain = method.student_backbone.vit
    for px in (32, 16, 24):
        pictures = torch.randn(2, 3, px, px)
        torch.testing.assert_close(method.student_backbone(pictures), plain.forward_features(pictures))


def test_masked_tokens_do_not_depend_on_what_they_cover(values):
    method = make(values)
    masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    masks[0, 1, 2] = True
    pictures = torch.randn(1, 3, 32, 32)
    changed = pictures.clone()
    changed[:, :, 8:16, 16:24] += 1
    tokens = [method.student_backbone(picture, masks) for picture in (pictures, changed)]
    torch.testing.assert_close(*tokens)
    assert not torch.allclose(method.student_backbone(pictures), method.student_backbone(changed))


def test_only_the_student_gets_gradients(values):
    method = make(values)
    method(make_crops(), step=5)[0].backward()
    without = {name for name, parameter in method.named_parameters() if parameter.grad is None}
    assert {name.split(".")[0] for name in without if not name.endswith("weight_g")} == {
        "teacher_backbone",
        "teacher_head",
        "teacher_token_head",
    }
    assert method.student_backbone.mask_token.grad.abs().sum() > 0


def test_both_last_layers_keep_still_at_first(values):
    method = make(values)
    for step, frozen in ((0, True), (1, True), (2, False)):
        method.zero_grad()
        method(make_crops(), step)[0].backward()
        method.after_backward(step)
        for head in (method.student_head, method.student_token_head):
            assert (head.last_layer.weight_v.grad is None) == frozen
            assert head.layers[0].weight.grad is not None


def test_all_of_the_teacher_follows_the_student(values):
    method = make(values)
    with torch.no_grad():
        for parameter in method.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))
    pairs = [
        (dict(method.named_parameters())[name.replace("student", "teacher")], parameter)
        for name, parameter in method.named_parameters()
        if name.startswith("student")
    ]
    before = [teacher.clone() for teacher, _ in pairs]
    method(make_crops(), step=0)
    method.after_step(0)
    for old, (teacher, student) in zip(before, pairs, strict=True):
        torch.testing.assert_close(teacher, 0.9 * old + 0.1 * student)


def test_the_encoder_is_the_plain_model_and_starts_from_the_untrained_control(values):
    method = make(values)
    control = build_backbone(values["model"], values["model_args"], values["seed"]).state_dict()
    for backbone in (method.encoder(), method.student_backbone.vit):
        assert backbone.state_dict().keys() == control.keys()
        assert all(torch.equal(tensor, control[name]) for name, tensor in backbone.state_dict().items())


def test_networks_without_tokens_are_refused(values):
    values |= {"model": "resnet10t", "model_args": {}}
    with pytest.raises(UserError, match="'resnet10t' is a ResNet; choose"):
        make(values)


def test_mask_ratios_out_of_range_are_refused(values):
    values["ibot"]["mask_ratio"] = [0.5, 0.1]
    with pytest.raises(UserError, match=r"mask_ratio is \[0.5, 0.1\]"):
        make(values)
