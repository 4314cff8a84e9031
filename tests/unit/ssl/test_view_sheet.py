import cv2
import numpy as np

from histossl.ssl.settings import ViewSettings, read_augmentation
from histossl.ssl.view_sheet import HEADER_PX, MARGIN_PX, WIDTH_PX, choose_patches, compose_sheet, describe_kind
from tests.unit.ssl.conftest import AUGMENTATION

SLIDES = np.repeat(np.arange(20), 5)


def test_patches_are_of_slides_spread_over_all_and_always_the_same():
    chosen = choose_patches(SLIDES, 6, seed=1)
    assert SLIDES[chosen].tolist() == [0, 4, 8, 11, 15, 19]
    assert chosen == choose_patches(SLIDES, 6, seed=1)
    assert chosen != choose_patches(SLIDES, 6, seed=2)


def test_few_slides_give_several_patches_each_and_none_twice():
    chosen = choose_patches(SLIDES[:10], 6, seed=0)
    assert set(SLIDES[chosen]) == {0, 1}
    assert 2 < len(chosen) == len(set(chosen))


def test_a_kind_of_view_is_described():
    view = ViewSettings(8, 96, (0.05, 0.4), blur_probability=0.5, solarise_probability=0.0)
    assert describe_kind(view) == ["8 x 96 px, 5-40% of the area", "blur 0.5, solarise 0"]


def draw(view_px: int, count: int, patch_px: int):
    values = {**AUGMENTATION, "views": [{**AUGMENTATION["views"][0], "px": view_px, "count": count}]}
    patches = [np.full((patch_px, patch_px, 3), (200, 0, 0), np.uint8)] * 2
    views = [[np.full((view_px, view_px, 3), (0, 10 + i, 0), np.uint8) for i in range(count)]] * 2
    return compose_sheet(patches, views, ["a", "b"], read_augmentation(values))


def test_each_row_shows_the_patch_and_all_its_views_at_one_scale():
    sheet = draw(view_px=16, count=2, patch_px=24)  # three times as large
    patch = (sheet == (200, 0, 0)).all(2)
    ys, xs = np.nonzero(patch)
    assert (xs.min(), np.ptp(xs) + 1) == (MARGIN_PX, 72)
    assert patch.sum() == 2 * 72**2
    assert ys.min() == HEADER_PX
    for i in range(2):
        view = (sheet == (0, 10 + i, 0)).all(2)
        assert view.sum() == 2 * 48**2
        assert np.nonzero(view)[1].min() == MARGIN_PX + 72 + MARGIN_PX + i * (48 + MARGIN_PX)


def test_many_large_views_fit_the_sheet():
    sheet = draw(view_px=224, count=12, patch_px=256)
    assert abs(sheet.shape[1] - WIDTH_PX) < 20
    assert cv2.imencode(".jpg", sheet)[0]
