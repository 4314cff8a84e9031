from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop

from histossl.ssl.settings import AugmentationSettings, ViewSettings
from histossl.ssl.views import LUMA, blur_taps, draw_views
from tests.unit.ssl.conftest import AUGMENTATION, PLAIN_AUGMENTATION

VIEWS = (
    ViewSettings(count=2, px=16, scale=(0.4, 1.0), blur_probability=1.0, solarise_probability=0.5),
    ViewSettings(count=1, px=8, scale=(0.1, 0.4), blur_probability=0.0, solarise_probability=0.0),
)
SETTINGS = AugmentationSettings(**{**AUGMENTATION, "views": VIEWS})


def test_parameters_depend_on_seed_epoch_and_patch_but_not_on_the_batch():
    together = draw_views(SETTINGS, 24, seed=1, epoch=2, indices=[5, 9, 7])
    alone = draw_views(SETTINGS, 24, seed=1, epoch=2, indices=[9])
    np.testing.assert_array_equal(together.table[1], alone.table[0])
    for seed, epoch, index in ((2, 2, 9), (1, 3, 9), (1, 2, 8)):
        assert not np.array_equal(draw_views(SETTINGS, 24, seed, epoch, [index]).box, alone.box)


def test_boxes_are_whole_pixels_within_the_patch_and_reach_its_borders():
    left, top, width, height = np.moveaxis(draw_views(SETTINGS, 24, 0, 0, range(500)).box, -1, 0)
    for start, length in ((left, width), (top, height)):
        np.testing.assert_array_equal([start, length], np.rint([start, length]))
        assert start.min() == 0
        assert (start + length).max() == 24
        assert length.min() >= 1


def test_crops_have_the_sizes_and_places_that_torchvision_draws():
    torch.manual_seed(0)
    settings = replace(SETTINGS, views=(replace(VIEWS[0], count=1, scale=(0.2, 1.0)),))
    ours = draw_views(settings, 100, seed=0, epoch=0, indices=range(4000)).box[:, 0]
    image = torch.zeros(3, 100, 100)
    boxes = [RandomResizedCrop.get_params(image, [0.2, 1.0], [0.75, 1.3333]) for _ in range(4000)]
    theirs = np.array(boxes)[:, [1, 0, 3, 2]].astype(float)
    # Quantiles agree within the sampling error of 4000 draws.
    np.testing.assert_allclose(np.sort(ours, 0)[::200], np.sort(theirs, 0)[::200], atol=2.5)


@pytest.mark.parametrize("aspect", [(1.5, 2.0), (0.4, 0.6), (0.75, 1.3333)])
def test_a_box_that_never_fits_is_the_one_in_the_middle_that_torchvision_takes(aspect):
    # With an area beyond the patch's no box ever fits.
    settings = replace(SETTINGS, aspect=aspect, views=(replace(VIEWS[0], count=1, scale=(4.0, 4.0)),))
    (box,) = draw_views(settings, 100, seed=0, epoch=0, indices=[0]).box[:, 0]
    top, left, height, width = RandomResizedCrop.get_params(torch.zeros(3, 100, 100), [4.0, 4.0], list(aspect))
    assert box.tolist() == [left, top, width, height]


def test_hue_turns_leave_grey_and_luma_as_they_are():
    settings = replace(PLAIN_AUGMENTATION, jitter_probability=1.0, hue=0.5, brightness=0, contrast=0, saturation=0)
    matrices = draw_views(settings, 24, seed=0, epoch=0, indices=range(10)).colour_matrix[:, 0]
    np.testing.assert_allclose(matrices @ np.ones(3), np.ones((10, 3)), atol=1e-6)
    np.testing.assert_allclose(LUMA @ matrices, np.tile(LUMA, (10, 1)), atol=1e-6)
    assert np.abs(matrices - np.eye(3)).max() > 0.5


@pytest.mark.parametrize(("view", "blurred"), [(0, True), (1, True), (2, False)])
def test_probabilities_belong_to_their_kind_of_view(view, blurred):
    parameters = draw_views(replace(SETTINGS, blur_sigma=(0.5, 2.0)), 24, seed=0, epoch=0, indices=range(50))
    assert ((parameters.blur_taps[:, view, 0] < 1) == blurred).all()
    assert parameters.solarised[:, view].any() == (view < 2)


def test_blur_taps_are_a_gaussian_in_whole_256ths_that_sum_to_one():
    sigma = np.array([0.0, 0.1, 0.5, 1.0, 2.0])
    taps = blur_taps(sigma, radius=6)
    both_sides = np.concatenate([taps[:, :0:-1], taps], axis=1)
    np.testing.assert_array_equal(both_sides.sum(1), 1.0)
    np.testing.assert_array_equal(256 * taps, np.rint(256 * taps))
    np.testing.assert_array_equal(taps[:2], [[1, 0, 0, 0, 0, 0, 0]] * 2)
    for own, of in zip(taps, sigma, strict=True):
        if of > 0:
            np.testing.assert_allclose(own[1:], cv2.getGaussianKernel(13, of)[7:, 0], atol=0.51 / 256)


def test_a_gaussian_reaches_no_further_than_the_smallest_view():
    taps = draw_views(replace(SETTINGS, blur_sigma=(5.0, 5.0)), 24, seed=0, epoch=0, indices=[0]).blur_taps
    assert taps.shape[-1] == 8
    np.testing.assert_allclose(taps[..., 0] + 2 * taps[..., 1:].sum(-1), 1.0)


def test_a_jitter_of_more_than_one_turns_no_colour_into_its_negative():
    settings = replace(SETTINGS, jitter_probability=1.0, brightness=1.2, contrast=0.0, saturation=0.0, hue=0.0)
    brightness = draw_views(settings, 24, 1, 0, range(400)).colour_matrix.sum((-2, -1)) / 3
    assert brightness.min() >= 0
    assert brightness.max() <= 2.2
    assert brightness.mean() == pytest.approx(1.1, abs=0.06)
