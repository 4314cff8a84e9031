import pytest

from histossl.errors import UserError
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings


def test_an_unknown_method_is_refused_with_the_known_ones(dino_values):
    with pytest.raises(UserError, match="'mae' is unknown; choose one of byol, dino, ibot, simclr"):
        read_settings({**dino_values, "method": "mae"}, METHODS)


def test_a_missing_and_an_unknown_key_are_named(dino_values):
    dino_values["learningrate"] = dino_values.pop("learning_rate")
    with pytest.raises(UserError, match="missing learning_rate; unknown learningrate;"):
        read_settings(dino_values, METHODS)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 2}, "exactly one"),
        ({"steps": None}, "exactly one"),
        ({"optimizer": "adam"}, "adamw, lars, sgd"),
        ({"precision": "int8"}, "fp32, bf16, fp16"),
        ({"sampling": "random"}, "uniform, slide_balanced"),
    ],
)
def test_contradictory_values_are_refused(simclr_values, change, sentence):
    with pytest.raises(UserError, match=sentence):
        read_settings({**simclr_values, **change}, METHODS)


def test_a_scale_beyond_the_patch_is_refused(simclr_values):
    simclr_values["augmentation"]["views"][0] = {**simclr_values["augmentation"]["views"][0], "scale": [0.5, 1.2]}
    with pytest.raises(UserError, match=r"scale is \[0.5, 1.2\]"):
        read_settings(simclr_values, METHODS)


def test_settings_of_the_other_method_are_passed_over(simclr_values, dino_values):
    assert read_settings({**simclr_values, "dino": dino_values["dino"]}, METHODS) == read_settings(
        simclr_values, METHODS
    )
