from xml.etree import ElementTree

import cv2
import pytest

from histossl.figures.style import DOTS_PER_IN, MARKERS, colour_of, draw_sentence, drawing, marker_of


def draw(folder, title="AUC"):
    with drawing(3.5, 2.0, folder / "a.svg", folder / "a.png") as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [1, 0])
        axes.set_title(title)
    return (folder / "a.svg").read_bytes(), (folder / "a.png").read_bytes()


def test_the_same_figure_is_the_same_bytes_and_has_its_size(tmp_path):
    first = draw(tmp_path)
    assert draw(tmp_path) == first
    assert cv2.imread(str(tmp_path / "a.png")).shape == (2 * DOTS_PER_IN, 3.5 * DOTS_PER_IN, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg"]


@pytest.mark.parametrize("title", ["a\x01b", "\x1b", "\ufffe", "-->", "<!-- ü"])
def test_no_text_makes_the_file_unreadable(tmp_path, title):
    draw(tmp_path, title)
    ElementTree.parse(tmp_path / "a.svg")


@pytest.mark.parametrize("title", ["$x_1", "<b>x</b> & y", r"\frac{a", "$a$ and ${b}$"])
def test_markup_in_a_label_is_text(tmp_path, title):
    draw(tmp_path, title)
    assert b"<b>" not in (tmp_path / "a.svg").read_bytes()


def test_nothing_is_left_of_a_figure_that_failed(tmp_path):
    with pytest.raises(ZeroDivisionError), drawing(3, 2, tmp_path / "a.svg", tmp_path / "a.png"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_sentence_takes_a_figures_place(tmp_path):
    draw_sentence("Left out: the encoder has no attention. " * 5, tmp_path / "a.svg", tmp_path / "a.png")
    picture = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_GRAYSCALE)
    assert (picture < 128).any()
    assert (picture[:, [0, -1]] > 250).all()  # it fits


def test_colour_and_marker_together_tell_many_names_apart():
    names = [f"encoder{index}" for index in range(56)]
    pairs = set(zip(colour_of(names).values(), marker_of(names).values(), strict=True))
    assert len(pairs) == len(names)
    assert len(MARKERS) == len(set(MARKERS))
