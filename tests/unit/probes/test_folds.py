import numpy as np
import pytest

from histossl.errors import UserError
from histossl.probes.folds import deal_folds, inner_folds

GROUPS = np.array([f"g{index // 4}" for index in range(80)])
LABELS = np.array(["a", "a", "a", "b"] * 20)


@pytest.mark.parametrize("labels", [LABELS, None])
def test_groups_stay_together_and_folds_are_of_one_size(labels):
    fold = deal_folds(labels, GROUPS, 5, 1, "set")
    for group in set(GROUPS):
        assert len(set(fold[group == GROUPS])) == 1
    assert np.bincount(fold).tolist() == [16] * 5
    assert (fold == deal_folds(labels, GROUPS, 5, 1, "set")).all()
    assert (fold != deal_folds(labels, GROUPS, 5, 2, "set")).any()


def test_patches_without_a_group_are_dealt_one_by_one_and_stratified():
    fold = deal_folds(LABELS, np.full(80, ""), 5, 1, "set")
    assert [np.sum((fold == number) & (LABELS == "b")) for number in range(5)] == [4] * 5


@pytest.mark.parametrize("labels", [LABELS, None])
def test_fewer_groups_than_folds_are_refused(labels):
    with pytest.raises(UserError, match="set: 20 groups of patches cannot make 21 folds"):
        deal_folds(labels, GROUPS, 21, 1, "set")


def test_a_class_that_is_rarer_than_folds_is_no_error_but_all_classes_are(recwarn):
    labels = np.array(["a"] * 78 + ["b"] * 2)
    deal_folds(labels, np.full(80, ""), 5, 1, "set")
    assert not recwarn.list
    with pytest.raises(UserError, match="no class has 5 patches"):
        deal_folds(np.array([f"{index // 4}" for index in range(80)]), np.full(80, ""), 5, 1, "set")


def test_a_fold_without_patches_is_refused():
    # All that is of a class is in one large group: the deal by classes has no use for the second fold.
    groups, labels = np.array(["g"] * 9 + ["h", "i"]), np.array(["a"] * 9 + ["b", "b"])
    try:
        fold = deal_folds(labels, groups, 3, 1, "set")
    except UserError as error:
        assert "leave a fold empty" in str(error)
    else:
        assert set(fold) == {0, 1, 2}


def test_inside_training_few_groups_make_fewer_folds():
    assert set(inner_folds(None, GROUPS[:12], 5, 1, "set")) == {0, 1, 2}
    with pytest.raises(UserError, match="no penalty can be chosen on patches that are all of one group"):
        inner_folds(None, GROUPS[:4], 5, 1, "set")


def test_inside_training_few_patches_make_fewer_folds_and_one_a_class_none():
    alone = np.full(6, "")
    assert inner_folds(np.array(list("aaabbb")), alone, 5, 1, "set").max() == 2
    with pytest.raises(UserError, match="no penalty can be chosen on one patch a class"):
        inner_folds(np.array(list("abcdef")), alone, 5, 1, "set")
