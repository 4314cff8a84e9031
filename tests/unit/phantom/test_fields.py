import numpy as np
import pytest

from histossl.phantom.fields import TEXTURE_PX, Fibres, rounded, smooth_noise, streaks


@pytest.mark.parametrize("scale_px", [6, 40])
def test_noise_has_the_asked_shape_and_varies_over_its_scale(scale_px):
    noise = smooth_noise((301, 403), scale_px, np.random.default_rng(0))
    assert noise.shape == (301, 403)

    def correlation(distance):
        return np.corrcoef(noise[:, :-distance].ravel(), noise[:, distance:].ravel())[0, 1]

    assert correlation(scale_px // 6) > 0.8
    assert abs(correlation(3 * scale_px)) < 0.35


def test_streaks_repeat_without_a_seam():
    texture = streaks(10, 2)
    step_inside = np.abs(np.diff(texture, axis=0)).mean()
    step_at_seam = np.abs(texture[0] - texture[-1]).mean()
    assert texture.shape == (TEXTURE_PX, TEXTURE_PX)
    assert step_at_seam < 1.3 * step_inside


def test_fibres_run_where_across_is_constant():
    fibres = Fibres.draw((300, 300), 1.0, np.random.default_rng(5))
    points = np.random.default_rng(6).uniform(30, 270, (500, 2))
    angle = fibres.direction(points[:, 0], points[:, 1])

    def across(distance, turn):
        x = (points[:, 0] + distance * np.cos(angle + turn)).astype(int)
        y = (points[:, 1] + distance * np.sin(angle + turn)).astype(int)
        return fibres.across[y, x]

    along_fibre = np.abs(across(8, 0) - across(-8, 0))
    over_fibres = np.abs(across(8, np.pi / 2) - across(-8, np.pi / 2))
    assert np.median(along_fibre) < 0.25 * np.median(over_fibres)


def test_rounding_keeps_a_polygon_inside_itself_and_removes_its_corners():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    smooth = rounded(square)
    assert smooth.min() >= 0
    assert smooth.max() <= 1
    assert np.hypot(*(smooth - square[0]).T).min() > 0.1
