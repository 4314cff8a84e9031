from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from histossl.ssl import views_torch
from histossl.ssl.settings import AugmentationSettings, ViewSettings
from histossl.ssl.view_parameters import ViewParameters
from histossl.ssl.views import draw_views, view_sides
from histossl.ssl.views_opencv import make_views
from tests.unit.ssl.conftest import AUGMENTATION
from tests.unit.ssl.conftest import PLAIN_AUGMENTATION as PLAIN

SIDE = 48
RANDOM = np.random.default_rng(0)
COARSE = RANDOM.integers(0, 256, (40, 12, 12, 3), np.uint8)
# Smooth shapes with noise upon them. None is black: there a stain's logarithm makes much of a single grey level.
PATCHES = np.stack([cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for coarse in COARSE])
PATCHES = np.clip(PATCHES + RANDOM.normal(0, 6, PATCHES.shape), 12, 255).astype(np.uint8)
WHOLE = replace(PLAIN.views[0], px=SIDE)
CHANGES = {
    "orientation": {},
    "enlarging": {"views": (replace(WHOLE, scale=(0.05, 0.3)),), "aspect": (0.75, 1.3333)},
    "shrinking": {"views": (replace(WHOLE, px=16, scale=(0.2, 1.0)),), "aspect": (0.75, 1.3333)},
    "stain": {"stain_probability": 0.7},
    "colour": {"jitter_probability": 1.0, "grayscale_probability": 0.2},
    "blur": {"views": (replace(WHOLE, blur_probability=0.7),)},
    "wide blur": {"views": (replace(WHOLE, px=16, blur_probability=1.0),), "blur_sigma": (4.0, 5.0)},
    "solarise": {"views": (replace(WHOLE, solarise_probability=0.5),)},
}
CROPS = ("enlarging", "shrinking")
EVERYTHING = AugmentationSettings(
    **{
        **AUGMENTATION,
        "views": (
            ViewSettings(2, 40, (0.4, 1.0), blur_probability=0.5, solarise_probability=0.3),
            ViewSettings(3, 24, (0.05, 0.4), blur_probability=0.5, solarise_probability=0.3),
        ),
    }
)


def differences(settings: AugmentationSettings, px: int, device: str = "cpu") -> np.ndarray:
    """Grey levels between the two routes' views of side `px`, (B, V, px, px, 3)."""
    drawn = draw_views(settings, SIDE, seed=0, epoch=0, indices=range(len(PATCHES)))
    sides = view_sides(settings)
    wanted = [view for view, side in enumerate(sides) if side == px]
    table = torch.from_numpy(drawn.table[:, wanted])
    batched = views_torch.make_views(torch.from_numpy(PATCHES).to(device), ViewParameters(table), px)
    assert batched.shape == (len(PATCHES), len(wanted), 3, px, px)
    single = [make_views(patch, drawn.at(i), sides) for i, patch in enumerate(PATCHES)]
    single = np.stack([[made[view] for view in wanted] for made in single])
    return np.abs(batched.float().cpu().permute(0, 1, 3, 4, 2).numpy() - single)


def settings_of(change: str) -> AugmentationSettings:
    return replace(PLAIN, **{"views": (WHOLE,), **CHANGES[change]})


@pytest.mark.parametrize("change", CHANGES)
def test_each_step_gives_the_same_bytes_but_for_the_rounding(change):
    settings = settings_of(change)
    off = differences(settings, settings.views[0].px)
    # A crop is rounded twice.
    assert off.max() <= (2 if change in CROPS else 1)
    assert (off > 1).mean() < 1e-4
    assert (off > 0).mean() < 0.08


def test_turning_and_solarising_are_exact():
    assert differences(settings_of("orientation"), SIDE).max() == 0
    assert differences(settings_of("solarise"), SIDE).max() == 0


@pytest.mark.parametrize("px", [40, 24])
def test_all_steps_together_give_the_same_pictures(px):
    off = differences(EVERYTHING, px)
    # Strong colours enlarge what the crop has rounded to the other side.
    assert off.max() <= 4
    assert (off > 1).mean() < 2e-3


@pytest.mark.parametrize("change", CHANGES)
def test_half_precision_keeps_the_bytes(change, monkeypatch):
    monkeypatch.setattr(views_torch, "working_dtype", lambda _: torch.float16)
    settings = settings_of(change)
    off = differences(settings, settings.views[0].px)
    assert off.max() <= (2 if change in CROPS else 1)
    assert (off > 1).mean() < 1e-3
    assert (off > 0).mean() < 0.25


def test_autocast_around_it_changes_nothing():
    with torch.autocast("cpu", torch.bfloat16):
        assert differences(EVERYTHING, 24).max() <= 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("change", CHANGES)
def test_a_gpu_gives_the_same_pictures(change):
    settings = settings_of(change)
    off = differences(settings, settings.views[0].px, "cuda")
    assert off.max() <= 2
    assert (off > 1).mean() < 1e-3


def test_resampling_takes_nothing_from_outside_the_box_and_keeps_flat_areas():
    start, length = torch.tensor([[3.0, 10.0, 0.0]]), torch.tensor([[17.0, 1.0, 48.0]])
    mirrored = torch.tensor([[False, True, True]])
    matrices = views_torch.resampling(start, length, mirrored, 16, SIDE, torch.float64)[0]
    torch.testing.assert_close(matrices.sum(-1), torch.ones(3, 16, dtype=torch.float64), atol=1e-6, rtol=0)
    for matrix, first, count in zip(matrices, (3, 10, 0), (17, 1, 48), strict=True):
        inside = matrix[:, first : first + count]
        assert torch.equal(inside.abs().sum(), matrix.abs().sum())
    assert matrices[2, 0].argmax() > 40
