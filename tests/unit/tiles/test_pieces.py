import cv2
import numpy as np
import pytest

from histossl.tiles.pieces import keep_pieces


def by_components(mask, min_area, min_hole):
    """The same by labelling: pieces less their kept holes must reach the area, then small holes are filled."""
    background = np.pad(mask == 0, 1, constant_values=True).astype(np.uint8)
    _, holes, sizes, _ = cv2.connectedComponentsWithStats(background, connectivity=4)
    small = sizes[:, cv2.CC_STAT_AREA] < min_hole
    small[holes[0, 0]] = small[0] = False
    filled = (mask > 0) | small[holes][1:-1, 1:-1]
    _, labels, sizes, _ = cv2.connectedComponentsWithStats(filled.astype(np.uint8), connectivity=8)
    keep = sizes[:, cv2.CC_STAT_AREA] >= min_area
    keep[0] = False
    return keep[labels]


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_labelled_components(seed):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.standard_normal((200, 300)).astype(np.float32), (0, 0), 4)
    # Pieces inside holes are counted to what surrounds them only by outlines; leave them out.
    mask = by_components((noise > -0.02).astype(np.uint8) * 255, 60, 1).astype(np.uint8) * 255
    kept = keep_pieces(mask, 60, 25, None) > 0
    expected = by_components(mask, 60, 25)
    assert (kept != expected).mean() < 0.002


def test_areas_are_counted_in_whole_pixels():
    mask = np.zeros((40, 60), np.uint8)
    mask[5:25, 5:25] = 255  # 400 px
    mask[10:15, 10:16] = 0  # 30 px
    assert keep_pieces(mask, 370, 30, None).any()
    assert not keep_pieces(mask, 371, 30, None).any()
    assert (keep_pieces(mask, 400, 31, None) > 0).sum() == 400
    assert not keep_pieces(mask, 401, 31, None).any()
    assert (keep_pieces(mask, 0, 30, None) == mask).all()


def test_the_largest_holes_stay():
    mask = np.full((50, 80), 255, np.uint8)
    mask[10:20, 10:20] = mask[10:16, 40:46] = 0
    one = keep_pieces(mask, 0, 0, 1)
    assert not one[10:20, 10:20].any()
    assert one[10:16, 40:46].all()
    assert keep_pieces(mask, 0, 0, 0).all()


def test_a_piece_inside_a_hole_that_stays_is_judged_by_itself():
    mask = np.full((60, 60), 255, np.uint8)
    mask[10:50, 10:50] = 0
    mask[20:30, 20:30] = 255
    assert (keep_pieces(mask, 100, 50, None) == mask).all()
    assert not keep_pieces(mask, 101, 50, None)[10:50, 10:50].any()


def test_an_empty_mask_stays_empty():
    assert not keep_pieces(np.zeros((1, 1), np.uint8), 0, 0, None).any()
