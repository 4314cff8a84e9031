"""The whole chain on a cohort that is drawn in seconds, with networks that learn nothing in so short a time."""

import csv

from tests.workflow.conftest import REPOSITORY

QUOTED = """It's "Ü" $(touch owned) `touch owned`; touch owned & x"""
STARRED = "a.b.. *?[x] %s ~ #1 ß.svs"
SLIDES = {
    "P01-1": "P01-1",
    "P01-2": "P01-2",
    "P02-1": "P02-1",
    "P03-1": QUOTED,
    "P04-1": "P04-1",
    "P05-1": STARRED,
    "P06-1": "P06-1",
    "P14-2": "P14-2",
}
"""Slides of the demo, and what they are called here: names of all kinds go through the whole chain."""
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.05}


def view(px: int, count: int, low: float, high: float) -> dict:
    return {"count": count, "px": px, "scale": [low, high], "blur_probability": 0.5, "solarise_probability": 0.0}


def pretrain(method: str, **settings: object) -> dict:
    common = {"tiling": "p64", "batch": 16, "steps": 4, "warmup_epochs": 0, "precision": "fp32", "input_px": 64}
    return {"pretrain": {"method": method, **common, **settings}}


CONFIG = {
    "phantom": {
        "specification": "phantom.csv",
        "slides": {"seed": 7, "width_px": 1600, "height_px": 1280, "spacing_um": 0.5},
        "patches": {
            "seed": 7,
            "patch_px": 64,
            "spacing_um": 1.0,
            "per_class": 6,
            "test_per_class": 4,
            "cellularity": 20,
            "test_share": 0.4,
        },
    },
    "slides": {"sheet": "slides.csv", "assumed_spacing_um": 0.5},
    "tilings": {"p64": {"patch_px": 64, "spacing_um": 1.0}},
    "shards": {"max_patches_per_slide": 20},
    "encoders": {
        "dino": pretrain(
            "dino",
            model="vit_tiny_patch16_224",
            model_args={"img_size": 64, "depth": 2, "embed_dim": 48, "num_heads": 2},
            augmentation={"views": [view(64, 2, 0.4, 1.0), view(32, 2, 0.1, 0.4)], **JITTER},
            dino={"output_dim": 64, "hidden_dim": 64, "bottleneck_dim": 32},
        ),
        "dino_untrained": {"untrained": "dino"},
        "simclr": pretrain(
            "simclr",
            model="test_resnet",
            augmentation={"views": [view(64, 2, 0.2, 1.0)], **JITTER},
            simclr={"hidden_dim": 64, "output_dim": 32},
        ),
    },
    "features": {"slides_per_job": 4},
    "patch_datasets": {"phantom": {"source": "results/phantom/patches/patches.csv", "spacing_um": 1.0}},
    "slide_tasks": {
        "subtype": {
            "label": "subtype",
            "tiling": "p64",
            "folds": 2,
            "fractions": [1.0, 0.5],
            "validation": 0.0,
            "models": {
                "abmil": {"epochs": 2, "hidden": 16, "attention": 8},
                "clam_sb": {"epochs": 2, "hidden": 16, "attention": 8},
            },
        }
    },
    "patch_tasks": {
        "tissue": {"train": "phantom:normalised", "test": "phantom:test", "probes": {"knn": {}, "retrieval": {}}},
        "folds": {
            "train": "phantom:normalised",
            "folds": 2,
            "encoders": ["dino"],
            "probes": {
                "knn_weighted": {"k": 3},
                "logistic": {"C": [1.0]},
                "simpleshot": {"shots": [1], "episodes": 5},
            },
        },
        "cellularity": {
            "train": "phantom:cellularity_train",
            "test": "phantom:cellularity_test",
            "probes": {"linear": {}, "ridge": {"penalties": [1.0]}},  # too few groups to choose among several
            "encoders": ["dino", "dino_untrained"],
        },
    },
    "tables": {"resamples": 200},
    "compute": {"pretrain_threads": 1, "embed_threads": 1, "mil_threads": 1, "probe_threads": 1},
}


def slide_rows() -> list[dict[str, str]]:
    """The lines of slides.csv."""
    return [{**row, "path": f"results/phantom/slides/{row['slide']}.svs"} for row in _renamed("slides.csv")]


def phantom_rows() -> list[dict[str, str]]:
    """The lines of phantom.csv."""
    return _renamed("phantom.csv")


def _renamed(sheet: str) -> list[dict[str, str]]:
    with (REPOSITORY / "config/demo" / sheet).open(encoding="utf-8", newline="") as file:
        rows = {row["slide"]: row for row in csv.DictReader(file)}
    return [{**rows[slide], "slide": name} for slide, name in SLIDES.items()]
