import cv2
import numpy as np
import pytest

from histossl.attention.figures import APART, BLOCK, HEIGHT_IN, STEP, arrange, choose, draw_heads, draw_mosaic
from histossl.attention.maps_file import AttentionMaps
from histossl.attention.pictures import FADED, LINE, colour_map, enlarge, masked, outlined, overlay
from histossl.figures.style import PAGE_IN

RNG = np.random.default_rng(0)


def found(heads=3, count=5, name="dino", px=32):
    pictures = RNG.integers(0, 256, (count, px, px, 3), np.uint8)
    names = [f"patch {index}" for index in range(count)]
    return AttentionMaps(name, names, pictures, RNG.random((count, heads, 4, 4), np.float32), "of the class token")


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 6, 12, 13, 16, 24])
@pytest.mark.parametrize("patches", [1, 2, 4, 5, 12])
def test_a_mosaic_fits_its_page(patches, heads):
    beside, lines, size_in = arrange(patches, heads)
    assert heads % lines == 0
    assert 1 <= beside <= patches
    assert (beside * (1 + heads // lines) * STEP + (beside - 1) * APART) * size_in < PAGE_IN
    assert -(-patches // beside) * lines * BLOCK * size_in < HEIGHT_IN + 1e-3
    assert size_in > 0.35 or patches > 4


@pytest.mark.parametrize("draw", ["mosaic", "heads"])
def test_figures_are_the_same_bytes_with_names_of_all_kinds(draw, tmp_path):
    maps = found(name="<b>$x$ & " + 20 * "very_long_")
    files = tmp_path / "a.svg", tmp_path / "a.png"
    contents = set()
    for _ in range(2):
        if draw == "mosaic":
            draw_mosaic(maps, [3, 0, 1, 2], 0.5, *files)
        else:
            draw_heads(maps, 0.5, *files)
        contents.add(tuple(path.read_bytes() for path in files))
    assert len(contents) == 1
    assert b"<b>" not in files[0].read_bytes()
    picture = cv2.imread(str(files[1]), cv2.IMREAD_GRAYSCALE)
    assert picture.shape[1] == round(PAGE_IN * 300)
    assert (picture[:, [0, -1]] > 250).all()  # nothing is cut off
    assert (picture < 200).mean() > 0.05


def test_patches_are_chosen_from_dark_to_bright_and_few_as_they_stand():
    pictures = np.random.default_rng(1).permutation(100)[:, None, None, None] * np.ones((1, 4, 4, 3))
    assert pictures[choose(pictures, 4), 0, 0, 0].tolist() == [12, 37, 62, 87]
    assert choose(pictures[:4], 4) == [0, 1, 2, 3]
    assert len(set(choose(pictures[:5], 4))) == 4


def test_fewer_patches_than_asked_for_are_drawn_too(tmp_path):
    draw_mosaic(found(count=1), [0], 0.5, tmp_path / "a.svg", tmp_path / "a.png")
    draw_heads(found(count=1, heads=16), 0.5, tmp_path / "a.svg", tmp_path / "a.png")


def test_a_map_has_the_patches_pixels_and_each_the_value_of_its_token():
    values = RNG.random((4, 4))
    np.testing.assert_array_equal(enlarge(values, 32), np.kron(values, np.ones((8, 8))))
    assert enlarge(values, 30).shape == (30, 30)
    colours = colour_map(values * 0.01, 8)
    np.testing.assert_array_equal(colours, colour_map(values, 8))  # to the map's own maximum
    assert (colour_map(np.zeros((2, 2)), 4) == colour_map(np.zeros((2, 2)), 4)[0, 0]).all()


def test_a_mask_shows_the_patch_within_and_a_line_around():
    patch = RNG.integers(20, 200, (16, 16, 3), np.uint8)
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    inside = enlarge(mask, 16)
    np.testing.assert_array_equal(masked(patch, mask)[inside], patch[inside])
    assert (masked(patch, mask)[~inside] > 255 * FADED).all()
    drawn = outlined(patch, mask)
    np.testing.assert_array_equal(drawn[inside], patch[inside])
    line = (drawn == LINE).all(axis=-1)
    assert line.sum() == 4 * 8
    np.testing.assert_array_equal(outlined(patch, np.ones((4, 4), bool)), patch)
    assert (overlay(patch, mask.astype(float))[inside][:, 0] != overlay(patch, mask.astype(float))[~inside][0, 0]).any()
