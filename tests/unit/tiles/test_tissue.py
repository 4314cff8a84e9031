import cv2
import numpy as np
import pytest

from histossl.tiles.tissue import TissueSettings, segment_tissue

WHITE = (245, 244, 246)
PINK = (214, 120, 180)
PX_MM2 = (8 / 1000) ** 2
BOTH = pytest.mark.parametrize("threshold", ["glass", "otsu"])


@pytest.fixture
def settings(tissue_settings):
    at_8_um = {"spacing_um": 8.0, "min_area_mm2": 0.02, "min_hole_mm2": 0.0002, "smooth_um": 40.0, "close_um": 40.0}
    return lambda **changed: TissueSettings(**{**tissue_settings, **at_8_um, **changed})


def canvas(height=300, width=400, colour=WHITE):
    """Glass with the faint noise of a scanner."""
    noise = np.random.default_rng(1).normal(0, 1.0, (height, width, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def disc(centre, radius, height=300, width=400):
    return cv2.circle(np.zeros((height, width), np.uint8), centre, radius, 1, -1).astype(bool)


def stain(picture, where, colour=PINK, sd=12):
    noise = np.random.default_rng(2).normal(0, sd, picture.shape)
    picture[where] = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)[where]
    return picture


def draw_stroke(picture, ink):
    """A line 72 µm wide, 2 mm long; where it lies."""
    stroke = np.zeros(picture.shape[:2], np.uint8)
    cv2.line(stroke, (40, 20), (60, 280), 1, 9)
    picture[stroke > 0] = ink
    return stroke > 0


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


@BOTH
@pytest.mark.parametrize("spacing_um", [8.0, 16.0])
def test_a_blob_is_found(settings, threshold, spacing_um):
    truth = disc((200, 150), 90)
    tissue = segment_tissue(stain(canvas(), truth), settings(threshold=threshold, spacing_um=spacing_um))
    assert iou(tissue.mask, truth) > 0.97
    assert not tissue.relaxed
    assert not tissue.pen.any()
    assert not tissue.fill.any()


@BOTH
def test_on_an_empty_slide_nothing_is_found(settings, threshold):
    tissue = segment_tissue(canvas(), settings(threshold=threshold))
    assert not tissue.mask.any()
    assert not tissue.relaxed


@BOTH
def test_pale_tissue_beside_dark_tissue_is_kept(settings, threshold):
    dark, pale = disc((120, 150), 60), disc((290, 150), 60)
    picture = stain(stain(canvas(), dark, (150, 40, 130)), pale, (236, 205, 224), 3)
    mask = segment_tissue(picture, settings(threshold=threshold)).mask
    assert mask[pale].mean() > 0.9
    assert iou(mask, dark | pale) > 0.9


def test_fat_is_tissue_although_its_cells_are_empty(settings):
    """Cells of 46 µm with walls of 2 µm beside stroma, drawn at 2 µm/px and segmented at 16."""
    size = {"height": 1600, "width": 2400}
    stroma, fat = disc((700, 800), 500, **size), disc((1700, 800), 480, **size)
    picture = stain(canvas(**size), stroma)
    walls = np.zeros(fat.shape, bool)
    walls[::23], walls[:, ::23] = True, True
    picture[fat & walls] = (225, 150, 195)
    small = cv2.resize(picture, (300, 200), interpolation=cv2.INTER_AREA)
    stroma, fat = (cv2.resize(part.astype(np.float32), (300, 200)) > 0.5 for part in (stroma, fat))
    mask = segment_tissue(small, settings(spacing_um=16.0, smooth_um=28.0, close_um=0.0)).mask
    assert cv2.erode(fat.astype(np.uint8), np.ones((5, 5), np.uint8))[~mask].sum() == 0
    assert iou(mask, stroma | fat) > 0.95


def test_grey_blue_mucus_is_tissue_although_it_is_less_saturated_than_the_glass(settings):
    picture, mucus = canvas(colour=(246, 245, 240)), disc((200, 150), 80)
    stain(picture, mucus, (232, 230, 233), 1)
    assert iou(segment_tissue(picture, settings()).mask, mucus) > 0.97


def test_dust_and_uneven_glass_are_no_tissue(settings):
    rng = np.random.default_rng(4)
    picture = canvas()
    picture[:, 200:] -= 2  # two fields of view that were not exposed alike
    for y, x in rng.integers(2, 298, (200, 2)):
        picture[y : y + 2, x : x + 2] = 120
    assert not segment_tissue(picture, settings()).mask.any()
    truth = disc((200, 150), 80)
    assert iou(segment_tissue(stain(picture, truth), settings()).mask, truth) > 0.95


@BOTH
@pytest.mark.parametrize("ink", [(20, 140, 60), (30, 60, 200), (220, 20, 30), (40, 40, 42)])
def test_a_pen_stroke_is_left_out(settings, ink, threshold):
    truth = disc((250, 150), 80)
    picture = stain(canvas(), truth)
    stroke = draw_stroke(picture, ink)
    tissue = segment_tissue(picture, settings(threshold=threshold))
    assert tissue.pen[stroke].all()
    assert not tissue.mask[stroke].any()
    assert not tissue.pen[disc((250, 150), 70)].any()
    assert iou(tissue.mask, truth) > 0.95


@pytest.mark.parametrize(
    ("absorbs", "radius"),
    [((1.6, 0.45, 1.0), 80), ((1.7, 1.1, 0.25), 80), ((1.7, 1.65, 1.6), 80), ((0.25, 1.6, 1.5), 30)],
    ids=["green", "blue", "black", "red"],
)
def test_a_pen_stroke_over_tissue_is_left_out_and_what_lies_beside_it_stays(settings, absorbs, radius):
    truth = disc((60 + radius // 2, 150), radius)
    picture = stain(canvas(), truth)
    stroke = draw_stroke(np.zeros((300, 400, 3), np.uint8), 1)
    picture[stroke] = (picture[stroke] * np.exp(-np.array(absorbs) * 0.8)).astype(np.uint8)
    tissue = segment_tissue(picture, settings(min_area_mm2=0.005))
    assert tissue.pen[stroke].all()
    assert tissue.mask[stroke].mean() < 0.02
    assert iou(tissue.mask, truth & ~stroke) > 0.9


def test_short_red_marks_such_as_blood_are_no_ink(settings):
    truth = disc((200, 150), 80)
    blood = disc((200, 150), 20)
    picture = stain(stain(canvas(), truth), blood, (200, 40, 52), 4)
    tissue = segment_tissue(picture, settings())
    assert not tissue.pen.any()
    assert tissue.mask[blood].all()


@BOTH
def test_pen_is_kept_when_told_to(settings, threshold):
    picture = canvas()
    picture[100:200, 100:200] = (20, 140, 60)
    tissue = segment_tissue(picture, settings(exclude_pen=False, threshold=threshold))
    assert tissue.mask[110:190, 110:190].all()
    assert not tissue.pen.any()


@BOTH
@pytest.mark.parametrize("exclude_pen", [True, False])
def test_black_fill_is_left_out(settings, exclude_pen, threshold):
    truth = disc((250, 150), 80)
    picture = stain(canvas(), truth)
    picture[:, :100] = (0, 0, 0)
    picture[:, 100:110] = (20, 0, 10)
    tissue = segment_tissue(picture, settings(exclude_pen=exclude_pen, threshold=threshold))
    assert not tissue.mask[:, :110].any()
    assert tissue.fill[:, :110].all()
    assert not tissue.fill[:, 112:].any()
    assert not tissue.pen.any()
    assert iou(tissue.mask, truth) > 0.95


@BOTH
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_white_border_beside_grey_glass_is_fill(settings, share, threshold):
    truth = disc((350, 150), 45)
    picture = stain(canvas(colour=(236, 234, 238)), truth)
    picture[:, : int(400 * share)] = 255
    expected = truth.copy()
    expected[:, : int(400 * share)] = False
    tissue = segment_tissue(picture, settings(threshold=threshold))
    assert tissue.fill[:, : int(400 * share)].all()
    assert not tissue.fill[:, int(400 * share) + 2 :].any()
    assert iou(tissue.mask, expected) > 0.95


def test_where_the_glass_is_white_there_is_no_white_fill(settings):
    truth = disc((250, 150), 80)
    picture = stain(np.full((300, 400, 3), 255, np.uint8), truth)
    tissue = segment_tissue(picture, settings())
    assert not tissue.fill.any()
    assert iou(tissue.mask, truth) > 0.97


@BOTH
def test_large_holes_stay_and_small_ones_are_filled(settings, threshold):
    large, small = disc((170, 150), 20), disc((240, 150), 6)
    picture = stain(canvas(), disc((200, 150), 100) & ~large & ~small)
    mask = segment_tissue(picture, settings(min_hole_mm2=300 * PX_MM2, threshold=threshold)).mask
    assert mask[large].mean() < 0.15
    assert mask[small].all()


def test_only_the_largest_holes_stay(settings):
    holes = [disc((150, 150), 20), disc((250, 150), 15), disc((200, 90), 10)]
    picture = stain(canvas(), disc((200, 150), 120) & ~np.any(holes, axis=0))
    for count in (0, 1, 2, 3, None):
        mask = segment_tissue(picture, settings(max_holes=count)).mask
        assert [mask[hole].mean() < 0.5 for hole in holes] == [i < (3 if count is None else count) for i in range(3)]


@BOTH
def test_small_pieces_are_dropped(settings, threshold):
    large, small = disc((250, 150), 60), disc((60, 60), 8)
    picture = stain(canvas(), large | small)
    smallest = {"threshold": threshold, "min_area_mm2": 500 * PX_MM2}
    assert not segment_tissue(picture, settings(**smallest)).mask[small].any()
    smallest["min_area_mm2"] = 50 * PX_MM2
    assert segment_tissue(picture, settings(**smallest)).mask[small].mean() > 0.8


def test_gaps_are_closed_by_physical_width(settings):
    truth = disc((200, 150), 80)
    picture = stain(canvas(), truth)
    picture[:, 197:203] = WHITE  # 48 µm
    closed = segment_tissue(picture, settings(close_um=80.0, smooth_um=8.0)).mask
    assert closed[80:220, 197:203].all()
    left = segment_tissue(picture, settings(close_um=0.0, smooth_um=8.0)).mask
    assert left[80:220, 199:201].mean() < 0.1


def test_faint_tissue_is_found_by_the_second_try_alone(settings):
    truth = disc((200, 150), 80)
    picture = stain(np.full((300, 400, 3), 244, np.uint8), truth, (240, 229, 236), 0)
    saturation = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[150, 200, 1]
    assert 8 < saturation <= 12
    tissue = segment_tissue(picture, settings(threshold="otsu"))
    assert tissue.relaxed
    assert tissue.threshold == 8
    assert iou(tissue.mask, truth) > 0.95
    assert not segment_tissue(picture, settings(threshold="otsu", relaxed_saturation=20)).mask.any()


def test_the_second_try_against_the_glass_has_a_lower_contrast(settings):
    truth = disc((200, 150), 80)
    picture = stain(np.full((300, 400, 3), 244, np.uint8), truth, (234, 228, 237), 0)
    tissue = segment_tissue(picture, settings(min_contrast=18.0, relaxed_contrast=6.0))
    assert tissue.relaxed
    assert tissue.threshold == 6
    assert iou(tissue.mask, truth) > 0.95
    found_at_once = segment_tissue(picture, settings(min_contrast=6.0))
    assert iou(found_at_once.mask, truth) > 0.95
    assert not found_at_once.relaxed


def test_a_fixed_threshold_is_used_as_given(settings):
    truth = disc((200, 150), 80)
    picture = stain(canvas(), truth)
    assert segment_tissue(picture, settings(threshold=40)).threshold == 40.0
    assert not segment_tissue(picture, settings(threshold=250, relaxed_saturation=250)).mask.any()


def test_otsu_stays_within_its_bounds(settings):
    hsv = np.full((100, 256, 3), (150, 0, 220), np.uint8)
    hsv[..., 1] = np.arange(256)
    saturations = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    otsu = {"threshold": "otsu", "exclude_pen": False}
    assert 100 < segment_tissue(saturations, settings(max_saturation=255, **otsu)).threshold < 155
    assert segment_tissue(saturations, settings(**otsu)).threshold == 30
    assert segment_tissue(canvas(), settings(relaxed_saturation=0, **otsu)).threshold in (0, 12)


def test_clams_preset_finds_tissue_with_its_own_filters(settings):
    # sthresh 8, mthresh 7 px and close 4 px at 16 µm/px, a_t 16 and a_h 4 of 0.0164 mm².
    clam = {"threshold": 8, "smooth_um": 112.0, "close_um": 64.0, "min_area_mm2": 0.262, "min_hole_mm2": 0.0655}
    truth = disc((200, 150), 90)
    mask = segment_tissue(stain(canvas(), truth), settings(spacing_um=16.0, max_holes=8, **clam)).mask
    assert iou(mask, truth) > 0.95


@BOTH
@pytest.mark.parametrize("spacing_um", [2.0, 16.0, 40.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (40, 30)])
@pytest.mark.parametrize(
    "colour", [(255,) * 3, (240,) * 3, (128,) * 3, (60,) * 3, (0,) * 3, (20, 140, 60), (40, 40, 42)]
)
def test_a_flat_picture_holds_no_tissue(settings, shape, colour, spacing_um, threshold):
    picture = np.full((*shape, 3), colour, np.uint8)
    tissue = segment_tissue(picture, settings(spacing_um=spacing_um, threshold=threshold))
    assert tissue.mask.shape == tissue.pen.shape == tissue.fill.shape == shape
    if min(shape) > 30 or max(colour) == min(colour):
        assert not tissue.mask.any()
