import numpy as np

from histossl.tiles.overlay import OUTLINE_BGR, draw_overlay

SQUARE = [[[[80, 40], [240, 40], [240, 160], [80, 160], [80, 40]]]]


def test_outlines_lie_where_the_polygons_are():
    picture = np.full((100, 200, 3), 255, np.uint8)
    drawn = draw_overlay(picture, SQUARE, scale=2.0)
    assert drawn.shape == (100, 200, 3)
    coloured = np.argwhere((drawn == OUTLINE_BGR).all(axis=2))
    np.testing.assert_allclose([*coloured.min(axis=0), *coloured.max(axis=0)], [20, 40, 80, 120], atol=1)


def test_large_pictures_shrink_to_the_longest_side_and_turn_bgr():
    picture = np.zeros((400, 1600, 3), np.uint8)
    picture[..., 0] = 200
    drawn = draw_overlay(picture, SQUARE, scale=1.0, longest_px=800)
    assert drawn.shape == (200, 800, 3)
    assert drawn[150, 700].tolist() == [0, 0, 200]
    coloured = np.argwhere((drawn == OUTLINE_BGR).all(axis=2))
    np.testing.assert_allclose([*coloured.min(axis=0), *coloured.max(axis=0)], [20, 40, 80, 120], atol=1)


def test_the_picture_itself_is_left_alone():
    picture = np.full((50, 50, 3), 255, np.uint8)
    draw_overlay(picture, SQUARE)
    assert (picture == 255).all()


def test_a_slide_that_cannot_be_read_gives_a_crossed_frame():
    frame = draw_overlay(None, [])
    assert frame.ndim == 3
    assert frame.dtype == np.uint8
    middle = frame[frame.shape[0] // 2, frame.shape[1] // 2]
    assert middle[2] > middle[0]


def test_a_picture_too_long_for_its_height_keeps_a_row():
    assert draw_overlay(np.zeros((1, 5000, 3), np.uint8), [], longest_px=800).shape == (1, 800, 3)
