import cv2
import numpy as np

from histossl.cohort.contact_sheet import CAPTION_PX, CELL_PX, COLUMNS, MARGIN_PX, compose_page, cover, draw_cell

WHITE = np.full((400, 800, 3), 255, np.uint8)


def test_patches_are_tinted_where_they_lie():
    # 8,000 px of slide on 320 px of the sheet: a patch of 1,000 px is 40 px wide.
    cell = draw_cell(WHITE, 8000, np.array([[2000, 1000], [3000, 1000]]), 1000.0, [])
    assert cell.shape == (CELL_PX[1] + CAPTION_PX, CELL_PX[0], 3)
    tinted = (cell[: CELL_PX[1]] != 255).any(axis=2)
    ys, xs = np.nonzero(tinted)
    assert (xs.min(), xs.max() + 1) == (80, 159)
    assert (ys.min(), ys.max() + 1) == (40, 79)
    assert not tinted[:, 119].any(), "a line parts the two"


def test_small_patches_leave_no_lines():
    xs = np.arange(0, 800, 50)
    coords = np.stack([xs, np.zeros_like(xs)], axis=1)
    cell = draw_cell(WHITE, 8000, coords, 50.0, [])
    assert (cell[0, :32] != 255).any(axis=1).all()


def test_tissue_shows_through_the_tint():
    dark = draw_cell(WHITE // 2, 8000, np.array([[0, 0]]), 4000.0, [])
    light = draw_cell(WHITE, 8000, np.array([[0, 0]]), 4000.0, [])
    assert (light[10, 10].astype(int) - dark[10, 10] > 60).all()


def test_a_tall_picture_a_small_one_and_one_not_read_fit_the_cell():
    for shape in ((900, 100, 3), (20, 30, 3), (1, 1, 3)):
        cell = draw_cell(np.zeros(shape, np.uint8), 0, np.zeros((0, 2)), 0.0, ["x"])
        assert cell.shape == (CELL_PX[1] + CAPTION_PX, CELL_PX[0], 3)
        assert (cell[: CELL_PX[1]] == 0).any()


def test_a_caption_stays_within_its_cell_and_names_of_all_kinds_are_written():
    blank = draw_cell(WHITE, 0, np.zeros((0, 2)), 0.0, [])
    short = draw_cell(WHITE, 0, np.zeros((0, 2)), 0.0, ["Müller $(x)", "a reason"])
    long = draw_cell(WHITE, 0, np.zeros((0, 2)), 0.0, ["W" * 300, "a reason"])
    for cell in (short, long):
        below = cell[CELL_PX[1] :]
        assert (below != blank[CELL_PX[1] :]).any()
        assert (below[:, -2:] == 255).all()


def test_cells_are_arranged_in_reading_order():
    cells = [np.full((30, 20, 3), shade, np.uint8) for shade in range(10, 10 + COLUMNS + 1)]
    page = compose_page(cells)
    assert page.shape == (2 * (30 + MARGIN_PX) + MARGIN_PX, COLUMNS * (20 + MARGIN_PX) + MARGIN_PX, 3)
    assert page[MARGIN_PX, MARGIN_PX, 0] == 10
    assert page[MARGIN_PX, 2 * MARGIN_PX + 20, 0] == 11
    assert page[2 * MARGIN_PX + 30, MARGIN_PX, 0] == 10 + COLUMNS
    assert compose_page(cells[:2]).shape == (30 + 2 * MARGIN_PX, 2 * 20 + 3 * MARGIN_PX, 3)


def test_boxes_cover_what_single_rectangles_cover_also_beyond_the_edges():
    rng = np.random.default_rng(1)
    corners = rng.integers(-20, 120, (300, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 9, (300, 2))], axis=1)
    drawn = np.zeros((80, 100), np.uint8)
    for left, top, right, bottom in boxes.tolist():
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), 1, -1)
    assert (cover(boxes, (100, 80)) == drawn.astype(bool)).all()
