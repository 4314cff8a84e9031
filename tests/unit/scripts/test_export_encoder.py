import pytest
import timm
import timm.data
import torch

import export_encoder
from histossl.encoders import published
from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import hash_weights, load_encoder
from histossl.encoders.hub import HubModel
from histossl.errors import UserError

SETTINGS = {
    "model": "test_vit",
    "model_args": {"img_size": 32},
    "seed": 3,
    "weights": False,
    "mean": [0.7, 0.5, 0.6],
    "std": [0.2, 0.2, 0.2],
    "input_px": 32,
    "spacing_um": [1.0],
    "last_block": None,
    "resize_px": None,
    "interpolation": None,
    "pooling": None,
    "strict": True,
}


@pytest.fixture
def export(tmp_path, as_json):
    def run(**changed):
        export_encoder.main([f"--settings={as_json({**SETTINGS, **changed})}", f"--output={tmp_path / 'encoder.pt'}"])
        return load_encoder(tmp_path / "encoder.pt")

    return run


def test_an_untrained_encoder_is_the_start_of_training(export):
    _, card, weights_hash = export()
    assert weights_hash == hash_weights(build_backbone("test_vit", {"img_size": 32}, 3).state_dict())
    assert (card.method, card.mean, card.spacing_um, card.feature_dim) == ("untrained", (0.7, 0.5, 0.6), (1.0,), 64)
    assert (card.input_px, card.resize_px, card.unmatched) == (32, 32, ())


def test_what_is_left_open_is_the_models_own(export):
    _, card, _ = export(model_args={}, mean=None, std=None, input_px=None, spacing_um=[])
    own = timm.data.resolve_model_data_config(timm.create_model("test_vit"))
    assert (card.mean, card.std, card.input_px) == (tuple(own["mean"]), tuple(own["std"]), own["input_size"][-1])
    assert (card.resize_px, card.interpolation) == (int(card.input_px / own["crop_pct"]), own["interpolation"])
    assert card.spacing_um == ()


def test_weights_of_a_file_are_taken_over(tmp_path, export):
    source = build_backbone("test_vit", {}, 9)
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    _, card, weights_hash = export(model_args={}, input_px=None, weights=str(tmp_path / "weights.pt"))
    assert weights_hash == hash_weights(source.state_dict())
    assert card.method == "timm"
    assert card.resize_px == card.input_px  # timm's crop is that of other weights


def test_where_a_file_leaves_mean_and_sd_open_the_log_says_whose_are_taken(tmp_path, export, capsys):
    torch.save(build_backbone("test_vit", {}, 9).state_dict(), tmp_path / "weights.pt")
    export(model_args={}, input_px=None, weights=str(tmp_path / "weights.pt"), std=None)
    said = [line for line in capsys.readouterr().out.splitlines() if "not stated" in line]
    assert len(said) == 1
    assert "std is not stated; taken from timm's own weights of 'test_vit'" in said[0]


def test_a_cut_resnet_is_exported_as_it_is_cut(tmp_path, export):
    source = build_backbone("resnet18", {}, 9)
    torch.save({"state_dict": {f"backbone.{k}": v for k, v in source.state_dict().items()}}, tmp_path / "w.ckpt")
    backbone, card, _ = export(model="resnet18", model_args={}, weights=str(tmp_path / "w.ckpt"), last_block="layer2")
    assert (card.last_block, card.feature_dim) == ("layer2", 128)
    assert torch.equal(backbone.layer2[1].conv2.weight, source.layer2[1].conv2.weight)


def test_pooling_and_what_did_not_match_are_on_the_card(tmp_path, export):
    source = build_backbone("test_vit", {"img_size": 32}, 9).eval()
    weights = source.state_dict()
    del weights["norm.bias"]  # zeros at the start, and in `source`
    torch.save(weights, tmp_path / "w.pt")
    backbone, card, weights_hash = export(weights=str(tmp_path / "w.pt"), strict=False, pooling="cls_mean")
    assert (card.pooling, card.feature_dim, card.unmatched) == ("cls_mean", 128, ("norm.bias",))
    assert weights_hash == hash_weights(source.state_dict())
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        tokens = source.forward_features(images)
        torch.testing.assert_close(backbone(images), torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1))


def test_a_model_of_the_hub_becomes_one_of_timm_that_needs_no_network(tmp_path, export, monkeypatch):
    source = build_backbone("test_vit", {"img_size": 32, "depth": 1}, 9)
    torch.save(source.state_dict(), tmp_path / "w.bin")
    model = HubModel(
        "test_vit", {"img_size": 48, "depth": 1}, {"input_size": [3, 32, 32], "crop_pct": 0.8, "std": [0.3, 0.3, 0.3]}
    )
    monkeypatch.setattr(export_encoder, "read_hub_model", {"hf-hub:a/b": model}.__getitem__)
    monkeypatch.setattr(published, "fetch_weights", {"hf-hub:a/b": tmp_path / "w.bin"}.__getitem__)
    _, card, weights_hash = export(model="hf-hub:a/b", weights=True, std=None, input_px=None)
    assert (card.model, card.model_args, card.method) == ("test_vit", {"img_size": 32, "depth": 1}, "timm")
    assert (card.mean, card.std, card.input_px) == ((0.7, 0.5, 0.6), (0.3, 0.3, 0.3), 32)
    assert weights_hash == hash_weights(source.state_dict())
    _, card, weights_hash = export(model="hf-hub:a/b", weights=False, model_args={"img_size": 32})
    assert weights_hash == hash_weights(build_backbone("test_vit", {"img_size": 32, "depth": 1}, 3).state_dict())
    assert card.method == "untrained"


@pytest.mark.parametrize("changed", [{"model": "tset_vit"}, {"input_px": 100}, {"weights": "/nowhere/w.pt"}])
def test_what_cannot_be_built_leaves_no_file(tmp_path, export, changed):
    with pytest.raises(UserError):
        export(**changed)
    assert not (tmp_path / "encoder.pt").exists()
