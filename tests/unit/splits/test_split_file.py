import pytest

from histossl.errors import UserError
from histossl.splits.folds import draw_splits
from histossl.splits.labels import LabelledSlide
from histossl.splits.split_file import (
    Member,
    check_disjoint,
    folds_without_a_class,
    name_fraction,
    read_members,
    read_splits,
    write_splits,
)
from tests.unit.splits.test_folds import DRAW, SIZES, cohort


def test_a_patient_in_two_sets_is_refused():
    members = [Member(0, 1.0, 0, "train", "s1", "p1", "a", 0), Member(0, 1.0, 0, "test", "s2", "p1", "a", 0)]
    with pytest.raises(UserError, match=r"'p1' is in train and in test of fold 0"):
        check_disjoint(members, "x.csv")


def test_split_files_are_read_as_written_and_checked_again(tmp_path):
    members = draw_splits([LabelledSlide('s,"1', "p;1", "a, b"), *cohort(SIZES)], **DRAW)
    write_splits(tmp_path / "splits.csv", members)
    assert read_splits(tmp_path / "splits.csv") == members
    leak = members[0]._replace(set="val" if members[0].set != "val" else "train")
    write_splits(tmp_path / "splits.csv", [*members, leak])
    with pytest.raises(UserError, match="on one side"):
        read_splits(tmp_path / "splits.csv")


def test_a_patient_in_two_sets_passes_where_it_is_marked_in_both():
    members = [Member(0, 1.0, 0, "train", "s1", "p1", "a", 1), Member(0, 1.0, 0, "test", "s2", "p1", "a", 1)]
    check_disjoint(members, "x.csv")
    for unmarked in (0, 1):
        half = [member._replace(leaked=int(index != unmarked)) for index, member in enumerate(members)]
        with pytest.raises(UserError, match=r"'p1' is in train and in test of fold 0"):
            check_disjoint(half, "x.csv")


def test_a_patient_may_be_in_other_sets_of_other_splits():
    place = {"slide": "s", "patient": "p", "label": "a", "leaked": 0}
    check_disjoint([Member(0, 1.0, 0, "train", **place), Member(1, 1.0, 0, "test", **place)], "x.csv")
    check_disjoint([Member(0, 1.0, 0, "train", **place), Member(0, 1.0, 1, "test", **place)], "x.csv")


@pytest.mark.parametrize(("fraction", "name"), [(1, "1.0"), (1.0, "1.0"), (0.75, "0.75"), (1e-5, "1e-05")])
def test_a_fraction_has_one_name_that_gives_it_back(fraction, name):
    assert name_fraction(fraction) == name_fraction(float(name)) == name


def test_folds_that_lack_a_class_are_counted_in_all_repeats():
    tested = [(0, 0, "a"), (0, 0, "b"), (0, 1, "a"), (1, 0, "b"), (1, 1, "a"), (1, 1, "b")]
    members = [
        Member(repeat, fraction, fold, "test", label, label, label, 0)
        for fraction in (1.0, 0.5)
        for repeat, fold, label in tested
    ]
    assert folds_without_a_class(members) == (2, 4)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "repeat,fraction,fold,set,slide,patient,label,leaked\n0,x,0,,,,,0\n"])
def test_another_file_is_named(tmp_path, text):
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(UserError, match=r"other\.csv: not a split file of this workflow"):
        read_members(tmp_path / "other.csv")


MEMBERS = [Member(0, 1.0, 0, "train", "s1", "p1", "a", 0), Member(0, 1.0, 0, "test", "s2", "p2", "b", 0)]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (
            [*MEMBERS, MEMBERS[0]._replace(slide="s3", set="tset")],
            "'s3' is in the set 'tset'; sets are train, val, test",
        ),
        ([*MEMBERS, MEMBERS[0]._replace(patient="p9")], "slide 's1' is of patients 'p1' and 'p9'"),
        (MEMBERS[:1], r"fold 0 \(fraction 1.0, repeat 0\) has no test slides"),
        (MEMBERS[1:], "has no train slides"),
        ([], "has no slides"),
    ],
)
def test_a_split_file_that_was_spoilt_by_hand_is_named(tmp_path, members, said):
    write_splits(tmp_path / "splits.csv", members)
    with pytest.raises(UserError, match=f"splits.csv: .*{said}"):
        read_members(tmp_path / "splits.csv")


def test_a_split_file_that_a_spreadsheet_saved_is_read_and_bytes_or_nothing_are_named(tmp_path):
    path = tmp_path / "splits.csv"
    write_splits(path, MEMBERS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_members(path) == MEMBERS
    path.write_bytes(bytes(range(128, 256)) * 100)
    with pytest.raises(UserError) as found:
        read_members(path)
    assert len(str(found.value)) < 300
    with pytest.raises(UserError, match="No such file"):
        read_members(tmp_path / "none.csv")
