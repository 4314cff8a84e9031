from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from histossl.ssl import views
from histossl.ssl.views import LUMA, RGB_FROM_HED, draw_views
from histossl.ssl.views_opencv import make_views
from tests.unit.ssl.conftest import PLAIN_AUGMENTATION as PLAIN

PATCH = np.random.default_rng(1).integers(40, 216, (24, 24, 3), np.uint8)


def upright(settings, seed=0, indices=(0,)):
    """Parameters of whole patches that are not turned."""
    parameters = draw_views(settings, 24, seed, 0, indices)
    parameters.orientation[:] = 0
    return parameters


def numbers_of(seed, index):
    """The random numbers of the first view of patch `index`."""
    return np.random.default_rng([seed, 0, index]).random((1, views.NUMBERS))[0]


def test_all_eight_orientations_occur_and_are_exact():
    parameters = draw_views(PLAIN, 24, seed=0, epoch=0, indices=range(200))
    seen = {make_views(PATCH, parameters.at(position), [24])[0].tobytes() for position in range(200)}
    turned = [np.rot90(PATCH, quarter) for quarter in range(4)]
    assert seen == {picture.tobytes() for one in turned for picture in (one, one[:, ::-1])}


@pytest.mark.parametrize("px", [10, 40])
def test_a_crop_is_what_pillow_makes_of_its_box(px):
    settings = replace(PLAIN, views=(replace(PLAIN.views[0], px=px, scale=(0.2, 0.9)),), aspect=(0.75, 1.3333))
    parameters = upright(settings, indices=range(20))
    for position in range(20):
        left, top, width, height = parameters.box[position, 0]
        box = (left, top, left + width, top + height)
        expected = Image.fromarray(PATCH).crop(box).resize((px, px), Image.Resampling.BICUBIC)
        (view,) = make_views(PATCH, parameters.at(position), [px])
        np.testing.assert_allclose(view.astype(int), np.asarray(expected).astype(int), atol=1)


def test_a_view_without_changes_is_the_patch():
    np.testing.assert_array_equal(make_views(PATCH, upright(PLAIN).at(0), [24])[0], PATCH)


def test_colour_jitter_follows_its_definition():
    settings = replace(PLAIN, jitter_probability=1.0, hue=0.0, brightness=0.2, contrast=0.2, saturation=0.5)
    parameters = upright(settings, seed=4, indices=range(20))
    for position in range(20):
        numbers = numbers_of(4, position)
        brightness, contrast, saturation = (
            1 + spread * (2 * numbers[column] - 1)
            for column, spread in ((views.BRIGHTNESS, 0.2), (views.CONTRAST, 0.2), (views.SATURATION, 0.5))
        )
        expected = brightness * PATCH.astype(float)
        expected = contrast * expected + (1 - contrast) * (expected @ LUMA).mean()
        expected = saturation * expected + (1 - saturation) * (expected @ LUMA)[..., None]
        (shown,) = make_views(PATCH, parameters.at(position), [24])
        np.testing.assert_allclose(shown, np.clip(expected, 0, 255), atol=1.0)


def test_greyscale_makes_channels_equal():
    (view,) = make_views(PATCH, upright(replace(PLAIN, grayscale_probability=1.0)).at(0), [24])
    assert (np.ptp(view.astype(int), axis=2) == 0).all()
    assert np.ptp(view) > 50


def test_stain_jitter_scales_and_shifts_each_stain():
    settings = replace(PLAIN, stain_probability=1.0, stain_scale=0.3, stain_shift=0.05)
    stains_before = -np.log(PATCH / 255.0) @ np.linalg.inv(RGB_FROM_HED)
    numbers = numbers_of(0, 3)
    scale = 1 + 0.3 * (2 * numbers[views.STAIN_SCALE] - 1)
    shift = 0.05 * (2 * numbers[views.STAIN_SHIFT] - 1)
    expected = 255 * np.exp(-((stains_before * scale + shift) @ RGB_FROM_HED))
    (view,) = make_views(PATCH, upright(settings, indices=[3]).at(0), [24])
    np.testing.assert_allclose(view, np.clip(expected, 0, 255), atol=0.6)


def test_blur_is_a_gaussian_blur():
    settings = replace(PLAIN, views=(replace(PLAIN.views[0], blur_probability=1.0),), blur_sigma=(0.5, 2.0))
    parameters = upright(settings, indices=range(10))
    for position in range(10):
        sigma = 0.5 + 1.5 * numbers_of(0, position)[views.BLUR_SIGMA]
        expected = cv2.GaussianBlur(PATCH.astype(float), (13, 13), sigma)
        (view,) = make_views(PATCH, parameters.at(position), [24])
        np.testing.assert_allclose(view, expected, atol=2.0)


def test_solarise_inverts_bright_values():
    parameters = upright(replace(PLAIN, views=(replace(PLAIN.views[0], solarise_probability=1.0),)))
    (view,) = make_views(PATCH, parameters.at(0), [24])
    np.testing.assert_array_equal(view, np.where(PATCH < 128, PATCH, 255 - PATCH))
