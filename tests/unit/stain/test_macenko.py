import cv2
import numpy as np
import pytest
from torchstain.base.normalizers import MacenkoNormalizer

from histossl.stain import macenko
from histossl.stain.macenko import DENSITY, Macenko, estimate_stains
from tests.unit.stain.conftest import STAINS, compose

TRUTH = STAINS / np.linalg.norm(STAINS, axis=0)


def density_of(patch):
    return cv2.LUT(patch, DENSITY.astype(np.float32))


def plain_macenko(patch, stains, maxima):
    """The paper's steps in float64, with torchstain's constants; grey levels before rounding."""
    density = -np.log((patch.reshape(-1, 3).astype(float) + 1) / 240)
    stained = density[(density >= 0.15).all(axis=1)]
    plane = np.linalg.svd(stained - stained.mean(axis=0), full_matrices=False)[2][:2]
    plane = np.linalg.qr(np.stack([plane.T @ plane @ stained.mean(axis=0), plane[0], plane[1]], axis=1))[0][:, :2]
    plane[:, 0] *= np.sign(plane[:, 0].sum())
    along, aside = (stained @ plane).T
    low, high = np.percentile(np.arctan2(aside, along), [1, 99])
    own = plane @ np.array([[np.cos(low), np.cos(high)], [np.sin(low), np.sin(high)]])
    own = own[:, ::-1] if own[0, 0] < own[0, 1] else own
    amounts = np.linalg.lstsq(own, density.T, rcond=None)[0]
    amounts *= (maxima / np.percentile(amounts, 99, axis=1))[:, None]
    return own, np.clip(240 * np.exp(-stains @ amounts).T.reshape(patch.shape) - 1, 0, 255)


@pytest.fixture(scope="module")
def normaliser(reference):
    return Macenko.fit("macenko: reference.png", reference)


def test_the_stains_of_a_composed_patch_are_found():
    rng = np.random.default_rng(1)
    amounts = rng.uniform(0.3, 1.5, (200, 200, 2))
    amounts[:20, :, 1], amounts[20:40, :, 0] = 0, 0  # pixels of one stain alone, more than the percentiles pass over
    patch = compose(amounts)
    assert np.abs(estimate_stains(patch, density_of(patch)) - TRUTH).max() < 0.01


def test_they_are_found_where_pixels_differ_in_stain_more_than_in_density():
    # The axis of the largest variance then points from one stain to the other. torchstain takes angles about it, which
    # meet at ±180° or not, as its sign falls out.
    stains = np.array([[0.53, 0.29], [0.65, 0.74], [0.28, 0.54]])
    rng = np.random.default_rng(44)
    share = rng.uniform(0, 1, (100, 100))
    share[:10], share[10:20] = 0, 1
    patch = compose(np.stack([share, 1 - share], axis=-1) * rng.uniform(0.9, 1.1, (100, 100, 1)), stains)
    truth = stains / np.linalg.norm(stains, axis=0)
    assert np.abs(estimate_stains(patch, density_of(patch)) - truth).max() < 0.01
    fitted = Macenko.fit("", patch)
    assert fitted is None or np.abs(fitted.stains - truth).max() < 0.02


def test_what_torchstain_fits_wrongly_is_no_fit(reference, monkeypatch):
    class Wrong(MacenkoNormalizer(backend="numpy").__class__):
        def fit(self, *arguments):
            super().fit(*arguments)
            self.HERef = self.HERef[:, ::-1]

    monkeypatch.setattr(macenko, "MacenkoNormalizer", lambda backend: Wrong())
    assert Macenko.fit("", reference) is None


def test_colours_that_are_of_no_two_dyes_stay_as_they_are(normaliser):
    # Equal in density, different in colour: the plane of most variance leaves the middle out.
    hue = np.random.default_rng(2).uniform(0, 2 * np.pi, (64, 64, 1)) + np.array([0, 2, 4]) * np.pi / 3
    patch = np.round(240 * np.exp(-0.9 - 0.5 * np.cos(hue)) - 1).astype(np.uint8)
    assert (normaliser(patch[None])[0] == patch).all()


def test_a_patch_whose_maximum_is_that_of_glass_stays_as_it_is(normaliser, tissue):
    patch = np.full((100, 100, 3), 255, np.uint8)
    patch[0] = tissue[0].reshape(-1, 3)[np.argsort(tissue[0].mean(axis=-1), axis=None)[:100]]
    assert estimate_stains(patch, density_of(patch)) is not None
    assert (normaliser(patch[None])[0] == patch).all()


def test_patches_equal_the_formulas_in_float64(normaliser, tissue):
    for patch, ours in zip(tissue, normaliser(tissue), strict=True):
        stains, levels = plain_macenko(patch, normaliser.stains, normaliser.maxima)
        assert np.abs(estimate_stains(patch, density_of(patch)) - stains).max() < 1e-4
        assert np.abs(ours - levels).max() < 0.51


def test_patches_equal_torchstains_but_for_its_rounding(normaliser, reference, tissue):
    library = MacenkoNormalizer(backend="numpy")
    library.fit(reference)
    theirs = np.stack([library.normalize(patch, stains=False)[0] for patch in tissue])
    difference = normaliser(tissue).astype(int) - theirs
    # It cuts decimals off and leaves 1 in.
    assert set(np.unique(difference)) <= {-1, 0}


def test_the_reference_is_its_own_normalisation(normaliser, reference):
    # What two stains can't explain of a pixel is lost.
    assert np.abs(normaliser(reference[None])[0].astype(int) - reference).mean() < 2


def test_patches_come_to_have_the_stains_of_the_reference(normaliser, tissue):
    before, after = (
        [np.abs(estimate_stains(patch, density_of(patch)) - normaliser.stains).max() for patch in patches]
        for patches in (tissue, normaliser(tissue))
    )
    assert np.median(after) < 0.02 < np.median(before)
