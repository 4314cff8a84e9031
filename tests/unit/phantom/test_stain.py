import numpy as np

from histossl.phantom.stain import REFERENCE, SITES, STEPS_PER_UNIT, colour, vary


def test_colours_follow_the_beer_lambert_law():
    rng = np.random.default_rng(1)
    haematoxylin, eosin = rng.integers(0, 256, (2, 40, 30), dtype=np.uint8)
    for stain in (REFERENCE, *SITES.values()):
        density = (
            haematoxylin[..., None] / STEPS_PER_UNIT * np.array(stain.haematoxylin) * stain.haematoxylin_strength
            + eosin[..., None] / STEPS_PER_UNIT * np.array(stain.eosin) * stain.eosin_strength
        )
        expected = np.array(stain.glass) * np.exp(-density)
        assert np.abs(colour(haematoxylin, eosin, stain) - expected).max() <= 1.6


def test_no_dye_shows_the_glass():
    nothing = np.zeros((3, 4), np.uint8)
    assert (colour(nothing, nothing, REFERENCE) == np.array(REFERENCE.glass)).all()


def test_variation_scales_with_its_amount():
    none = vary(REFERENCE, 0.0, np.random.default_rng(3))
    some = vary(REFERENCE, 0.1, np.random.default_rng(3))
    more = vary(REFERENCE, 0.2, np.random.default_rng(3))
    assert none == REFERENCE
    change = [np.array(stain.eosin) / np.array(REFERENCE.eosin) - 1 for stain in (some, more)]
    np.testing.assert_allclose(2 * change[0], change[1], rtol=1e-9)
    assert (change[0] != 0).all()
