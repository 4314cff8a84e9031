import numpy as np
import pytest
import torch
from scipy.stats import entropy

from histossl.attention.measures import concentration, keep_mass


def dino_mask(attention, mass):
    """As DINO's visualize_attention.py has it: sort, cumulate, keep what holds the mass."""
    value, index = torch.sort(attention)
    value = value / value.sum(dim=1, keepdim=True)
    kept = torch.cumsum(value, dim=1) > 1 - mass
    back = torch.argsort(index)
    return torch.stack([row[order] for row, order in zip(kept, back, strict=True)])


@pytest.mark.parametrize("mass", [0.1, 0.5, 0.6, 0.99])
def test_masks_are_those_of_dinos_visualisation(mass):
    maps = np.random.default_rng(0).gamma(0.5, size=(20, 9, 9))
    kept = keep_mass(maps, mass)
    wanted = dino_mask(torch.from_numpy(maps).flatten(1), mass)
    np.testing.assert_array_equal(kept.reshape(20, -1), wanted.numpy())


def test_a_mask_is_the_smallest_that_holds_the_mass():
    maps = np.random.default_rng(1).random((3, 4, 5, 5))
    kept = keep_mass(maps, 0.5)
    shares = maps / maps.sum(axis=(2, 3), keepdims=True)
    held = (shares * kept).sum(axis=(2, 3))
    smallest = np.where(kept, shares, np.inf).min(axis=(2, 3))
    assert (held >= 0.5).all()
    assert (held - smallest < 0.5).all()
    assert keep_mass(maps, 1.0).all()
    assert keep_mass(np.ones((1, 4, 4)), 0.5).sum() == 8
    assert not keep_mass(np.zeros((1, 4, 4)), 0.5).any()


def test_concentration_is_one_less_the_normalised_entropy():
    maps = np.random.default_rng(2).gamma(0.3, size=(6, 3, 7, 7))
    wanted = 1 - entropy(maps.reshape(6, 3, -1), axis=-1) / np.log(49)
    np.testing.assert_allclose(concentration(maps), wanted, atol=1e-12)
    one = np.zeros((4, 4))
    assert concentration(np.ones((4, 4))) == pytest.approx(0)
    assert concentration(one) == pytest.approx(0)
    one[2, 1] = 0.3
    assert concentration(one) == pytest.approx(1)
