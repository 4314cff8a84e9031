import numpy as np

from histossl.slides.glass import lay_over_glass


def test_transparency_blends_into_white():
    rgba = np.array([[[10, 20, 30, 255], [0, 0, 0, 0], [100, 50, 0, 128]]], np.uint8)
    got = np.zeros((1, 3, 3), np.uint8)
    lay_over_glass(rgba, got)
    weight = 128 / 255
    half = [100 * weight + 255 * (1 - weight), 50 * weight + 255 * (1 - weight), 255 * (1 - weight)]
    np.testing.assert_allclose(got[0], [[10, 20, 30], [255, 255, 255], half], atol=0.5)


def test_a_view_into_a_batch_is_filled_in_place():
    rgba = np.random.default_rng(0).integers(0, 256, (30, 40, 4), np.uint8)
    rgba[..., 3] = 255
    batch = np.zeros((3, 30, 40, 3), np.uint8)
    lay_over_glass(rgba, batch[1])
    np.testing.assert_array_equal(batch[1], rgba[..., :3])
    assert not batch[0].any() and not batch[2].any()
    strip = np.zeros((50, 40, 3), np.uint8)
    lay_over_glass(rgba, strip[:30])
    np.testing.assert_array_equal(strip[:30], rgba[..., :3])
