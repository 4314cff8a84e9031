import json

import pytest

import split_patients
from histossl.errors import UserError
from histossl.splits.split_file import read_splits
from tests.unit.splits.test_clam import write_plain
from tests.unit.splits.test_imported import cohort, deal

SETTINGS = {
    **{"label": "subtype", "classes": ["a", "b"], "site": None, "folds": 2, "repeats": 1, "split_files": None},
    **{"fraction": 0.5, "validation": 0.3, "seed": 1},
}


@pytest.fixture
def split(tmp_path):
    """Run the script on a sheet of the given rows: slide, patient, subtype, site."""

    def split(rows, name="splits", **settings):
        sheet = tmp_path / "slides.csv"
        lines = [f"{slide},{patient},x,{label},{site}\n" for slide, patient, label, site in rows]
        sheet.write_text("\ufeffslide,patient,path,subtype,centre\n" + "".join(lines))
        arguments = ["--sheet", str(sheet), "--settings", json.dumps({**SETTINGS, **settings})]
        split_patients.main([*arguments, "--output", str(tmp_path / f"{name}.csv")])
        return read_splits(tmp_path / f"{name}.csv")

    return split


ROWS = [(f"s{i}", f"p{i}", "ab-"[i % 3], f"c{i // 3}") for i in range(12)]


def test_it_writes_the_same_splits_again_and_says_how_many_slides_it_left_out(tmp_path, split, capsys):
    members = split(ROWS, "one")
    split(ROWS, "two")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert {m.label for m in members} == {"a", "b"}
    said = capsys.readouterr().err.splitlines()
    assert said == ["8 slides of 8 patients (4 a, 4 b) in 2 folds; left out: 4 of another class"] * 2


def test_repeats_and_sites_are_drawn(split, capsys):
    members = split(ROWS, repeats=3, site="centre", folds=4)
    assert {m.repeat for m in members} == {0, 1, 2}
    for m in members:
        if m.set == "test":
            other = f"s{int(m.slide[1:]) ^ 1 if m.slide in ('s0', 's1') else m.slide[1:]}"
            assert any(n[:4] == m[:4] and n.slide == other for n in members)
    assert "(4 a, 4 b), in 3 repeats of 4 folds; left out: 4 of another class" in capsys.readouterr().err


def test_folds_without_a_class_and_patients_of_two_labels_are_warned_of(split, capsys):
    rows = [(f"s{i}", f"p{i // 2}", "ab"[i in (0, 1, 3, 8, 9)], f"c{i // 4}") for i in range(12)]
    split(rows, site="centre", folds=3)
    said = capsys.readouterr().err.splitlines()
    assert said[1] == (
        "warning: slides of 1 patient (such as 'p1') have different labels; each patient is dealt by the most frequent"
    )
    assert said[2] == "warning: 1 of 3 folds test no slide of some class, and have no AUC of their own"


def test_repeats_that_deal_the_same_folds_are_warned_of(split, capsys):
    rows = [(f"s{i}", f"p{i}", "ab"[i % 2], f"c{i % 8 // 2}") for i in range(24)]
    split(rows, site="centre", folds=4, repeats=3)  # each site is a fold
    said = capsys.readouterr().err
    assert "warning: 3 repeats have 1 different deals to folds alone" in said
    split(rows, repeats=3)
    assert "warning" not in capsys.readouterr().err


def test_split_files_are_imported_and_what_is_not_taken_is_counted(tmp_path, split, capsys):
    (tmp_path / "clam").mkdir()
    for fold, sets in enumerate(deal(cohort())):
        if fold == 0:
            sets["train"].append(sets["test"].pop(0))  # s0x, whose patient has another slide in test
        write_plain(tmp_path / f"clam/splits_{fold}.csv", **sets)
    rows = [(s.slide, s.patient, "-" if s.slide == "s5x" else s.label, "") for s in cohort()] + [("new", "n", "a", "")]
    files = {"folder": str(tmp_path / "clam"), "on_shared_patients": "drop"}
    members = split(rows, split_files=files, folds=99)
    assert {m.fold for m in members} == {0, 1, 2}
    where = tmp_path / "clam"
    assert capsys.readouterr().err.splitlines() == [
        "30 slides of 24 patients (19 a, 11 b) in 3 folds; left out: 1 of another class",
        f"warning: left out 1 slide of {where} that the sheet does not list with a label of this task (such as 's5x')",
        f"warning: left out 1 slide of this task that no file of {where} names (such as 'new')",
        f"warning: 1 patient in more than one set in 1 fold of {where} (summed over the folds): "
        "left out 1 slide of theirs, so that each is in one set, test first",
    ]
    members = split(rows, split_files={**files, "on_shared_patients": "allow"})
    assert {m.slide for m in members if m.leaked} == {"s0x", "s0y"}
    assert ": marked as leaked" in capsys.readouterr().err
    with pytest.raises(UserError, match="1 patient is in more than one set of fold 0"):
        split(rows, split_files={**files, "on_shared_patients": "fail"})


def test_slides_without_a_label_are_counted_apart_and_patients_alike_but_for_capitals_named(split, capsys):
    rows = [(f"s{i}", f"p{i}", "ab "[i % 3], "") for i in range(11)]
    split([*rows, ("s11", "P0", "a", ""), ("s12", "p12", "c", "")])
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "9 slides of 9 patients (5 a, 4 b) in 2 folds; left out: 3 without a label, 1 of another class",
        "warning: patients 'P0' and 'p0' differ in capitals only; are they one?",
    ]
