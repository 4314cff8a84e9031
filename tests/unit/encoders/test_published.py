from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from histossl.encoders import published
from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import hash_weights
from histossl.encoders.published import load_backbone
from histossl.errors import UserError


@pytest.fixture
def source():
    return build_backbone("test_vit", {}, 7)


@pytest.fixture
def file(tmp_path, source):
    """Its weights; a function that saves them with changes."""

    def save(without=(), **more):
        weights = {name: value for name, value in source.state_dict().items() if name not in without}
        torch.save({**weights, **more}, tmp_path / "weights.pt")
        return str(tmp_path / "weights.pt")

    return save


@pytest.mark.parametrize("pooling", ["", "cls_mean"])
def test_weights_are_taken_from_a_file_whatever_the_seed_and_the_pooling(file, source, pooling):
    loaded, unmatched = load_backbone("test_vit", {}, 1, file(), pooling=pooling)
    assert hash_weights(loaded.state_dict()) == hash_weights(source.state_dict())
    assert unmatched == []


def test_random_weights_are_those_of_the_seed(source):
    assert hash_weights(load_backbone("test_vit", {}, 7, False)[0].state_dict()) == hash_weights(source.state_dict())


@pytest.mark.parametrize("kind", ["missing", "blank", "rubbish", "nothing fits", "one is missing"])
def test_a_file_without_the_models_weights_is_refused(tmp_path, file, kind):
    path = tmp_path / "weights.pt"
    if kind == "rubbish":
        path.write_bytes(b"abc")
    elif kind == "nothing fits":
        torch.save({"x": torch.zeros(3)}, path)
    elif kind == "one is missing":
        file(without=["blocks.0.attn.qkv.weight"])
    with pytest.raises(UserError, match="weights"):
        load_backbone("test_vit", {}, 1, "" if kind == "blank" else str(path))


def test_what_does_not_match_is_named_and_left_where_the_config_allows_it(file, source, capsys):
    path = file(
        without=["norm.bias", "blocks.0.mlp.fc1.weight"], **{"blocks.0.extra": torch.ones(1), "head.w": torch.ones(1)}
    )
    with pytest.raises(UserError, match=r"lacks 2 of .*'blocks\.0\.mlp\.fc1\.weight', 'norm\.bias'.*`strict: false`"):
        load_backbone("test_vit", {}, 1, path)
    loaded, unmatched = load_backbone("test_vit", {}, 1, path, strict=False)
    assert unmatched == ["blocks.0.mlp.fc1.weight", "norm.bias", "blocks.0.extra"]
    said = capsys.readouterr().err
    assert "left random, as the file lacks them: blocks.0.mlp.fc1.weight, norm.bias\n" in said
    assert "passed over, as this model has not: blocks.0.extra\n" in said
    start = build_backbone("test_vit", {}, 1)
    assert torch.equal(loaded.blocks[0].mlp.fc1.weight, start.blocks[0].mlp.fc1.weight)
    assert torch.equal(loaded.blocks[0].mlp.fc2.weight, source.blocks[0].mlp.fc2.weight)


def test_extra_weights_alone_are_refused_and_allowed(file):
    path = file(**{"blocks.0.extra": torch.ones(1)})
    with pytest.raises(UserError, match=r"has 1 weights that this model has not, first 'blocks\.0\.extra'"):
        load_backbone("test_vit", {}, 1, path)
    assert load_backbone("test_vit", {}, 1, path, strict=False)[1] == ["blocks.0.extra"]


def test_less_than_half_is_never_enough(file, source):
    names = list(source.state_dict())
    with pytest.raises(UserError, match="no network with this model's names"):
        load_backbone("test_vit", {}, 1, file(without=names[len(names) // 2 - 2 : -2]), strict=False)


def test_another_shape_is_refused_even_so(file):
    with pytest.raises(UserError, match=r"'norm\.bias' has the shape \(3,\)"):
        load_backbone("test_vit", {}, 1, file(**{"norm.bias": torch.ones(3)}), strict=False)


def test_weights_on_the_hub_go_the_same_way_as_a_file(file, source, monkeypatch):
    monkeypatch.setattr(published, "fetch_weights", {"hf-hub:a/b/w.pt": Path(file(without=["norm.bias"]))}.__getitem__)
    with pytest.raises(UserError, match=r"weights\.pt as 'test_vit': the file lacks 1 of"):
        load_backbone("test_vit", {}, 1, "hf-hub:a/b/w.pt")


@pytest.mark.parametrize(("model", "more"), [("test_vit", {}), ("vit_small_patch16_224", {"depth": 1})])
def test_timms_own_weights_are_fetched_and_brought_to_the_model_by_timm(tmp_path, monkeypatch, model, more):
    """A model of timm's for another image size, whose position embeddings timm resamples."""
    own = timm.create_model(model, **more)
    save_file(own.state_dict(), tmp_path / "model.safetensors")
    asked = []
    monkeypatch.setattr(published, "fetch_weights", lambda name: asked.append(name) or tmp_path / "model.safetensors")
    loaded, unmatched = load_backbone(model, {"img_size": 64, **more}, 1, True)
    assert asked == [f"hf-hub:{timm.get_pretrained_cfg(model).hf_hub_id}"]
    assert torch.equal(loaded.blocks[0].attn.qkv.weight, own.blocks[0].attn.qkv.weight)
    assert loaded.pos_embed.shape[1] < own.pos_embed.shape[1]
    assert unmatched == []
