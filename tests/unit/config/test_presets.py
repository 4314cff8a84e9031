import json
from functools import cache
from pathlib import Path

import pytest
import timm
import torch
import yaml

from histossl.config import plan
from histossl.config.load import load_config
from histossl.config.presets import read_presets
from histossl.encoders.backbone import build_backbone, count_features
from histossl.encoders.hub_location import on_hub, parse_hub_location
from histossl.encoders.preprocessing import resolve_preprocessing
from histossl.errors import UserError

CONFIG = Path(__file__).parents[3] / "config"
ENCODERS = read_presets(CONFIG / "presets/encoders.yaml")
ABOUT = {
    "title": str,
    "network": str,
    "feature_dim": int,
    "patch_px": int,
    "licence": str,
    "gated": bool,
    "url": str,
    "paper": str,
}


def load(**timms):
    values = {
        "slides": {"sheet": "slides.csv"},
        "tilings": {"p256": {"patch_px": 256, "spacing_um": 0.5}},
        "encoders": {name: {"timm": timm} for name, timm in timms.items()},
    }
    return load_config(values, CONFIG / "schemas/config.schema.yaml", CONFIG / "presets")


@pytest.fixture(scope="module")
def presets():
    """What each preset asks for."""
    config = load(**{name: {"preset": name} for name in ENCODERS})
    return {name: plan.export_settings(config, name) for name in ENCODERS}


@cache
def count_in_shapes(settings, input_px):
    """The length of a network's features, without memory or arithmetic."""
    asked = json.loads(settings)
    with torch.device("meta"):
        backbone = build_backbone(
            asked["model"], asked["model_args"], 1, last_block=asked["last_block"], pooling=asked["pooling"] or ""
        )
        return count_features(backbone, input_px)


def test_the_well_known_are_there():
    wanted = """resnet50_clam dinov2_vitl14 lunit_vits16 lunit_vits8 kaiko_vits16 kaiko_vitb16 kaiko_vitl14 phikon
        phikon_v2 midnight12k gpfm uni uni2_h virchow virchow2 h_optimus_0 h_optimus_1 h0_mini prov_gigapath"""
    assert set(wanted.split()) <= set(ENCODERS)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_preset_can_be_built_and_gives_as_many_features_as_it_says(presets, name):
    stated = presets[name]
    published = timm.get_pretrained_cfg(stated["model"]).to_dict()
    preprocessing = resolve_preprocessing(stated, published, stated["model_args"].get("img_size"))
    network = {key: stated[key] for key in ("model", "model_args", "last_block", "pooling")}
    features = count_in_shapes(json.dumps(network), preprocessing.input_px)
    assert features == ENCODERS[name]["about"]["feature_dim"]


@pytest.mark.parametrize("name", ENCODERS)
def test_a_preset_states_all_that_a_user_has_to_know(name):
    config, about = ENCODERS[name]["config"], ENCODERS[name]["about"]
    assert {key: type(value) for key, value in about.items()} == ABOUT
    assert {"mean", "std", "input_px", "interpolation", "pooling", "spacing_um"} <= config.keys()
    if on_hub(config["weights"]):
        location = parse_hub_location(config["weights"])
        assert about["url"] == f"https://huggingface.co/{location.repository}"
        assert config["spacing_um"]
    else:  # timm's own, of photographs, for everyone
        assert config["weights"] is True
        assert about["url"] == f"https://huggingface.co/{timm.get_pretrained_cfg(config['model']).hf_hub_id}"
        assert (config["spacing_um"], about["gated"]) == ([], False)


def test_each_preset_is_one_line():
    lines = (CONFIG / "presets/encoders.yaml").read_text(encoding="utf-8").splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith("#")] == list(ENCODERS)


def test_naming_a_preset_is_writing_its_keys(presets):
    config = load(**{name: entry["config"] for name, entry in ENCODERS.items()})
    assert {name: plan.export_settings(config, name) for name in ENCODERS} == presets


def test_what_the_config_says_goes_before_the_preset():
    config = load(mine={"preset": "prov_gigapath", "weights": "w.pt", "pooling": "avg"})
    stated = plan.export_settings(config, "mine")
    assert (stated["weights"], stated["pooling"], stated["resize_px"], stated["input_px"]) == ("w.pt", "avg", 256, 224)


def test_a_preset_with_another_input_crops_nothing():
    stated = plan.export_settings(load(mine={"preset": "uni", "input_px": 256}), "mine")
    found = resolve_preprocessing(stated, timm.get_pretrained_cfg(stated["model"]).to_dict(), 224)
    assert (found.input_px, found.resize_px) == (256, 256)


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"encoders\.e\.timm\.preset is 'phikonv2', .* did you mean 'phikon_v2'"):
        load(e={"preset": "phikonv2"})


def test_the_file_holds_no_numbers_that_yaml_takes_for_text():
    def walk(value):
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                yield from walk(inner)
            else:
                yield inner

    arguments = [entry["config"].get("model_args", {}) for entry in ENCODERS.values()]
    assert {value for value in walk(arguments) if isinstance(value, str)} == {"SwiGLUPacked", "silu", "token"}
    assert yaml.safe_load("1e-5") == "1e-5"  # why it is written 1.0e-5


def test_what_stands_beside_a_preset_goes_before_it_key_by_key():
    uni = load(uni={"preset": "uni", "model_args": {"img_size": 256}, "mean": None, "weights": True})
    filled, preset = uni["encoders"]["uni"]["timm"], ENCODERS["uni"]["config"]
    assert filled["model_args"] == {**preset["model_args"], "img_size": 256}
    assert filled["mean"] == preset["mean"]
    assert filled["weights"] == preset["weights"]  # and not timm's of the same network


def test_capitals_do_not_hide_the_nearest_preset():
    with pytest.raises(UserError, match="'UNI', which is not known; did you mean 'uni'"):
        load(uni={"preset": "UNI"})


@pytest.mark.parametrize(
    ("name", "mean", "spacing_um", "interpolation", "pooling"),
    [
        # Read independently of the presets: model cards, TRIDENT's code, slide2vec's table of µm/px.
        ("uni", [0.485, 0.456, 0.406], [0.5], "bilinear", None),
        ("virchow2", [0.485, 0.456, 0.406], [0.25, 0.5, 1.0, 2.0], "bicubic", "cls_mean"),
        ("h_optimus_0", [0.707223, 0.578729, 0.703617], [0.5], "bicubic", None),
        ("phikon_v2", [0.485, 0.456, 0.406], [0.5], "bicubic", None),
        ("gpfm", [0.485, 0.456, 0.406], [0.25], "bicubic", None),
        ("lunit_vits16", [0.70322989, 0.53606487, 0.66096631], [0.25, 0.5], "bicubic", None),
        ("midnight12k", [0.5, 0.5, 0.5], [0.25, 0.5, 1.0, 2.0], "bilinear", "cls_mean"),
    ],
)
def test_what_presets_do_to_pictures(name, mean, spacing_um, interpolation, pooling):
    preset = ENCODERS[name]["config"]
    found = preset["mean"], preset["spacing_um"], preset["interpolation"], preset["pooling"]
    assert found == (mean, spacing_um, interpolation, pooling)
