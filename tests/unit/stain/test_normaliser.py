import pickle
import warnings

import numpy as np
import pytest

from histossl.stain.macenko import Macenko
from histossl.stain.normaliser import is_blank
from histossl.stain.reinhard import Reinhard


@pytest.fixture(params=[Macenko, Reinhard])
def normaliser(request, reference):
    return request.param.fit("name", reference)


def test_patches_change_and_keep_shape_type_and_order(normaliser, tissue):
    before = tissue.copy()
    after = normaliser(tissue)
    assert (after.shape, after.dtype, after.flags.c_contiguous) == (tissue.shape, np.uint8, True)
    assert (tissue == before).all()
    assert all((one != other).any() for one, other in zip(after, tissue, strict=True))


def test_a_batch_is_what_its_patches_are_one_by_one(normaliser, tissue):
    assert (normaliser(tissue) == np.concatenate([normaliser(patch[None]) for patch in tissue])).all()


def test_other_memory_layouts_and_a_pickled_copy_give_the_same(normaliser, tissue):
    expected = normaliser(tissue)
    assert (normaliser(np.asfortranarray(tissue)) == expected).all()
    assert (normaliser(np.repeat(tissue, 2, axis=2)[:, :, ::2]) == expected).all()
    assert (pickle.loads(pickle.dumps(normaliser))(tissue) == expected).all()


def test_no_patch_and_patches_that_are_not_square(normaliser, tissue):
    assert normaliser(tissue[:0]).shape == (0, 128, 128, 3)
    assert normaliser(tissue[:, :50]).shape == (len(tissue), 50, 128, 3)


@pytest.mark.parametrize("kind", ["white", "one colour", "grey glass with noise", "glass with specks"])
def test_patches_without_stains_stay_as_they_are(normaliser, odd_patches, kind):
    patch = odd_patches[kind]
    assert (normaliser(patch[None])[0] == patch).all()


def test_odd_patches_raise_nothing_and_change_no_other(normaliser, odd_patches, tissue):
    odd = np.stack(list(odd_patches.values()))
    mixed = np.concatenate([odd[:3], tissue[:4], odd[3:]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of NaN and of overflow
        after = normaliser(mixed)
    assert (after[3:7] == normaliser(tissue[:4])).all()


def test_single_pixels_and_noise_raise_nothing(normaliser):
    rng = np.random.default_rng(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for side in (1, 2, 3, 7):
            for high in (2, 30, 256):
                patches = rng.integers(0, high, (20, side, side, 3)).astype(np.uint8)
                assert normaliser(patches).shape == patches.shape


def test_blank_is_less_than_a_hundredth_of_dark_pixels():
    patch = np.full((100, 100, 3), 243, np.uint8)
    patch.reshape(-1, 3)[:99] = 140
    assert is_blank(patch)
    patch.reshape(-1, 3)[:100] = 140
    assert not is_blank(patch)
