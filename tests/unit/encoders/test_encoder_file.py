import json
import pickle
import zipfile
from dataclasses import replace

import pytest
import torch

from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import FORMAT, EncoderCard, hash_weights, load_encoder, save_encoder
from histossl.errors import UserError

CARD = EncoderCard(
    "test_resnet",
    {},
    (0.7, 0.5, 0.6),
    (0.2, 0.2, 0.2),
    32,
    (1.0,),
    512,
    "dino",
    {"epochs": 3, "views": [{"px": 8}]},
    "ab",
)


@pytest.fixture(scope="module")
def backbone():
    """One with batch statistics, whole-number and zero-dimensional buffers."""
    return build_backbone("test_resnet", {}, 5)


@pytest.fixture
def saved(tmp_path, backbone):
    save_encoder(tmp_path / "encoder.pt", CARD, backbone)
    return tmp_path / "encoder.pt"


def test_an_encoder_survives_the_file(saved, backbone):
    loaded, card, weights_hash = load_encoder(saved)
    assert card == CARD
    assert not loaded.training
    assert weights_hash == hash_weights(backbone.state_dict())
    images = torch.rand(2, 3, 32, 32)
    backbone.eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), backbone(images), rtol=0, atol=0)


def test_it_loads_with_weights_only_and_names_its_format(saved):
    content = torch.load(saved, weights_only=True)
    assert content["format"] == FORMAT
    assert content["card"]["mean"] == [0.7, 0.5, 0.6]


def test_equal_weights_have_equal_hashes_whatever_wrote_them(tmp_path, saved, backbone):
    save_encoder(tmp_path / "other.pt", EncoderCard(**{**CARD.__dict__, "method": "simclr"}), backbone)
    assert load_encoder(saved)[2] == load_encoder(tmp_path / "other.pt")[2]
    reordered = dict(reversed(list(backbone.state_dict().items())))
    assert hash_weights(reordered) == hash_weights(backbone.state_dict())


def test_any_changed_value_or_name_changes_the_hash(backbone):
    weights = {name: value.clone() for name, value in backbone.state_dict().items()}
    before = hash_weights(weights)
    for name in (next(iter(weights)), next(name for name in weights if name.endswith("num_batches_tracked"))):
        changed = {**weights, name: weights[name] + 1}
        assert hash_weights(changed) != before
    first, *others = weights
    assert hash_weights({"renamed": weights[first], **{name: weights[name] for name in others}}) != before


def change(path, **values):
    content = torch.load(path, weights_only=True)
    torch.save({**content, **values}, path)


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "rubbish", "pickle", "tensor", "format"])
def test_what_is_no_encoder_file_is_named(saved, damage):
    if damage == "missing":
        saved.unlink()
    elif damage == "half":
        saved.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    elif damage == "pickle":
        saved.write_bytes(pickle.dumps({"format": FORMAT, "run": print}))
    elif damage == "tensor":
        torch.save(torch.zeros(3), saved)
    elif damage == "format":
        change(saved, format="other")
    else:
        saved.write_bytes({"empty": b"", "rubbish": b"rubbish" * 50}[damage])
    with pytest.raises(UserError, match=r"encoder\.pt: (not|no such)"):
        load_encoder(saved)


def test_a_flipped_bit_in_the_weights_is_found(saved):
    with zipfile.ZipFile(saved) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    content = bytearray(saved.read_bytes())
    content[largest.header_offset + largest.file_size // 2] ^= 1
    saved.write_bytes(content)
    with pytest.raises(UserError, match=r"encoder\.pt"):
        load_encoder(saved)


def test_weights_of_another_network_are_refused(saved):
    change(saved, card={**torch.load(saved, weights_only=True)["card"], "model": "test_vit"})
    with pytest.raises(UserError, match=r"encoder\.pt: its weights do not fit 'test_vit'"):
        load_encoder(saved)


def test_saving_again_replaces_the_file_and_leaves_the_network_in_place(saved, backbone):
    devices = {value.device for value in backbone.state_dict().values()}
    save_encoder(saved, CARD, backbone)
    assert {value.device for value in backbone.state_dict().values()} == devices
    assert sorted(path.name for path in saved.parent.iterdir()) == ["encoder.json", "encoder.pt"]


def test_the_card_lies_beside_it_as_json(tmp_path, backbone):
    card = replace(CARD, slides=("b ü", "a"), patch_px=32)
    save_encoder(tmp_path / "encoder.pt", card, backbone)
    values = json.loads((tmp_path / "encoder.json").read_text(encoding="utf-8"))
    assert (values["slides"], values["patch_px"], values["training"]) == (["b ü", "a"], 32, CARD.training)
    assert load_encoder(tmp_path / "encoder.pt")[1] == card


def test_the_curve_is_in_the_file_as_columns(tmp_path, backbone):
    rows = [
        {"step": 10, "loss": 2.5},
        {"step": 20, "loss": 1.25, "rankme": 7, "verdict": "sound", "collapsed": False},
    ]
    save_encoder(tmp_path / "encoder.pt", CARD, backbone, rows)
    curve = torch.load(tmp_path / "encoder.pt", weights_only=True)["curve"]
    assert list(curve) == ["step", "loss", "rankme"]
    assert (curve["step"].tolist(), curve["loss"].tolist(), curve["rankme"][1].item()) == ([10, 20], [2.5, 1.25], 7)
    assert curve["rankme"][0].isnan()
    assert load_encoder(tmp_path / "encoder.pt")[1] == CARD


def test_a_cut_resnet_is_built_again_as_it_was(tmp_path):
    backbone = build_backbone("resnet18", {}, 3, last_block="layer2").eval()
    save_encoder(tmp_path / "encoder.pt", replace(CARD, model="resnet18", last_block="layer2"), backbone)
    loaded, card, _ = load_encoder(tmp_path / "encoder.pt")
    images = torch.rand(1, 3, 32, 32)
    assert card.last_block == "layer2"
    assert torch.equal(loaded(images), backbone(images))
    assert loaded(images).shape == (1, 128)


@pytest.mark.parametrize("pooling", ["token", "avg", "cls_mean"])
def test_pooling_is_built_again_and_weights_keep_the_networks_names(tmp_path, pooling):
    arguments = {"img_size": 32, "reg_tokens": 2}
    backbone = build_backbone("test_vit", arguments, 3, pooling=pooling).eval()
    card = replace(CARD, model="test_vit", model_args=arguments, pooling=pooling, unmatched=("norm.bias",))
    save_encoder(tmp_path / "encoder.pt", card, backbone)
    loaded, read, _ = load_encoder(tmp_path / "encoder.pt")
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(images), backbone(images))
    assert read == card
    plain = build_backbone("test_vit", arguments, 3).state_dict()
    assert torch.load(tmp_path / "encoder.pt", weights_only=True)["weights"].keys() == plain.keys()


def test_files_from_before_these_fields_are_still_read(saved):
    content = torch.load(saved, weights_only=True)
    for field in ("patch_px", "slides", "last_block", "resize_px", "interpolation", "pooling", "unmatched"):
        content["card"].pop(field)
    content.pop("curve")
    torch.save(content, saved)
    assert load_encoder(saved)[1] == CARD
