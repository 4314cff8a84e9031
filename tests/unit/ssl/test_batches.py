import multiprocessing

import numpy as np
import pytest
import torch

from histossl.errors import JobError, UserError
from histossl.ssl.batches import PatchViews, StepSampler, load_batches
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings
from histossl.ssl.views import draw_views
from histossl.tiles.shards import ShardSet

SLIDES = np.repeat([0, 1, 2], [50, 5, 10])


def steps_of(first_step=0, last_step=16, process=0, process_count=1, sampling="uniform"):
    return list(StepSampler(SLIDES, sampling, 8, 7, first_step, last_step, process, process_count))


def test_an_epoch_visits_each_patch_at_most_once_and_drops_the_incomplete_batch():
    steps = steps_of()
    for epoch in (0, 1):
        keys = [key for step in steps[8 * epoch : 8 * epoch + 8] for key in step]
        assert {key[0] for key in keys} == {epoch}
        assert len({index for _, index in keys}) == len(keys) == 64
        assert {index for _, index in keys} <= set(range(65))
    assert steps[:8] != steps[8:]


def test_processes_split_the_same_global_batches():
    whole = steps_of()
    halves = [steps_of(process=process, process_count=2) for process in range(2)]
    for step, first, second in zip(whole, *halves, strict=True):
        assert len(first) == len(second) == 4
        assert sorted(first + second) == sorted(step)


def test_a_resumed_sampler_goes_on_where_it_stopped():
    assert steps_of(first_step=11) == steps_of()[11:]


def test_slide_balanced_sampling_draws_each_slide_equally_often():
    indices = [index for step in steps_of(last_step=8, sampling="slide_balanced") for _, index in step]
    counts = np.bincount(SLIDES[indices])
    assert counts.max() - counts.min() <= 2
    # Within a slide all patches come equally often too: 22 draws from 5 patches are 4 or 5 of each.
    assert np.ptp(np.bincount(indices, minlength=65)[50:55]) <= 2


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(UserError, match="hold 65 patches, fewer than a batch of 66"):
        StepSampler(SLIDES, "uniform", 66, 0, 0, 1)


def test_a_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(UserError, match="batch of 8 can't be shared evenly among 3"):
        StepSampler(SLIDES, "uniform", 8, 0, 0, 1, 0, 3)


def test_batches_are_the_same_with_and_without_workers(shards, dino_values):
    settings = read_settings(dino_values, METHODS)
    views = PatchViews(shards, settings.augmentation, settings.seed)
    sampler = StepSampler(shards.slide_index, "uniform", 8, 0, 0, 5)
    here = list(load_batches(views, sampler, workers=0, pin_memory=False))
    there = list(load_batches(views, sampler, workers=2, pin_memory=False))
    assert len(here) == len(there) == 5
    for one, other in zip(here, there, strict=True):
        assert [crop.shape for crop in one.crops] == [(2, 8, 16, 16, 3), (2, 8, 8, 8, 3)]
        assert all(torch.equal(a, b) for a, b in zip(one.crops, other.crops, strict=True))
    assert not torch.equal(here[0].crops[0][0], here[0].crops[0][1])


def test_a_batch_for_the_device_holds_patches_and_parameters(shards, dino_values):
    settings = read_settings(dino_values, METHODS)
    views = PatchViews(shards, settings.augmentation, settings.seed, on_device=True)
    sampler = StepSampler(shards.slide_index, "uniform", 8, 0, 0, 2)
    keys = list(sampler)
    for step, batch in enumerate(load_batches(views, sampler, workers=1, pin_memory=False)):
        assert not batch.crops
        for patch, (_, index) in zip(batch.patches, keys[step], strict=True):
            np.testing.assert_array_equal(patch, shards.read(index))
        drawn = draw_views(settings.augmentation, 24, settings.seed, 0, [index for _, index in keys[step]])
        for table, own in zip(batch.parameters, (slice(0, 2), slice(2, 4)), strict=True):
            np.testing.assert_array_equal(table, drawn.table[:, own])


@pytest.mark.parametrize("on_device", [False, True])
def test_a_damaged_patch_is_replaced_by_the_next_and_named(shard_paths, dino_values, on_device):
    import h5py

    with h5py.File(shard_paths[0], "r+") as file:
        offsets = file["offsets"][:]
        file["jpeg"][offsets[4] : offsets[5]] = 0
    settings = read_settings(dino_values, METHODS)
    with ShardSet(shard_paths) as shards:
        views = PatchViews(shards, settings.augmentation, 0, on_device)
        batch = views.__getitems__([(0, 3), (0, 4)])
        (sentence,) = batch.damaged
        assert "patch 4" in sentence
        assert str(shard_paths[0]) in sentence
        np.testing.assert_array_equal(views.read_or_replace(4, []), shards.read(5))
        if on_device:
            np.testing.assert_array_equal(batch.patches[1], shards.read(5))


@pytest.mark.parametrize("workers", [0, 1])
def test_shards_that_cannot_be_read_end_the_run_with_one_sentence(shard_paths, dino_values, workers):
    with ShardSet(shard_paths) as shards:
        for path in shard_paths:
            content = path.read_bytes()
            path.write_bytes(content.replace(b"\xff\xd8\xff", b"\0\0\0"))
        augmentation = read_settings(dino_values, METHODS).augmentation
        sampler = StepSampler(shards.slide_index, "uniform", 8, 1, 0, 1)
        batches = load_batches(PatchViews(shards, augmentation, 1), sampler, workers, pin_memory=False)
        with pytest.raises(
            UserError, match=r"^32 patches in a row can't be read, of which the last: .*damaged"
        ) as error:
            next(batches)
    assert "\n" not in str(error.value)


def test_a_loader_process_that_is_killed_is_named(shards, dino_values):
    augmentation = read_settings(dino_values, METHODS).augmentation
    sampler = StepSampler(shards.slide_index, "uniform", 8, 1, 0, 400)
    batches = load_batches(PatchViews(shards, augmentation, 1), sampler, 1, pin_memory=False)
    next(batches)
    (worker,) = multiprocessing.active_children()
    worker.kill()
    with pytest.raises(JobError, match="ended from outside"):
        for _ in batches:
            pass
