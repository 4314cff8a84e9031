from pathlib import Path

import pytest
import torch
import yaml

from histossl.mil.models import MODELS, POOLINGS, build_model
from histossl.mil.settings import EarlyStopping, HeadSettings

SCHEMA = yaml.safe_load((Path(__file__).parents[3] / "config/schemas/config.schema.yaml").read_text())
HEADS = SCHEMA["properties"]["slide_tasks"]["additionalProperties"]["properties"]["models"]["properties"]


def defaults(model: str) -> dict:
    properties = SCHEMA["$defs"][HEADS[model]["$ref"].rpartition("/")[2]]["properties"]
    own = {name: value["default"] for name, value in properties.items() if "default" in value and name != "seeds"}
    return {"model": model, "early_stopping": None, **own}


def test_the_schema_lists_the_models():
    assert set(HEADS) == {*MODELS, *POOLINGS}


@pytest.mark.parametrize("model", HEADS)
def test_each_model_is_built_from_its_defaults_and_judges_and_learns(model):
    settings = HeadSettings.from_config(defaults(model))
    assert (settings.epochs, settings.learning_rate) == (20, 2e-4)
    torch.manual_seed(0)
    module, bag = build_model(model, 12, 3, settings.layers), torch.randn(30, 12)
    logits, attention = module.eval()(bag)
    assert logits.shape == (3,)
    assert attention.shape == (30,)
    assert attention.sum().item() == pytest.approx(1, abs=1e-5)
    module.train().loss(bag, 2).backward()


def test_settings_that_are_not_common_to_all_models_are_the_models_own():
    settings = HeadSettings.from_config({**defaults("abmil"), "early_stopping": {"patience": 3, "min_epochs": 7}})
    assert set(settings.layers) == {"hidden", "attention", "dropout"}
    assert settings.early_stopping == EarlyStopping(3, 7)
