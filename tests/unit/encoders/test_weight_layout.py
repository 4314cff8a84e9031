import argparse
import math
from collections import OrderedDict
from functools import cache

import numpy as np
import pytest
import timm
import torch
import torchvision
from lightly.models.modules import MaskedVisionTransformerTIMM
from safetensors.torch import save_file
from torch import nn
from torchvision.models.resnet import BasicBlock

from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import hash_weights
from histossl.encoders.published import load_backbone
from histossl.encoders.weight_layout import resample_positions
from histossl.errors import UserError

VIT = {"img_size": 32, "depth": 2}
SHALLOW = {"layers": [1, 1, 1, 1]}


def load(model, model_args, file, **more):
    """A network with the weights of a file, whatever its seed."""
    network, unmatched = load_backbone(model, model_args, 1, file, **more)
    assert unmatched == []
    return network


def vit(seed, **changed):
    return build_backbone("test_vit", {**VIT, **changed}, seed)


@cache
def resnet(seed):
    """torchvision's, small; it is shared by the tests."""
    torch.manual_seed(seed)
    network = torchvision.models.ResNet(BasicBlock, [1, 1, 1, 1]).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            for value in (part.running_mean, part.bias.data):
                value.normal_(std=0.1)
            for value in (part.running_var, part.weight.data):
                value.uniform_(0.5, 1.5)
    return network


def features(network, last_block, images):
    """What torchvision's network gives for `images`, up to a block."""
    parts = dict(network.named_children())
    names = list(parts)[: list(parts).index(last_block or "layer4") + 1]
    with torch.no_grad():
        return nn.Sequential(*(parts[name] for name in names))(images).mean(dim=(2, 3))


def prefixed(prefix, network):
    return {prefix + name: value for name, value in network.state_dict().items()}


def head(prefix):
    return {f"{prefix}mlp.0.weight": torch.rand(3, 3), f"{prefix}last_layer.weight_g": torch.rand(3, 1)}


def dino_checkpoint(teacher_prefix, student, teacher):
    """What main_dino.py writes, with its NumPy learning rate and its namespace of arguments."""
    parameters = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(parameters.parameters())
    optimizer.param_groups[0]["lr"] = np.float64(0.0005)
    return {
        "student": OrderedDict({**prefixed("module.backbone.", student), **head("module.head.")}),
        "teacher": OrderedDict({**prefixed(f"{teacher_prefix}backbone.", teacher), **head(f"{teacher_prefix}head.")}),
        "optimizer": optimizer.state_dict(),
        "epoch": 100,
        "args": argparse.Namespace(arch="vit_small", lr=0.0005),
        "dino_loss": {"center": torch.zeros(1, 8)},
        "fp16_scaler": {"scale": 65536.0, "growth_factor": 2.0},
    }


def lightly_vit(seed):
    return MaskedVisionTransformerTIMM(vit(seed), weight_initialization="skip", pos_embed_initialization="skip")


def vit_file(kind, own, other):
    if kind in ("original DINO", "DINO with batch norm"):
        return dino_checkpoint("" if kind == "original DINO" else "module.", other, own)
    if kind == "bare teacher":
        return {**prefixed("module.backbone.", own), **head("module.head.")}
    if kind == "backbone":
        return prefixed("backbone.", own)
    if kind == "compiled":
        return {"state_dict": prefixed("_orig_mod.module.", own)}
    if kind == "moving average":
        return {"state_dict": own.state_dict() | head("head."), "state_dict_ema": own.state_dict()} | {
            "state_dict": other.state_dict()
        }
    masked, student = lightly_vit(1), lightly_vit(2)
    masked.vit.load_state_dict(own.state_dict())
    student.vit.load_state_dict(other.state_dict())
    weights = {
        "lightly DINO": prefixed("student_backbone.", other) | prefixed("teacher_backbone.", own),
        "lightly masked": prefixed("student_backbone.", student) | prefixed("teacher_backbone.", masked),
        "lightly MAE": prefixed("backbone.", masked) | head("decoder."),
    }[kind]
    return {"epoch": 3, "pytorch-lightning_version": "2.6", "state_dict": weights, "hyper_parameters": {"lr": 0.1}}


@pytest.mark.parametrize(
    "kind",
    [
        "original DINO",
        "DINO with batch norm",
        "bare teacher",
        "backbone",
        "compiled",
        "moving average",
        "lightly DINO",
        "lightly masked",
        "lightly MAE",
    ],
)
def test_a_vision_transformer_is_found_and_the_teacher_is_taken(tmp_path, capsys, kind):
    own, other = vit(7), vit(8)
    torch.save(vit_file(kind, own, other), tmp_path / "checkpoint.pth")
    loaded = load("test_vit", VIT, str(tmp_path / "checkpoint.pth"))
    assert hash_weights(loaded.state_dict()) == hash_weights(own.state_dict())
    assert "checkpoint.pth as 'test_vit': weights under" in capsys.readouterr().err


def resnet_file(kind, own, other):
    """`own` and `other` are torchvision's."""
    parts = nn.Sequential(*list(own.children())[:-1])
    without_head = {name: value for name, value in own.state_dict().items() if not name.startswith("fc.")}
    return {
        "torchvision": own.state_dict(),
        "before batches were counted": {k: v for k, v in own.state_dict().items() if "num_batches" not in k},
        "study": without_head,
        "PyTorch Lightning Bolts": {"state_dict": prefixed("encoder.", own) | head("projection.")},
        "MoCo": {"state_dict": prefixed("module.encoder_q.", own) | prefixed("module.encoder_k.", other)},
        "lightly": {"state_dict": prefixed("backbone.", parts) | head("projection_head.layers.")},
        "lightly's benchmark": {"state_dict": {f"backbone.{k}": v for k, v in without_head.items()} | head("p.")},
        "lightly MoCo": {
            "state_dict": prefixed("backbone.", parts)
            | prefixed("backbone_momentum.", nn.Sequential(*list(other.children())[:-1]))
        },
        "lightly BYOL": {"state_dict": prefixed("teacher_backbone.", other) | prefixed("backbone.", own)},
        "another BYOL": prefixed("teacher.", other) | prefixed("trunk.", own),
        "numbered, before batches were counted": {
            f"backbone.{k}": v for k, v in parts.state_dict().items() if "num_batches" not in k
        },
        "f": {f"module.f.{k}": v for k, v in parts.state_dict().items()},
    }[kind]


RESNETS = [
    "torchvision",
    "before batches were counted",
    "study",
    "PyTorch Lightning Bolts",
    "MoCo",
    "lightly",
    "lightly's benchmark",
    "lightly MoCo",
    "lightly BYOL",
    "another BYOL",
    "numbered, before batches were counted",
    "f",
]


@pytest.mark.parametrize(
    ("kind", "last_block"),
    [*((kind, None) for kind in RESNETS), ("torchvision", "layer3"), ("study", "layer2"), ("lightly", "layer3")],
)
def test_a_resnet_gives_torchvisions_features(tmp_path, kind, last_block):
    torch.save(resnet_file(kind, resnet(7), resnet(8)), tmp_path / "checkpoint.ckpt")
    loaded = load("resnet18", SHALLOW, str(tmp_path / "checkpoint.ckpt"), last_block=last_block).eval()
    images = torch.rand(2, 3, 64, 64)
    expected = features(resnet(7), last_block, images)
    assert not torch.allclose(expected, features(resnet(8), last_block, images), rtol=0.1)
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("counted", [False, True])
def test_a_truncated_file_needs_a_truncated_network(tmp_path, counted):
    weights = {k: v for k, v in resnet(7).state_dict().items() if not k.startswith(("layer4", "fc"))}
    if counted:
        weights = prefixed("backbone.", nn.Sequential(*list(resnet(7).children())[:-3]))
    torch.save(weights, tmp_path / "trunk.pt")
    loaded = load("resnet18", SHALLOW, str(tmp_path / "trunk.pt"), last_block="layer3").eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), features(resnet(7), "layer3", images), rtol=1e-5, atol=1e-5)
    first = "'backbone.7.0.conv1.weight'" if counted else "'layer4.0.conv1.weight'"
    with pytest.raises(UserError, match=rf"trunk\.pt as 'resnet18'.*first {first}.*last_block"):
        load("resnet18", SHALLOW, str(tmp_path / "trunk.pt"))


def test_resnet50_cut_after_its_third_block_has_1024_features():
    network = build_backbone("resnet50", {}, 1, last_block="layer3").eval()
    whole = build_backbone("resnet50", {}, 1).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        third = whole.forward_intermediates(images, indices=[3], intermediates_only=True)[0]
        torch.testing.assert_close(network(images), third.mean(dim=(2, 3)))
    assert third.shape[1] == 1024


@pytest.mark.parametrize(("model", "block"), [("test_vit", "layer3"), ("resnet18", "layer5"), ("resnet18", "bn1")])
def test_what_cannot_be_cut_is_a_sentence(model, block):
    with pytest.raises(UserError, match=f"{model!r} cannot be cut after {block!r}"):
        build_backbone(model, {}, 1, last_block=block)


def test_safetensors_are_taken(tmp_path):
    own = vit(7)
    save_file(prefixed("module.backbone.", own), tmp_path / "w.safetensors")
    loaded = load("test_vit", VIT, str(tmp_path / "w.safetensors"))
    assert hash_weights(loaded.state_dict()) == hash_weights(own.state_dict())


def test_names_that_timm_translates_are_left_to_timm(tmp_path):
    """DINOv2's own names: a mask token, and registers called otherwise."""
    own = timm.create_model("vit_small_patch14_reg4_dinov2", img_size=28, depth=1, num_classes=0)
    weights = {("register_tokens" if k == "reg_token" else k): v for k, v in own.state_dict().items()}
    # There the class token has a place of its own among the positions.
    weights["pos_embed"] = torch.cat([torch.zeros(1, 1, 384), weights["pos_embed"]], dim=1)
    weights["mask_token"] = torch.zeros(1, 384)
    torch.save({"teacher": {f"backbone.{name}": value for name, value in weights.items()}}, tmp_path / "dinov2.pth")
    arguments = {"img_size": 28, "depth": 1}
    loaded = load("vit_small_patch14_reg4_dinov2", arguments, str(tmp_path / "dinov2.pth"))
    assert torch.equal(loaded.reg_token, own.reg_token)
    weights.pop("norm.weight")  # ones at the start of training, whatever the seed
    torch.save(weights, tmp_path / "dinov2.pth")
    with pytest.raises(UserError, match=r"lacks \d+ of \d+ weights"):
        load("vit_small_patch14_reg4_dinov2", arguments, str(tmp_path / "dinov2.pth"))


@pytest.mark.parametrize("missing", ["norm.weight", "blocks.1.norm1.bias", "cls_token", "blocks.0.attn.qkv.weight"])
def test_a_weight_that_is_missing_is_named_even_where_all_seeds_agree_on_it(tmp_path, missing):
    weights = prefixed("backbone.", vit(7))
    weights.pop(f"backbone.{missing}")
    torch.save({"teacher": weights}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=rf"w\.pth as 'test_vit'.* lacks 1 of .* first 'teacher\.backbone\.{missing}'"):
        load("test_vit", VIT, str(tmp_path / "w.pth"))


def test_a_network_of_another_kind_is_refused(tmp_path):
    torch.save(resnet(7).state_dict(), tmp_path / "w.pth")
    with pytest.raises(UserError, match="no network with this model's names"):
        load("test_vit", VIT, str(tmp_path / "w.pth"))


@pytest.mark.parametrize("more", ["deeper", "reg_token", "norm_pre.weight of blocks"])
def test_a_larger_network_is_not_cut_to_size_in_silence(tmp_path, more):
    weights = prefixed("teacher.", vit(7, depth=3) if more == "deeper" else vit(7))
    if more == "reg_token":
        weights["teacher.reg_token"] = torch.zeros(1, 4, 64)
    elif more != "deeper":
        weights["teacher.blocks.0.ls1.gamma"] = torch.ones(64)
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(
        UserError,
        match=r"has \d+ weights that this model has not, first 'teacher\.(blocks\.2|reg_token|blocks\.0\.ls1)",
    ):
        load("test_vit", VIT, str(tmp_path / "w.pth"))


def test_weights_of_another_width_are_refused(tmp_path):
    torch.save(vit(7, embed_dim=32).state_dict(), tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"has the shape \(1, 1, 32\), but the model needs \(1, 1, 64\)"):
        load("test_vit", VIT, str(tmp_path / "w.pth"))


def original_positions(positions, px, patch_px):
    """The tokens that DINO's vision_transformer.py adds to square pictures of `px`, written down from its formula."""
    side, wanted = math.sqrt(positions.shape[1] - 1), px // patch_px + 0.1
    square = positions[:, 1:].reshape(1, int(side), int(side), -1).permute(0, 3, 1, 2)
    fitted = nn.functional.interpolate(square, scale_factor=(wanted / side, wanted / side), mode="bicubic")
    return torch.cat([positions[:, :1], fitted.permute(0, 2, 3, 1).reshape(1, -1, positions.shape[-1])], dim=1)


def smooth_positions(side, width, tokens=1):
    """Like learned ones: neighbours are alike."""
    coarse = torch.randn(1, width, 5, 5, generator=torch.Generator().manual_seed(3))
    fine = nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")
    return torch.cat([torch.ones(1, tokens, width), fine.flatten(2).transpose(1, 2)], dim=1)


@pytest.mark.parametrize("px", [96, 192, 256, 384])
def test_positions_are_those_of_the_original_code(px):
    positions = smooth_positions(14, 8)
    torch.testing.assert_close(
        resample_positions(positions, (px // 16, px // 16), 1), original_positions(positions, px, 16), rtol=0, atol=0
    )


def test_a_file_of_224_px_is_used_at_256_px_and_timms_way_is_near(tmp_path):
    source = build_backbone("vit_tiny_patch16_224", {"depth": 2}, 7)
    source.pos_embed.data = smooth_positions(14, 192)
    torch.save(dino_checkpoint("", source, source), tmp_path / "dino.pth")
    file = str(tmp_path / "dino.pth")
    exact = load("vit_tiny_patch16_224", {"depth": 2, "img_size": 256}, file).eval()
    dynamic = load("vit_tiny_patch16_224", {"depth": 2, "dynamic_img_size": True}, file).eval()
    torch.testing.assert_close(exact.pos_embed, nn.Parameter(original_positions(source.pos_embed, 256, 16)))
    images = torch.rand(4, 3, 256, 256)
    with torch.no_grad():
        likeness = nn.functional.cosine_similarity(exact(images), dynamic(images))
    assert 0.99 < likeness.min() < 1 - 1e-6
