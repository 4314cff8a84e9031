import time

import cv2
import numpy as np
import pytest

from histossl.tiles.grid import place_grid, touches


def brute_force(mask, slide_px, patch, step, min_tissue):
    """Tissue fraction of every cell, from the overlap of each mask pixel with it in float64."""
    width, height = slide_px
    x_edges = np.arange(mask.shape[1] + 1) * width / mask.shape[1]
    y_edges = np.arange(mask.shape[0] + 1) * height / mask.shape[0]
    found = []
    row = 0
    while row * step + patch <= height + 1e-6:
        column = 0
        while column * step + patch <= width + 1e-6:
            x, y = round(column * step), round(row * step)
            along_x = np.clip(np.minimum(x_edges[1:], x + patch) - np.maximum(x_edges[:-1], x), 0, None)
            along_y = np.clip(np.minimum(y_edges[1:], y + patch) - np.maximum(y_edges[:-1], y), 0, None)
            fraction = along_y @ mask.astype(float) @ along_x / (along_x.sum() * along_y.sum())
            if fraction > 0 and fraction >= min_tissue:
                found.append((x, y, fraction))
            column += 1
        row += 1
    return np.array(found).reshape(-1, 3)


@pytest.mark.parametrize("seed", range(12))
def test_coordinates_and_fractions_equal_brute_force(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((int(rng.integers(20, 60)), int(rng.integers(20, 60)))) < rng.random()
    slide_px = (int(rng.integers(200, 600)), int(rng.integers(200, 600)))
    patch = float(rng.uniform(20, 90))
    step = patch * float(rng.choice([1.0, 0.75, 0.5]))
    # Off any fraction that rounding could put on either side.
    min_tissue = float(rng.uniform(0, 0.9))
    coords, fractions = place_grid(mask, slide_px, patch, step, min_tissue)
    expected = brute_force(mask, slide_px, patch, step, min_tissue)
    np.testing.assert_array_equal(coords, expected[:, :2])
    np.testing.assert_allclose(fractions, expected[:, 2], atol=1e-6)
    assert coords.dtype == np.int64


@pytest.mark.parametrize(("patch", "step"), [(64.0, 64.0), (63.4, 63.4), (100.0, 33.3), (64.0, 100.0)])
def test_all_patches_lie_inside_the_slide(patch, step):
    coords, _ = place_grid(np.ones((30, 40), bool), (640, 480), patch, step, 0.0)
    assert (coords >= 0).all()
    assert (coords[:, 0] + patch <= 640.5).all()
    assert (coords[:, 1] + patch <= 480.5).all()
    columns, rows = (int((length - patch) // step) + 1 for length in (640, 480))
    assert len(coords) == columns * rows


def test_overlap_shares_what_was_asked_for():
    coords, _ = place_grid(np.ones((10, 10), bool), (256, 256), 64.0, 48.0, 0.5)
    assert np.unique(np.diff(np.unique(coords[:, 0]))).tolist() == [48]
    assert coords[:, 0].max() == 192


def test_a_slide_that_is_one_patch_has_one():
    coords, fractions = place_grid(np.ones((8, 8), bool), (64, 64), 64.0, 64.0, 1.0)
    assert coords.tolist() == [[0, 0]]
    assert fractions.tolist() == [1.0]


@pytest.mark.parametrize("slide_px", [(63, 64), (64, 63), (1, 1), (640, 63)])
def test_a_slide_smaller_than_a_patch_has_none(slide_px):
    coords, fractions = place_grid(np.ones((8, 8), bool), slide_px, 64.0, 64.0, 0.0)
    assert coords.shape == (0, 2)
    assert fractions.shape == (0,)


def test_with_no_smallest_share_a_patch_must_still_touch_tissue():
    mask = np.zeros((64, 64), bool)
    mask[5, 5] = True
    coords, fractions = place_grid(mask, (64, 64), 16.0, 16.0, 0.0)
    assert coords.tolist() == [[0, 0]]
    assert fractions[0] == pytest.approx(1 / 256)
    assert len(place_grid(np.zeros((64, 64), bool), (64, 64), 16.0, 16.0, 0.0)[0]) == 0


def test_patches_are_in_reading_order():
    coords, _ = place_grid(np.ones((4, 4), bool), (64, 64), 16.0, 16.0, 0.5)
    assert coords.tolist() == sorted(coords.tolist(), key=lambda xy: (xy[1], xy[0]))


@pytest.mark.parametrize(("patch", "step"), [(0.0, 1.0), (64.0, 0.0), (64.0, -8.0)])
def test_sides_and_steps_that_cover_nothing_are_refused(patch, step):
    with pytest.raises(ValueError, match="cover nothing"):
        place_grid(np.ones((8, 8), bool), (640, 480), patch, step, 0.5)


@pytest.mark.parametrize("patch", [37.0, 61.7, 100.3])
def test_full_tissue_passes_a_smallest_share_of_one(patch):
    coords, fractions = place_grid(np.ones((31, 47), bool), (641, 487), patch, patch, 1.0)
    assert len(coords) == (641 // patch) * (487 // patch)
    assert fractions.min() > 0.999


def test_places_do_not_drift_over_a_long_row():
    coords, _ = place_grid(np.ones((4, 400), bool), (100_000, 300), 210.53, 210.53, 0.5)
    x = coords[coords[:, 1] == 0, 0]
    np.testing.assert_allclose(x, np.arange(len(x)) * 210.53, atol=0.5)
    assert len(x) == int(100_000 / 210.53)


@pytest.mark.parametrize("seed", range(8))
def test_what_touches_a_mask_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((int(rng.integers(20, 60)), int(rng.integers(20, 60)))) < 0.01
    slide_px = (int(rng.integers(200, 600)), int(rng.integers(200, 600)))
    patch = float(rng.uniform(20, 90))
    coords = np.stack([rng.integers(0, side - 90, 200) for side in slide_px], 1)
    x_edges = np.arange(mask.shape[1] + 1) * slide_px[0] / mask.shape[1]
    y_edges = np.arange(mask.shape[0] + 1) * slide_px[1] / mask.shape[0]
    for (x, y), found in zip(coords, touches(mask, slide_px, coords, patch), strict=True):
        in_x = (x_edges[1:] > x) & (x_edges[:-1] < x + patch)
        in_y = (y_edges[1:] > y) & (y_edges[:-1] < y + patch)
        assert found == mask[in_y][:, in_x].any()


def test_nothing_touches_an_empty_mask():
    assert not touches(np.zeros((8, 8), bool), (64, 64), np.array([[0, 0], [32, 32]]), 32.0).any()
    assert touches(np.ones((8, 8), bool), (64, 64), np.zeros((0, 2), int), 32.0).shape == (0,)


def test_a_very_large_slide_takes_little_more_than_its_integral_image():
    mask = np.zeros((6250, 6250), bool)
    mask[1000:5000, 1000:5000] = True

    def seconds(work):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return min(times)

    integral = seconds(lambda: cv2.integral(mask.view(np.uint8)))
    grid = seconds(lambda: place_grid(mask, (100_000, 100_000), 256.0, 256.0, 0.5))
    # Patch by patch, these 152,100 cells take seconds.
    assert grid < 3 * integral + 0.1
