import numpy as np
import pytest

from histossl.errors import UserError
from histossl.phantom.section import CODE
from histossl.phantom.slide import SlideSpecification, draw_slide, read_specification

SIZE = {"seed": 3, "width_px": 1600, "height_px": 1280, "spacing_um": 0.5}
PLAIN = SlideSpecification("one", "ductal", "harbour", 1.0, "none", True)


def specification(**changes):
    return SlideSpecification(**{**vars(PLAIN), **changes})


@pytest.fixture(scope="module")
def plain():
    return draw_slide(PLAIN, **SIZE)


def shrink(image):
    height, width = (side // 16 for side in image.shape[:2])
    return image[: height * 16, : width * 16].reshape(height, 16, width, 16, 3).mean(axis=(1, 3))


def test_the_same_seed_gives_the_same_pixels_and_another_seed_or_slide_others(plain):
    np.testing.assert_array_equal(draw_slide(PLAIN, **SIZE).image, plain.image)
    assert (draw_slide(PLAIN, **{**SIZE, "seed": 4}).regions != plain.regions).any()
    assert (draw_slide(specification(slide="two"), **SIZE).regions != plain.regions).any()


def test_the_truth_agrees_with_the_colours(plain):
    small = shrink(plain.image)
    saturation = small.max(axis=-1) - small.min(axis=-1)
    coloured = saturation > 20
    # Fat and mucus are tissue with hardly any colour, so they are left out.
    pale = np.isin(plain.regions, [CODE["adipose"], CODE["mucus"]])
    tissue = plain.regions != CODE["background"]
    assert (coloured == tissue)[~pale].mean() > 0.93
    assert small[~tissue].mean() > 225


def test_the_subtype_changes_neither_layout_nor_colour(plain):
    other = draw_slide(specification(subtype="lobular"), **SIZE)
    np.testing.assert_array_equal(other.regions, plain.regions)
    assert len(other.tumour_cells) == pytest.approx(len(plain.tumour_cells), rel=0.03)
    assert np.abs(other.image.mean(axis=(0, 1)) - plain.image.mean(axis=(0, 1))).max() < 0.6
    assert (other.image != plain.image).any()


def test_a_slide_without_tissue_is_glass():
    drawn = draw_slide(specification(subtype="none"), **SIZE)
    assert (drawn.regions == CODE["background"]).all()
    assert len(drawn.tumour_cells) == 0
    assert drawn.image.mean() > 235


def test_a_faint_slide_is_paler(plain):
    faint = draw_slide(specification(stain_strength=0.4), **SIZE)
    tissue = plain.regions != CODE["background"]
    assert shrink(faint.image)[tissue].mean() > shrink(plain.image)[tissue].mean() + 15


@pytest.mark.parametrize(("pen", "darkest"), [("green", 0), ("blue", 0), ("black", None)])
def test_pen_marks_are_where_the_truth_says_and_nowhere_else(plain, pen, darkest):
    marked = draw_slide(specification(pen=pen), **SIZE)
    before, after = shrink(plain.image), shrink(marked.image)
    assert 0.005 < marked.pen.mean() < 0.2
    assert (before - after)[marked.pen].mean() > 25
    # The truth counts a block as inked by its middle, so blocks beside the line may hold its rim.
    far = ~np.any([np.roll(marked.pen, shift, axis) for axis in (0, 1) for shift in (-2, -1, 0, 1, 2)], axis=0)
    assert np.abs(before - after)[far].mean() < 1.0
    glass = marked.pen & (plain.regions == CODE["background"])
    ink = after[glass].mean(axis=0)
    if darkest is None:
        assert np.ptp(ink) < 25
    else:
        assert ink.argmin() == darkest


def test_the_size_is_cut_to_whole_blocks():
    drawn = draw_slide(PLAIN, seed=1, width_px=1031, height_px=650, spacing_um=1.0)
    assert drawn.image.shape == (640, 1024, 3)
    assert drawn.regions.shape == drawn.pen.shape == (40, 64)


HEADER = "slide,subtype,site,stain_strength,pen,spacing_stated\n"


def test_a_line_is_read(tmp_path):
    path = tmp_path / "phantom.csv"
    path.write_text(HEADER + "007,none,hill,0.5,blue,no\n")
    assert read_specification(path, "007") == SlideSpecification("007", "none", "hill", 0.5, "blue", False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER + "a,ductal,hill,1,none,yes\n", "0 lines for slide 'one'"),
        (HEADER + "one,ductal,hill,1,none,yes\n" * 2, "2 lines for slide 'one'"),
        (HEADER + "one,papillary,hill,1,none,yes\n", "subtype 'papillary'"),
        (HEADER + "one,ductal,moon,1,none,yes\n", "site 'moon'"),
        (HEADER + "one,ductal,hill,1,pink,yes\n", "pen 'pink'"),
        (HEADER + "one,ductal,hill,1,none,perhaps\n", "spacing_stated 'perhaps'"),
        (HEADER.replace("site,", "") + "one,ductal,1,none,yes\n", "column 'site'"),
    ],
)
def test_a_bad_specification_is_named(tmp_path, text, says):
    path = tmp_path / "phantom.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        read_specification(path, "one")
