import cv2
import numpy as np
import pytest

from histossl.tiles.tissue import TissueSettings, segment_tissue

WHITE = (245, 244, 246)
PINK = (214, 120, 180)


@pytest.fixture
def settings(tissue_settings):
    return lambda **changed: TissueSettings(**{**tissue_settings, "spacing_um": 8.0, "min_area_mm2": 0.02, **changed})


def canvas(height=300, width=400):
    """Glass with the faint noise of a scanner."""
    noise = np.random.default_rng(1).normal(0, 1.5, (height, width, 3))
    return np.clip(np.array(WHITE) + noise, 0, 255).astype(np.uint8)


def disc(centre, radius, height=300, width=400):
    return cv2.circle(np.zeros((height, width), np.uint8), centre, radius, 1, -1).astype(bool)


def stain(picture, where, colour=PINK, sd=12):
    noise = np.random.default_rng(2).normal(0, sd, picture.shape)
    picture[where] = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)[where]
    return picture


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_a_blob_is_found(settings):
    truth = disc((200, 150), 90)
    tissue = segment_tissue(stain(canvas(), truth), settings())
    assert iou(tissue.mask, truth) > 0.97
    assert not tissue.relaxed
    assert not tissue.pen.any()


def test_on_an_empty_slide_nothing_is_found(settings):
    tissue = segment_tissue(canvas(), settings())
    assert not tissue.mask.any()
    assert not tissue.relaxed


def test_pale_tissue_beside_dark_tissue_is_kept(settings):
    dark, pale = disc((120, 150), 60), disc((290, 150), 60)
    picture = stain(stain(canvas(), dark, (150, 40, 130)), pale, (236, 205, 224), 3)
    mask = segment_tissue(picture, settings()).mask
    assert mask[pale].mean() > 0.9
    assert iou(mask, dark | pale) > 0.9


@pytest.mark.parametrize("ink", [(20, 140, 60), (30, 60, 200), (220, 20, 30), (40, 40, 42)])
def test_a_pen_stroke_is_left_out(settings, ink):
    truth = disc((250, 150), 80)
    picture = stain(canvas(), truth)
    stroke = np.zeros(truth.shape, np.uint8)
    cv2.line(stroke, (40, 20), (60, 280), 1, 9)
    picture[stroke.astype(bool)] = ink
    tissue = segment_tissue(picture, settings())
    assert tissue.pen[stroke.astype(bool)].all()
    assert not tissue.mask[stroke.astype(bool)].any()
    assert iou(tissue.mask, truth) > 0.95


def test_pen_is_kept_when_told_to(settings):
    picture = canvas()
    picture[100:200, 100:200] = (20, 140, 60)
    tissue = segment_tissue(picture, settings(exclude_pen=False))
    assert tissue.mask[110:190, 110:190].all()
    assert not tissue.pen.any()


def test_a_slide_covered_by_ink_holds_no_tissue(settings):
    picture = np.full((100, 100, 3), (20, 140, 60), np.uint8)
    assert not segment_tissue(picture, settings()).mask.any()


@pytest.mark.parametrize("exclude_pen", [True, False])
def test_scanner_fill_is_left_out(settings, exclude_pen):
    truth = disc((250, 150), 80)
    picture = stain(canvas(), truth)
    picture[:, :100] = (0, 0, 0)
    picture[:, 100:110] = (20, 0, 10)
    mask = segment_tissue(picture, settings(exclude_pen=exclude_pen)).mask
    assert not mask[:, :110].any()
    assert iou(mask, truth) > 0.95


def test_large_holes_stay_and_small_ones_are_filled(settings):
    large, small = disc((170, 150), 20), disc((240, 150), 6)
    picture = stain(canvas(), disc((200, 150), 100) & ~large & ~small)
    px_mm2 = (8 / 1000) ** 2
    mask = segment_tissue(picture, settings(min_hole_mm2=300 * px_mm2)).mask
    assert mask[large].mean() < 0.15
    assert mask[small].all()


def test_small_pieces_are_dropped(settings):
    large, small = disc((250, 150), 60), disc((60, 60), 8)
    picture = stain(canvas(), large | small)
    px_mm2 = (8 / 1000) ** 2
    assert not segment_tissue(picture, settings(min_area_mm2=500 * px_mm2)).mask[small].any()
    assert segment_tissue(picture, settings(min_area_mm2=50 * px_mm2)).mask[small].mean() > 0.8


def test_faint_tissue_is_found_by_the_second_try_alone(settings):
    truth = disc((200, 150), 80)
    picture = stain(np.full((300, 400, 3), 244, np.uint8), truth, (240, 229, 236), 0)
    saturation = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[150, 200, 1]
    assert 8 < saturation <= 12
    tissue = segment_tissue(picture, settings())
    assert tissue.relaxed
    assert tissue.threshold == 8
    assert iou(tissue.mask, truth) > 0.95
    assert not segment_tissue(picture, settings(relaxed_saturation=20)).mask.any()


def test_a_fixed_threshold_is_used_as_given(settings):
    truth = disc((200, 150), 80)
    picture = stain(canvas(), truth)
    assert segment_tissue(picture, settings(threshold=40)).threshold == 40.0
    assert not segment_tissue(picture, settings(threshold=250, relaxed_saturation=250)).mask.any()


def test_otsu_stays_within_its_bounds(settings):
    hsv = np.full((100, 256, 3), (150, 0, 220), np.uint8)
    hsv[..., 1] = np.arange(256)
    saturations = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    assert 100 < segment_tissue(saturations, settings(max_saturation=255, exclude_pen=False)).threshold < 155
    assert segment_tissue(saturations, settings(exclude_pen=False)).threshold == 30
    assert segment_tissue(canvas(), settings(relaxed_saturation=0)).threshold in (0, 12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2)])
def test_tiny_pictures_are_no_problem(settings, shape):
    assert segment_tissue(np.full((*shape, 3), 240, np.uint8), settings()).mask.shape == shape
