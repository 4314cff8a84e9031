from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from histossl.ssl import crops as crops_module
from histossl.ssl.batches import PatchViews
from histossl.ssl.crops import CropMaker
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings

KEYS = [(0, index) for index in (3, 9, 4, 31, 17)]


@pytest.fixture
def settings(dino_values):
    """Views of two side lengths, not in groups."""
    views = dino_values["augmentation"]["views"]
    dino_values["augmentation"]["views"] = [views[0], views[1], {**deepcopy(views[0]), "count": 1}]
    return read_settings(dino_values, METHODS)


def crops_of(settings, shards, on_device, device="cpu"):
    batch = PatchViews(shards, settings.augmentation, settings.seed, on_device).__getitems__(KEYS)
    return CropMaker(settings, torch.device(device))(batch)


def check_same(settings, ones, others):
    """Both are the same views: all but a few bytes differ by no more than the rounding."""
    level = 1 / (255 * min(settings.std))
    for one, other in zip(ones, others, strict=True):
        off = (one.cpu() - other.cpu()).abs() / level
        assert off.max() < 6.5
        assert (off > 1.5).float().mean() < 0.01


@pytest.mark.parametrize("on_device", [False, True])
def test_crops_have_the_shape_and_layout_that_networks_take(settings, shards, on_device):
    crops = crops_of(settings, shards, on_device)
    assert [crop.shape for crop in crops] == [(3, 5, 3, 16, 16), (2, 5, 3, 8, 8)]
    for crop in crops:
        assert crop.dtype == torch.float32
        assert crop.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
        assert not crop.requires_grad


def test_both_routes_give_the_same_crops(settings, shards):
    check_same(settings, crops_of(settings, shards, on_device=False), crops_of(settings, shards, on_device=True))


def test_patches_are_worked_through_in_parts(settings, shards, monkeypatch):
    whole = crops_of(settings, shards, on_device=True)
    monkeypatch.setattr(crops_module, "PATCHES_AT_ONCE", 2)
    check_same(settings, whole, crops_of(settings, shards, on_device=True))


def test_crops_are_normalised_with_mean_and_std(settings, shards):
    batch = PatchViews(shards, settings.augmentation, settings.seed).__getitems__(KEYS)
    crops = CropMaker(settings, torch.device("cpu"))(batch)
    for made, crop in zip(batch.crops, crops, strict=True):
        expected = (made / 255 - torch.tensor(settings.mean)) / torch.tensor(settings.std)
        torch.testing.assert_close(crop, expected.permute(0, 1, 4, 2, 3), atol=1e-5, rtol=0)


def test_a_crop_maker_takes_batches_of_another_size(settings, shards):
    crop_maker = CropMaker(settings, torch.device("cpu"))
    views = PatchViews(shards, settings.augmentation, settings.seed)
    for count in (5, 2, 5):
        assert crop_maker(views.__getitems__(KEYS[:count]))[0].shape[1] == count


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_a_gpu_gives_the_same_crops_from_pinned_memory_without_waiting(settings, shards, probability):
    from torch.utils.data._utils.pin_memory import pin_memory

    settings = replace(settings, augmentation=replace(settings.augmentation, stain_probability=probability))
    batch = pin_memory(PatchViews(shards, settings.augmentation, settings.seed, on_device=True).__getitems__(KEYS))
    assert batch.patches.is_pinned()
    assert all(table.is_pinned() for table in batch.parameters)
    crop_maker = CropMaker(settings, torch.device("cuda"))
    crop_maker(batch)
    torch.cuda.set_sync_debug_mode("error")
    try:
        crops = crop_maker(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    check_same(settings, crops_of(settings, shards, on_device=False), crops)
