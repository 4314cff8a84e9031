from copy import deepcopy

import cv2
import numpy as np
import pytest

from histossl.ssl.settings import AugmentationSettings, ViewSettings
from histossl.tiles.shards import ShardSet, write_shard
from tests.unit.small_networks import one_thread  # noqa: F401

VIEW = {"scale": [0.4, 1.0], "blur_probability": 0.5, "solarise_probability": 0.1}
AUGMENTATION = {
    "views": [{"count": 2, "px": 16, **VIEW}],
    "aspect": [0.75, 1.3333],
    "jitter_probability": 0.8,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.4,
    "hue": 0.1,
    "stain_probability": 0.5,
    "stain_scale": 0.2,
    "stain_shift": 0.1,
    "grayscale_probability": 0.2,
    "blur_sigma": [0.1, 2.0],
}
PLAIN_AUGMENTATION = AugmentationSettings(
    **{
        **AUGMENTATION,
        "views": (ViewSettings(1, 24, (1.0, 1.0), blur_probability=0.0, solarise_probability=0.0),),
        "aspect": (1.0, 1.0),
        "jitter_probability": 0.0,
        "stain_probability": 0.0,
        "grayscale_probability": 0.0,
    }
)
"""The whole patch in one of the eight orientations; nothing else is done."""
COMMON = {
    "training_args": {},
    "input_px": 16,
    "mean": [0.7, 0.5, 0.6],
    "std": [0.2, 0.2, 0.2],
    "seed": 3,
    "batch": 8,
    "accumulate": 1,
    "epochs": None,
    "steps": 6,
    "sampling": "uniform",
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "final_learning_rate": 1e-5,
    "warmup_epochs": 0.5,
    "weight_decay": 0.04,
    "final_weight_decay": 0.1,
    "gradient_clip": 3.0,
    "precision": "fp32",
    # Noise and so small a head: DINO does collapse on it, which is no matter to most tests.
    "health": {"every_steps": 4, "patches": 16, "on_collapse": "continue", "knn": None, "knn_patches": None},
}
VIT_ARGS = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}


@pytest.fixture
def dino_values() -> dict:
    """Settings of a tiny DINO run, with a local crop and drop path."""
    return {
        **deepcopy(COMMON),
        "method": "dino",
        "model": "vit_tiny_patch16_224",
        "model_args": VIT_ARGS,
        "training_args": {"drop_path_rate": 0.2},
        "augmentation": {
            **AUGMENTATION,
            "views": [{"count": 2, "px": 16, **VIEW}, {"count": 2, "px": 8, **VIEW, "scale": [0.1, 0.4]}],
        },
        "dino": {
            "output_dim": 32,
            "hidden_dim": 16,
            "bottleneck_dim": 8,
            "head_batch_norm": False,
            "norm_last_layer": True,
            "student_temperature": 0.1,
            "warmup_teacher_temperature": 0.04,
            "teacher_temperature": 0.07,
            "warmup_teacher_temperature_epochs": 1,
            "center_momentum": 0.9,
            "teacher_momentum": 0.9,
            "freeze_last_layer_epochs": 0.5,
        },
    }


@pytest.fixture
def simclr_values() -> dict:
    """Settings of a tiny SimCLR run with a network that has batch norm."""
    return {
        **deepcopy(COMMON),
        "method": "simclr",
        "model": "resnet10t",
        "model_args": {"channels": [8, 8, 8, 8], "stem_width": 8},
        "augmentation": deepcopy(AUGMENTATION),
        "simclr": {"temperature": 0.1, "hidden_dim": 16, "output_dim": 8, "head_layers": 2},
    }


@pytest.fixture
def ibot_values(dino_values) -> dict:
    """Settings of a tiny iBOT run, with a local crop and drop path."""
    return {
        **dino_values,
        "method": "ibot",
        "ibot": {
            **dino_values["dino"],
            "separate_head": True,
            "mask_ratio": [0.1, 0.5],
            "patch_loss_weight": 1.0,
            "koleo_weight": 0.1,
        },
    }


@pytest.fixture
def byol_values(simclr_values) -> dict:
    """Settings of a tiny BYOL run with a network that has batch norm."""
    return {
        **simclr_values,
        "method": "byol",
        "byol": {"hidden_dim": 16, "output_dim": 8, "target_momentum": 0.9},
    }


@pytest.fixture
def shard_paths(tmp_path) -> list:
    """Two shards, of 21 and 11 patches of 24 px."""
    random = np.random.default_rng(0)
    paths = []
    for slide, count in (("a", 21), ("b", 11)):
        coarse = random.integers(0, 256, (count * 6, 6, 3), np.uint8)
        patches = cv2.resize(coarse, (24, count * 24)).reshape(count, 24, 24, 3)
        streams = [cv2.imencode(".jpg", patch)[1].tobytes() for patch in patches]
        paths.append(tmp_path / f"{slide}.h5")
        write_shard(paths[-1], streams, np.zeros((count, 2)), slide, 24, 1.0)
    return paths


@pytest.fixture
def shards(shard_paths):
    with ShardSet(shard_paths) as shard_set:
        yield shard_set
