import copy

import pytest

from histossl.config.stains import table_stains

MACENKO = {"method": "macenko", "reference": "a.png"}


@pytest.fixture
def config():
    """Two tilings of the same patches, and two data sets of one source."""
    task = {"encoders": [], "probes": {"knn": {}}}
    return {
        "tilings": {"raw": {"stain": None}, "pink": {"stain": copy.deepcopy(MACENKO)}},
        "patch_datasets": {
            "crc": {"source": "crc", "stain": None},
            "crc_pink": {"source": "crc", "stain": copy.deepcopy(MACENKO)},
        },
        "encoders": {
            "dino": {"pretrain": {"tiling": "raw"}},
            "published": {"timm": {}},
            "clam": {"features": {"folder": "x"}},
        },
        "slide_tasks": {
            "grade": {"tiling": "raw", "encoders": []},
            "grade_pink": {"tiling": "pink", "encoders": ["published", "clam"]},
        },
        "patch_tasks": {
            "tissue": {**task, "train": "crc:train", "test": "crc:test"},
            "tissue_pink": {**task, "train": "crc_pink:train", "test": "crc_pink:test"},
            "across": {**task, "train": "crc_pink", "test": "crc", "encoders": ["published"]},
            "cells": {**task, "train": "crc", "test": "crc", "probes": {"linear": {}}},
            "folds": {**task, "train": "crc_pink", "test": None, "encoders": ["published"]},
        },
    }


def test_each_row_has_its_datas_normalisation(config):
    assert table_stains(config, "slide") == {
        "rows": {
            "grade": {"dino": "none", "published": "none", "clam": "unknown"},
            "grade_pink": {"published": "macenko", "clam": "unknown"},
        },
        "trained": {},
    }
    rows = table_stains(config, "classification")["rows"]
    assert rows["tissue"] == {"dino": "none", "published": "none"}
    assert rows["tissue_pink"] == {"dino": "macenko", "published": "macenko"}
    assert rows["across"] == {"published": "macenko -> none"}
    assert rows["folds"] == {"published": "macenko"}
    assert list(table_stains(config, "regression")["rows"]) == ["cells"]


def test_an_encoder_trained_on_other_colours_is_named(config):
    assert table_stains(config, "classification")["trained"] == {"dino": "none"}
    config["encoders"]["dino"]["pretrain"]["tiling"] = "pink"
    assert table_stains(config, "slide")["trained"] == {"dino": "macenko"}


def test_two_references_of_one_method_are_told_apart(config):
    config["patch_datasets"]["crc_pink"]["stain"]["reference"] = "b.png"
    assert table_stains(config, "slide")["rows"]["grade_pink"]["published"] == "macenko to a.png"
    assert table_stains(config, "classification")["rows"]["across"]["published"] == "macenko to b.png -> none"
