from dataclasses import replace

import h5py
import numpy as np
import pytest

from histossl.errors import UserError
from histossl.probes.patches import (
    check_classes,
    check_separate,
    class_indices,
    cross_validation,
    read_patches,
    with_classes,
    with_target,
)
from tests.unit.probes.conftest import LABELS


def test_classes_are_merged_then_excluded_and_empty_labels_dropped(sheet, write):
    sheet["label"][:2] = ["", ""]
    patches, dropped = with_classes(read_patches(write(sheet)), {"muscle": "stroma"}, [LABELS[2]])
    assert set(patches.label) == {"stroma"}
    assert dropped == 2 + sheet["label"].count(LABELS[2])
    assert len(patches.features) == 60 - dropped


def test_patches_without_labels_are_refused(sheet, write):
    sheet["label"] = [""] * 60
    with pytest.raises(UserError, match="no patch has a label that is not excluded"):
        with_classes(read_patches(write(sheet)), {}, [])


def test_patches_without_a_target_are_dropped_and_counted(sheet, write):
    sheet["target"][[3, 7]] = np.nan, np.inf
    patches, dropped = with_target(read_patches(write(sheet)))
    assert dropped == 2
    assert np.isfinite(patches.target).all()
    sheet["target"][:] = np.nan
    with pytest.raises(UserError, match="no patch has a target"):
        with_target(read_patches(write(sheet)))


def test_features_that_are_no_numbers_are_named(sheet, write):
    sheet["features"][[4, 9]] = np.nan
    with pytest.raises(UserError, match=r"features of 2 patches are not finite numbers, of '4\.png' first"):
        read_patches(write(sheet))


def test_a_group_on_both_sides_is_named(sheet, write):
    sheet["group"][50] = "g3"
    path = write(sheet)
    with pytest.raises(UserError, match=r"group 'g3' is in training .* 1 group in all"):
        check_separate(read_patches(path, "train"), read_patches(path, "test"))


def test_patches_cannot_test_what_they_trained(sheet, write):
    sheet["group"] = [""] * 60
    path, other = write(sheet), write(sheet, "other")
    with pytest.raises(UserError, match=r"patch '0\.png' is in training"):
        check_separate(read_patches(path), read_patches(path, "train"))
    check_separate(read_patches(path), read_patches(other))
    check_separate(read_patches(path, "train"), read_patches(path, "test"))


def test_nor_where_they_are_of_another_entry_for_the_same_data_set(sheet, write):
    sheet["group"] = [""] * 60
    raw, normalised, other = write(sheet), write(sheet, "normalised"), write(sheet, "other")
    for path, source in ((raw, "data/crc"), (normalised, "data/crc"), (other, "data/val")):
        with h5py.File(path, "a") as file:
            file.attrs["source"] = source
    with pytest.raises(UserError, match=r"patch '0\.png' is in training"):
        check_separate(read_patches(raw), read_patches(normalised))
    check_separate(read_patches(raw, "train"), read_patches(normalised, "test"))
    check_separate(read_patches(raw), read_patches(other))


def test_an_unknown_split_is_named_with_those_there_are(sheet, write):
    with pytest.raises(UserError, match=r"no patches in split 'val' \(splits: test, train\)"):
        read_patches(write(sheet), "val")


def test_classes_come_in_alphabetical_order(train, test):
    assert check_classes(train, test) == LABELS
    assert (np.array(LABELS)[class_indices(train, LABELS)] == train.label).all()


def test_one_class_and_unknown_classes_are_refused(train, test):
    one = train.where(train.label == LABELS[0])
    with pytest.raises(UserError, match=r"have 1 class \(muscle\); two are needed"):
        check_classes(one, test)
    with pytest.raises(UserError, match="label 'muscle' is not among the training labels"):
        check_classes(train.where(train.label != LABELS[0]), test)


@pytest.mark.parametrize("stratified", [True, False])
def test_each_patch_is_tested_once_by_a_probe_that_saw_no_patch_of_its_group(train, stratified):
    tested = []
    for number, inside, outside in cross_validation(train, 4, 1, stratified):
        assert number == len(tested)
        assert not set(inside.group) & set(outside.group)
        assert sorted([*inside.path, *outside.path]) == sorted(train.path)
        tested.append(outside.path)
    assert sorted(np.concatenate(tested)) == sorted(train.path)


def test_a_class_of_one_group_cannot_be_tested_in_folds(train):
    train.label[:] = LABELS[0]
    train.label[20:60] = LABELS[1]
    train.label[:3] = LABELS[2]
    with pytest.raises(UserError, match=r"all patches of class 'tumour, \"a\"' are of one group or fold"):
        list(cross_validation(train, 4, 1, stratified=True))


def test_a_feature_file_that_is_missing_or_damaged_is_named(sheet, write, tmp_path):
    with pytest.raises(UserError, match=r"none\.h5: not a readable feature file of patches"):
        read_patches(tmp_path / "none.h5")
    path = write({name: values for name, values in sheet.items() if name != "label"})
    with pytest.raises(UserError, match=r"set\.h5: not a readable feature file of patches"):
        read_patches(path)


def test_features_of_two_encoders_are_refused(train, test):
    with pytest.raises(UserError, match="set has 9 features a patch and set 5; embed both with the same encoder"):
        check_separate(train, replace(test, features=test.features[:, :5]))
