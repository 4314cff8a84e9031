import pytest

from histossl.errors import UserError
from histossl.splits.audit import SIDES, audit_splits
from histossl.splits.audit_input import Split, SplitFiles


def split(train, val, test, fold=0, fraction=1.0, repeat=0):
    return Split(repeat, fraction, fold, {"train": train.split(), "val": val.split(), "test": test.split()})


def audit(*splits, labels=None):
    """The patient is the slide's letter."""
    files = SplitFiles("made up", splits, {}, {})
    return audit_splits(files, {slide: slide[0] for slide in files.slides}, labels or {})


def test_patients_and_slides_on_two_sides_are_found():
    (fold,) = audit(split("a1 b1 c1 c1 d1", "b2 e1 f1", "a2 f2 d1 g1 g1")).folds
    assert fold.shared_patients == {
        ("train", "test"): ["a", "d"],
        ("train", "val"): ["b"],
        ("val", "test"): ["f"],
    }
    assert fold.shared_slides == ["d1"]
    assert fold.repeated_slides == ["c1", "g1"]
    assert fold.leaks


@pytest.mark.parametrize(
    "leaking", [split("a1 b1", "c1", "a2"), split("a1 b1", "b2", "c1"), split("a1", "b1", "b2"), split("a1", "", "a1")]
)
def test_any_pair_of_sets_is_a_leak(leaking):
    clean = split("a1 b1", "c1", "d1", fold=1)
    assert audit(clean, leaking).leaks
    assert not audit(clean, split("a1", "", "d1")).leaks
    assert set(audit(leaking).folds[0].shared_patients) == set(SIDES)


def test_how_often_each_slide_is_tested_is_counted_for_each_repeat():
    found = audit(
        split("b1 c1", "", "a1 a2"),
        split("a1 a2", "", "b1", fold=1),
        split("b1 c1", "", "a1 a2", repeat=1),
        split("a1 c1", "", "a2 b1", repeat=1, fold=1),
    )
    assert found.times_tested == {0: {"a1": 1, "a2": 1, "b1": 1, "c1": 0}, 1: {"a1": 1, "a2": 2, "b1": 1, "c1": 0}}


def test_smaller_fractions_are_nested_or_looked_at_by_themselves():
    whole, half = split("a1 b1 c1", "d1", "e1"), split("a1 b1", "d1", "e1", fraction=0.5)
    found = audit(half, whole)  # in any order
    assert ([fold.split for fold in found.folds], found.nested) == ([whole], 1)
    assert found.times_tested == {0: {"a1": 0, "b1": 0, "c1": 0, "d1": 0, "e1": 1}}
    for other in ("a1 f1", "d1", "e1"), ("a1", "d1", "e1 f1"), ("a1", "", "e1"):
        smaller = split(*other, fraction=0.25)
        found = audit(whole, half, smaller)
        assert ([fold.split for fold in found.folds], found.nested) == ([whole, smaller], 1)
    assert audit(whole, split("a1 e2", "d1", "e1", fraction=0.5)).leaks


def test_labels_are_counted_in_each_set_blank_where_there_is_none():
    (fold,) = audit(split("a1 a2 b1", "c1", "d1"), labels={"a1": "x", "a2": "x", "b1": "y", "c1": "", "e1": "y"}).folds
    assert fold.labels == {"train": {"x": 2, "y": 1}, "val": {"": 1}, "test": {"": 1}}


def test_a_slide_without_a_patient_is_named():
    files = SplitFiles("made up", [split("a1", "b1", "c1")], {}, {})
    with pytest.raises(UserError, match=r"are not in the sheet \(2, such as 'b1'\); add them"):
        audit_splits(files, {"a1": "a"}, {})


def test_files_that_name_nothing_are_no_clean_ones():
    with pytest.raises(UserError, match="name no slide"):
        audit(split("", "", ""))
