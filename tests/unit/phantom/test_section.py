import numpy as np

from histossl.phantom.section import CODE, Section
from histossl.phantom.structures import LYMPHOCYTE


def section(regions=None):
    return Section(np.zeros((40, 60), np.uint8) if regions is None else regions, 0.5, np.random.default_rng(0))


def test_scattered_points_lie_in_the_named_class_at_the_stated_density():
    regions = np.zeros((200, 200), np.uint8)
    regions[:, 100:] = CODE["stroma"]
    drawn = section(regions)
    points = drawn.scatter(8.0, 0.1, "stroma")
    assert (points[:, 0] >= 200).all()
    area_um2 = 200 * 400
    np.testing.assert_allclose(len(points), area_um2 / (8.0**2 * 0.866), rtol=0.05)


def test_a_stamp_is_centred_on_its_point():
    drawn = section()
    drawn.stamp(LYMPHOCYTE, np.array([[60.0, 25.0]]), tumour=True)
    y, x = np.nonzero(drawn.inner(drawn.tumour))
    np.testing.assert_allclose([x.mean() * 0.5, y.mean() * 0.5], [60.0, 25.0], atol=0.6)
    assert drawn.inner(drawn.haematoxylin)[50, 120] > 80


def test_stamps_over_the_border_are_cut_off_not_moved():
    drawn = section()
    drawn.stamp(LYMPHOCYTE, np.array([[0.0, 0.0], [119.5, 79.5], [5000.0, 5000.0]]), tumour=True)
    covered = drawn.inner(drawn.tumour) > 0
    assert covered[0, 0]
    assert covered[-1, -1]
    assert not covered[20:-20, 20:-20].any()


def test_a_filled_outline_has_its_area():
    drawn = section()
    bearing = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    drawn.fill(np.array([50.0, 40.0]) + 20 * np.stack([np.cos(bearing), np.sin(bearing)], 1), haematoxylin=7, eosin=100)
    np.testing.assert_allclose(drawn.eosin.sum() / 100 * 0.25, np.pi * 20**2, rtol=0.05)
    assert drawn.inner(drawn.haematoxylin)[80, 100] == 7
