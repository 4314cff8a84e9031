import cv2
import numpy as np
import pytest

from histossl.errors import UserError
from histossl.phantom.patches import ARMS, draw_classes
from histossl.phantom.stain import REFERENCE
from histossl.tiles.quality import (
    QualitySettings,
    Scan,
    find_density,
    judge_patch,
    judge_patches,
    measure_blank,
    measure_fold,
    measure_pen,
    measure_sharpness,
)

LIMITS = QualitySettings(max_blank=0.95, max_pen=0.1, max_fold=0.5, min_sharpness=2.5)
UM = 0.5
SIDE = 224
INKS = {"green": (1.6, 0.45, 1.0), "blue": (1.7, 1.1, 0.25), "black": (1.7, 1.65, 1.6), "red": (0.05, 1.6, 1.4)}


@pytest.fixture(scope="module")
def tissues():
    """Sound patches of each tissue, without those that the phantom draws out of focus."""
    drawn = draw_classes(ARMS["normalised"], 5, SIDE, UM, 21)
    kept = [patch for patch in drawn if patch.label != "background" and measure_sharpness(patch.image, UM) > 3]
    assert len(kept) > 25
    return kept


@pytest.fixture(scope="module")
def scan(tissues):
    return Scan(UM, find_density((patch.image for patch in tissues), UM))


def glass(side=SIDE, level=243):
    noise = np.random.default_rng(1).normal(0, 1.6, (side, side, 3))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


def ink(image, absorbs):
    return np.round(image * np.exp(-np.array(absorbs))).astype(np.uint8)


def test_sound_tissue_of_all_kinds_stays(tissues, scan):
    verdicts = {patch.name: judge_patch(patch.image, UM, LIMITS, scan) for patch in tissues}
    # Lymphocytes packed densely may pass for a fold; nothing else is lost.
    assert {name: verdict for name, verdict in verdicts.items() if verdict and "lymph" not in name} == {}


@pytest.mark.parametrize("level", [255, 243, 220, 195, 10, 0])
def test_glass_and_fill_are_blank(scan, level):
    assert judge_patch(glass(level=level), UM, LIMITS, scan) == "blank"


def test_the_share_of_glass_is_measured(tissues):
    image = next(patch.image for patch in tissues if patch.label == "tumour").copy()
    before = measure_blank(image, UM)
    image[:, : SIDE // 2] = glass()[:, : SIDE // 2]
    assert measure_blank(image, UM) == pytest.approx(0.5 + before / 2, abs=0.08)


@pytest.mark.parametrize("colour", INKS)
def test_ink_over_tissue_is_seen(tissues, scan, colour):
    stroma = [patch.image for patch in tissues if patch.label in ("stroma", "muscle")]
    for image in stroma:
        inked = image.copy()
        inked[:, : SIDE // 3] = ink(inked[:, : SIDE // 3], INKS[colour])
        assert judge_patch(inked, UM, LIMITS, scan) == "pen"
        assert measure_pen(image, UM) == 0


@pytest.mark.parametrize("colour", INKS)
def test_ink_on_glass_is_seen(scan, colour):
    assert measure_pen(ink(glass(), INKS[colour]), UM) > 0.9


def test_two_layers_are_denser_than_one(tissues, scan):
    """All tissue but the densest: two layers measure far more than one."""
    images = [patch.image for patch in tissues if patch.label in ("stroma", "tumour", "muscle", "normal")]
    one = np.array([measure_fold(image, UM, scan.density) for image in images])
    folded = [cv2.multiply(image, image[::-1], scale=1 / REFERENCE.glass[0]) for image in images]
    two = np.array([measure_fold(image, UM, scan.density) for image in folded])
    assert one.max() < 0.2
    assert np.median(two) > 0.3
    assert (two > 0.25).mean() > 0.5


def test_three_layers_of_dense_tissue_are_a_fold(tissues, scan):
    """Of tissue that is itself as dense as usual, and not of fat, which stays mostly glass in any number of layers."""
    solid = [patch.image for patch in tissues if patch.label != "adipose"]
    images = [image for image in solid if find_density([image], UM) >= scan.density]
    assert len(images) > 4
    for image in images:
        twice = cv2.multiply(image, image[::-1], scale=1 / REFERENCE.glass[0])
        thrice = cv2.multiply(twice, image[:, ::-1], scale=1 / REFERENCE.glass[0])
        assert judge_patch(thrice, UM, LIMITS, scan) == "fold"
    assert measure_fold(images[0], UM, 0.0) == 0


def test_fold_follows_the_stain_of_the_slide(tissues, scan):
    """A darkly stained slide is no fold of a pale one: the limit moves with it."""
    stroma = [patch.image for patch in tissues if patch.label == "stroma"]
    dark = [cv2.multiply(image, image, scale=1 / REFERENCE.glass[0]) for image in stroma]
    own = find_density(dark, UM)
    assert own > 1.5 * find_density(stroma, UM)
    assert max(measure_fold(image, UM, own) for image in dark) < 0.2


@pytest.mark.parametrize("quality", [None, 80])
def test_blur_is_seen_in_all_tissues_and_slight_softness_is_not(tissues, scan, quality):
    rng = np.random.default_rng(3)

    def soften(image, um):
        soft = cv2.GaussianBlur(image, (0, 0), um / UM).astype(float) + rng.normal(0, 1.6, image.shape)
        soft = np.clip(soft, 0, 255).astype(np.uint8)
        if quality is None:
            return soft
        return cv2.imdecode(cv2.imencode(".jpg", soft, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)

    images = [patch.image for patch in tissues]
    only_blur = QualitySettings(None, None, None, LIMITS.min_sharpness)
    caught = {
        um: np.mean([judge_patch(soften(image, um), UM, only_blur, scan) == "blur" for image in images])
        for um in (0.25, 1.25, 1.5)
    }
    assert caught[0.25] == 0
    assert caught[1.25] > 0.9
    assert caught[1.5] > 0.9


def test_sharpness_does_not_follow_the_stain(tissues):
    """Where the variance of the Laplacian itself falls to a fraction, in a pale slide, sharpness stays."""
    for patch in tissues[::4]:
        pale = np.round(255 * (patch.image / 255.0) ** 0.5).astype(np.uint8)
        assert measure_sharpness(pale, UM) == pytest.approx(measure_sharpness(patch.image, UM), rel=0.2)


def test_nothing_to_see_is_not_blurred(scan):
    flat = np.full((SIDE, SIDE, 3), 200, np.uint8)
    assert measure_sharpness(flat, UM) == np.inf
    assert judge_patch(flat, UM, QualitySettings(None, None, None, 2.5), scan) == ""


@pytest.mark.parametrize("factor", [2, 4])
def test_an_enlarged_patch_is_judged_as_it_was_scanned(tissues, factor):
    only_blur = QualitySettings(None, None, None, 2.5)
    for patch in tissues[::5]:
        enlarged = cv2.resize(patch.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        assert judge_patch(enlarged, UM / factor, only_blur, Scan(UM, 0.0)) == ""


@pytest.mark.parametrize("um", [0.125, 0.25])
def test_measures_hold_at_other_scales(tissues, um):
    for patch in tissues[::5]:
        fine = np.kron(patch.image, np.ones((round(UM / um),) * 2 + (1,), np.uint8))
        for measure in (measure_blank, measure_pen, measure_sharpness):
            assert measure(fine, um) == pytest.approx(measure(patch.image, UM), rel=0.02)


@pytest.mark.parametrize("side", [1, 8, 16])
@pytest.mark.parametrize("um", [0.25, 2.0])
def test_tiny_patches_are_judged_too(side, um):
    assert judge_patch(np.full((side, side, 3), 243, np.uint8), um, LIMITS, Scan(um, 0.2)) == "blank"


def test_checks_that_are_off_drop_nothing(tissues, scan):
    off = QualitySettings(None, None, None, None)
    assert off.reasons == ()
    assert LIMITS.reasons == ("blank", "pen", "fold", "blur")
    assert QualitySettings(0.9, None, None, 2.0).reasons == ("blank", "blur")
    for image in (glass(), ink(tissues[0].image, INKS["green"]), cv2.GaussianBlur(tissues[0].image, (0, 0), 5)):
        assert judge_patch(image, UM, off, scan) == ""


@pytest.mark.parametrize("threads", [1, 3])
def test_a_slides_patches_are_judged_in_order(tmp_path, make_slide, tissues, threads):
    sound = [patch.image for patch in tissues if patch.label == "stroma"][:3]
    blurred = cv2.GaussianBlur(sound[1], (0, 0), 4)
    row = np.concatenate([sound[0], glass(), blurred, ink(sound[2], INKS["blue"]), sound[2]], 1)
    slide = make_slide(tmp_path / "a.svs", np.concatenate([row] * 8))
    coords = np.array([(x * SIDE, y * SIDE) for y in range(8) for x in range(5)])
    verdicts = judge_patches(slide, coords, float(SIDE), SIDE, UM, LIMITS, threads)
    assert verdicts == ["", "blank", "blur", "pen", ""] * 8
    assert judge_patches(slide, coords[:0], float(SIDE), SIDE, UM, LIMITS, threads) == []


def test_a_damaged_slide_is_named(tmp_path):
    (tmp_path / "a.svs").write_bytes(b"II*\0no slide")
    with pytest.raises(UserError, match=r"a\.svs"):
        judge_patches(tmp_path / "a.svs", np.zeros((1, 2), int), 64.0, 64, UM, LIMITS, 1)
