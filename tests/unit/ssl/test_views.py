from dataclasses import fields, replace

import numpy as np
import pytest
from torchvision.transforms import RandomResizedCrop

from histossl.ssl.settings import AugmentationSettings, ViewSettings
from histossl.ssl.views import LUMA, RGB_FROM_HED, draw_views, warp_matrices
from histossl.ssl.views_opencv import make_view
from tests.unit.ssl.conftest import AUGMENTATION

VIEWS = (
    ViewSettings(count=2, px=16, scale=(0.4, 1.0), blur_probability=1.0, solarise_probability=0.5),
    ViewSettings(count=1, px=8, scale=(0.1, 0.4), blur_probability=0.0, solarise_probability=0.0),
)
SETTINGS = AugmentationSettings(**{**AUGMENTATION, "views": VIEWS})
PLAIN = replace(
    SETTINGS,
    views=(ViewSettings(count=1, px=24, scale=(1.0, 1.0), blur_probability=0.0, solarise_probability=0.0),),
    aspect=(1.0, 1.0),
    jitter_probability=0.0,
    stain_probability=0.0,
    grayscale_probability=0.0,
)
PATCH = np.random.default_rng(1).integers(40, 216, (24, 24, 3), np.uint8)


def test_parameters_depend_on_seed_epoch_and_patch_but_not_on_the_batch():
    together = draw_views(SETTINGS, 24, seed=1, epoch=2, indices=[5, 9, 7])
    alone = draw_views(SETTINGS, 24, seed=1, epoch=2, indices=[9])
    for field in fields(together):
        np.testing.assert_array_equal(getattr(together, field.name)[1], getattr(alone, field.name)[0])
    for seed, epoch, index in ((2, 2, 9), (1, 3, 9), (1, 2, 8)):
        assert not np.array_equal(draw_views(SETTINGS, 24, seed, epoch, [index]).warp, alone.warp)


def test_all_eight_orientations_occur_and_are_exact():
    parameters = draw_views(PLAIN, 24, seed=0, epoch=0, indices=range(200))
    seen = {make_view(PATCH, parameters, position, 0, 24).tobytes() for position in range(200)}
    turned = [np.rot90(PATCH, quarter) for quarter in range(4)]
    assert seen == {picture.tobytes() for one in turned for picture in (one, one[:, ::-1])}


def test_a_crop_shows_the_box_it_was_drawn_for():
    picture = np.dstack([np.tile(np.arange(24.0), (24, 1)), np.tile(np.arange(24.0)[:, None], (1, 24))])
    warp = warp_matrices(*(np.array(value) for value in (4.0, 10.0, 8.0, 12.0, 0, 4)))
    x, y = np.meshgrid(np.arange(4), np.arange(4))
    source = warp @ np.stack([x.ravel(), y.ravel(), np.ones(16)])
    # Centres of 4 equal parts of 4..12 and of 10..22, as pixel indices.
    np.testing.assert_allclose(source[0].reshape(4, 4)[0], [4.5, 6.5, 8.5, 10.5])
    np.testing.assert_allclose(source[1].reshape(4, 4)[:, 0], [11.0, 14.0, 17.0, 20.0])
    assert picture.shape == (24, 24, 2)


def test_crops_have_the_sizes_that_torchvision_draws():
    import torch

    torch.manual_seed(0)
    settings = replace(SETTINGS, views=(replace(VIEWS[0], count=1, scale=(0.2, 1.0)),))
    warp = draw_views(settings, 100, seed=0, epoch=0, indices=range(4000)).warp[:, 0]
    ours = np.sort(np.abs(warp[:, :, :2]).sum(2) * 16, axis=0)
    image = torch.zeros(3, 100, 100)
    boxes = [RandomResizedCrop.get_params(image, [0.2, 1.0], [0.75, 1.3333]) for _ in range(4000)]
    theirs = np.sort(np.array(boxes)[:, 2:].astype(float), axis=0)
    # Quantiles agree within the sampling error of 4000 draws.
    for axis in range(2):
        np.testing.assert_allclose(ours[::200, axis], theirs[::200, axis], atol=2.5)


def test_a_view_without_jitter_is_the_patch():
    parameters = draw_views(PLAIN, 24, seed=0, epoch=0, indices=[0])
    parameters.warp[0, 0] = [[1, 0, 0], [0, 1, 0]]
    np.testing.assert_array_equal(make_view(PATCH, parameters, 0, 0, 24), PATCH)


def test_colour_jitter_follows_its_definition():
    settings = replace(PLAIN, jitter_probability=1.0, hue=0.0, brightness=0.2, contrast=0.2, saturation=0.5)
    parameters = draw_views(settings, 24, seed=4, epoch=0, indices=range(20))
    parameters.warp[:] = [[1, 0, 0], [0, 1, 0]]
    from histossl.ssl import views

    for position in range(20):
        numbers = np.random.default_rng([4, 0, position]).random((1, views.NUMBERS))[0]
        brightness, contrast, saturation = (
            1 + spread * (2 * numbers[column] - 1)
            for column, spread in ((views.BRIGHTNESS, 0.2), (views.CONTRAST, 0.2), (views.SATURATION, 0.5))
        )
        expected = brightness * PATCH.astype(float)
        expected = contrast * expected + (1 - contrast) * (expected @ LUMA).mean()
        expected = saturation * expected + (1 - saturation) * (expected @ LUMA)[..., None]
        shown = make_view(PATCH, parameters, position, 0, 24)
        np.testing.assert_allclose(shown, np.clip(expected, 0, 255), atol=1.0)


def test_hue_turns_leave_grey_and_luma_as_they_are():
    settings = replace(PLAIN, jitter_probability=1.0, hue=0.5, brightness=0.0, contrast=0.0, saturation=0.0)
    matrices = draw_views(settings, 24, seed=0, epoch=0, indices=range(10)).colour_matrix[:, 0]
    np.testing.assert_allclose(matrices @ np.ones(3), np.ones((10, 3)), atol=1e-12)
    np.testing.assert_allclose(LUMA @ matrices, np.tile(LUMA, (10, 1)), atol=1e-12)
    assert np.abs(matrices - np.eye(3)).max() > 0.5


def test_greyscale_makes_channels_equal():
    parameters = draw_views(replace(PLAIN, grayscale_probability=1.0), 24, seed=0, epoch=0, indices=[0])
    view = make_view(PATCH, parameters, 0, 0, 24)
    assert (np.ptp(view.astype(int), axis=2) == 0).all()
    assert np.ptp(view) > 50


def test_stain_jitter_scales_and_shifts_each_stain():
    settings = replace(PLAIN, stain_probability=1.0, stain_scale=0.3, stain_shift=0.05)
    parameters = draw_views(settings, 24, seed=0, epoch=0, indices=[3])
    stains_before = -np.log(PATCH / 255.0) @ np.linalg.inv(RGB_FROM_HED)
    parameters.warp[:] = [[1, 0, 0], [0, 1, 0]]
    from histossl.ssl import views

    numbers = np.random.default_rng([0, 0, 3]).random((1, views.NUMBERS))[0]
    scale = 1 + 0.3 * (2 * numbers[views.STAIN_SCALE] - 1)
    shift = 0.05 * (2 * numbers[views.STAIN_SHIFT] - 1)
    expected = 255 * np.exp(-((stains_before * scale + shift) @ RGB_FROM_HED))
    np.testing.assert_allclose(make_view(PATCH, parameters, 0, 0, 24), np.clip(expected, 0, 255), atol=0.6)


def test_solarise_inverts_bright_values():
    parameters = draw_views(
        replace(PLAIN, views=(replace(PLAIN.views[0], solarise_probability=1.0),)), 24, seed=0, epoch=0, indices=[0]
    )
    parameters.warp[:] = [[1, 0, 0], [0, 1, 0]]
    np.testing.assert_array_equal(make_view(PATCH, parameters, 0, 0, 24), np.where(PATCH < 128, PATCH, 255 - PATCH))


@pytest.mark.parametrize(("view", "blurred"), [(0, True), (1, True), (2, False)])
def test_probabilities_belong_to_their_kind_of_view(view, blurred):
    parameters = draw_views(SETTINGS, 24, seed=0, epoch=0, indices=range(50))
    assert ((parameters.blur_sigma[:, view] > 0) == blurred).all()
    assert parameters.solarised[:, view].any() == (view < 2)
