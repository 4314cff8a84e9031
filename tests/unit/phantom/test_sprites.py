import numpy as np
import pytest

from histossl.phantom import structures
from histossl.phantom.sprites import ANGLES, SHAPES, draw_sprites

LOOKS = {name: look for name, look in vars(structures).items() if isinstance(look, structures.Look)}


@pytest.mark.parametrize("name", list(LOOKS))
def test_area_agrees_with_the_stated_axes_and_no_stamp_is_cut_off(name):
    look = LOOKS[name]
    sprites = draw_sprites(look, 0.5)
    area_um2 = (sprites.coverage > 0).sum(axis=(1, 2)).mean() * 0.5**2
    expected = np.pi / 4 * np.mean(look.length_um) * np.mean(look.width_um)
    assert area_um2 == pytest.approx(expected, rel=0.25)
    border = np.concatenate([sprites.coverage[:, 0], sprites.coverage[:, -1], sprites.coverage[:, :, 0]], axis=1)
    assert not border.any()


def test_a_stamp_points_in_the_asked_direction():
    sprites = draw_sprites(structures.SMOOTH_MUSCLE, 0.5)
    asked = np.linspace(0, np.pi, 40, endpoint=False)
    for angle, index in zip(asked, sprites.choose(asked, np.random.default_rng(0)), strict=True):
        y, x = np.nonzero(sprites.coverage[index])
        values, vectors = np.linalg.eigh(np.cov(x, y))
        found = np.arctan2(vectors[1, 1], vectors[0, 1])
        assert values[1] > 4 * values[0]
        assert abs(np.sin(found - angle)) < np.sin(np.pi / ANGLES)


def test_eosin_bounds_leave_the_surroundings_alone():
    sprites = draw_sprites(structures.TUMOUR_BODY, 0.5)
    corner = (slice(None), 0, 0)
    assert len(sprites.coverage) == SHAPES * ANGLES
    assert (sprites.eosin_most[corner] == 255).all()
    assert (sprites.eosin_least[corner] == 0).all()
    assert (sprites.haematoxylin[corner] == 0).all()
