import numpy as np
import pytest
from torchstain.base.normalizers import ReinhardNormalizer

from histossl.stain.reinhard import Reinhard


def plain_lab(picture):
    """CIE L*a*b* of sRGB under D65, in float64 and by the definition."""
    level = np.asarray(picture, float) / 255
    linear = np.where(level > 0.04045, ((level + 0.055) / 1.055) ** 2.4, level / 12.92)
    xyz = (
        linear
        @ np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]).T
    )
    share = xyz / (0.95047, 1, 1.08883)
    x, y, z = np.moveaxis(np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@pytest.fixture(scope="module")
def normaliser(reference):
    return Reinhard.fit("reinhard: reference.png", reference)


def test_the_means_and_deviations_are_those_of_the_reference(normaliser, reference):
    lab = plain_lab(reference).reshape(-1, 3)
    assert normaliser.means == pytest.approx(lab.mean(axis=0), abs=0.01)
    assert normaliser.deviations == pytest.approx(lab.std(axis=0), abs=0.01)


def test_patches_come_to_have_them(normaliser, tissue):
    reached = 0
    for patch in normaliser(tissue):
        if (patch > 0).all() and (patch < 255).all():  # else colours were cut off that sRGB does not have
            lab = plain_lab(patch).reshape(-1, 3)
            assert lab.mean(axis=0) == pytest.approx(normaliser.means, abs=0.05)
            assert lab.std(axis=0) == pytest.approx(normaliser.deviations, abs=0.05)
            reached += 1
    assert reached >= 5


def test_patches_equal_torchstains_but_for_its_rounding(normaliser, reference, tissue):
    library = ReinhardNormalizer(backend="numpy")
    library.fit(reference)
    theirs = np.stack([library.normalize(patch) for patch in tissue])
    difference = normaliser(tissue).astype(int) - theirs
    assert set(np.unique(difference)) <= {0, 1}  # it cuts decimals off


def test_dark_pixels_follow_the_straight_lines(normaliser):
    patch = np.random.default_rng(0).integers(0, 12, (64, 64, 3)).astype(np.uint8)
    library = ReinhardNormalizer(backend="numpy")
    library.target_means, library.target_stds = np.array([3.0, 0.5, 0.5]), np.array([1.5, 2.0, 2.0])
    ours = Reinhard("", library.target_means, library.target_stds)(patch[None])[0]
    assert (ours != patch).any()
    assert set(np.unique(ours.astype(int) - library.normalize(patch))) <= {0, 1}


def test_the_reference_is_its_own_normalisation(normaliser, reference):
    assert np.abs(normaliser(reference[None])[0].astype(int) - reference).max() <= 1
