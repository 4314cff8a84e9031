from collections import Counter

import numpy as np
import pytest

from histossl.phantom.patches import ARMS, draw_cellularity, draw_classes
from histossl.phantom.section import CLASSES

COMMON = {"patch_px": 64, "spacing_um": 1.0, "seed": 5}
PER_CLASS = 11  # three patients, one a laboratory


@pytest.fixture(scope="module")
def arms():
    return {name: list(draw_classes(ARMS[name], PER_CLASS, **COMMON)) for name in ("normalised", "raw", "test")}


@pytest.fixture(scope="module")
def cellularity():
    return list(draw_cellularity(ARMS["cellularity"], 90, 0.4, **COMMON))


def stack(patches):
    return np.stack([patch.image for patch in patches]).astype(float)


def test_every_class_has_its_number_of_patches_under_distinct_names(arms):
    for patches in arms.values():
        assert Counter(patch.label for patch in patches) == dict.fromkeys(CLASSES, PER_CLASS)
        assert len({patch.name for patch in patches}) == len(patches)
        assert {patch.image.shape for patch in patches} == {(64, 64, 3)}


def test_train_and_test_share_no_patient(arms, cellularity):
    def groups(patches, split):
        return {patch.group for patch in patches if patch.split == split}

    assert not groups(arms["raw"], "train") & groups(arms["test"], "test")
    assert groups(arms["raw"], "test") == groups(arms["test"], "train") == set()
    train, test = groups(cellularity, "train"), groups(cellularity, "test")
    assert train
    assert test
    assert not train & test


def test_both_train_arms_show_the_same_tissue_in_other_colours(arms):
    normalised, raw = arms["normalised"], arms["raw"]
    assert [(p.name, p.label, p.group, p.target) for p in raw] == [
        (p.name, p.label, p.group, p.target) for p in normalised
    ]
    similar = []
    for one, other in zip(normalised, raw, strict=True):
        if one.label in ("lymphocytes", "normal", "tumour"):
            grey = [patch.image.mean(axis=-1).ravel() for patch in (one, other)]
            similar.append(np.corrcoef(*grey)[0, 1])
    assert min(similar) > 0.9
    assert np.abs(stack(normalised) - stack(raw)).mean() > 4


def test_the_raw_arm_shifts_every_patients_colours_by_its_laboratory(arms):
    shift = stack(arms["raw"]).mean(axis=(1, 2)) - stack(arms["normalised"]).mean(axis=(1, 2))
    pink = np.array([patch.label in ("stroma", "muscle", "debris") for patch in arms["raw"]])
    group = np.array([patch.group for patch in arms["raw"]])
    redder = np.array([(shift[:, 0] - shift[:, 2])[pink & (group == name)].mean() for name in sorted(set(group))])
    assert len(redder) == 3
    assert np.ptp(redder) > 5


def test_test_patches_are_other_tissue_than_train_patches(arms):
    train = {patch.image.tobytes() for patch in arms["normalised"]}
    assert not train & {patch.image.tobytes() for patch in arms["test"]}


def test_the_same_seed_gives_the_same_patches(arms):
    again = list(draw_classes(ARMS["raw"], PER_CLASS, **COMMON))
    np.testing.assert_array_equal(stack(again), stack(arms["raw"]))
    other = list(draw_classes(ARMS["raw"], PER_CLASS, **{**COMMON, "seed": 6}))
    assert (stack(other) != stack(arms["raw"])).any()


def test_cellularity_spans_its_range_and_goes_with_darker_blue(cellularity):
    target = np.array([patch.target for patch in cellularity])
    assert len(target) == 90
    assert 0 <= target.min() < 0.05
    assert 0.75 < target.max() <= 1
    red = stack(cellularity)[..., 0].mean(axis=(1, 2))
    assert np.corrcoef(target, red)[0, 1] < -0.4


def test_tumour_cells_lie_mostly_in_tumour_patches(arms):
    target = {name: [patch.target for patch in arms["raw"] if patch.label == name] for name in CLASSES}
    assert np.mean(target["tumour"]) > 0.15
    assert np.mean(target["background"]) < 0.05
