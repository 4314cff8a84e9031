from collections import Counter, defaultdict

import pytest

import split_patients
from histossl.errors import UserError
from histossl.splits.folds import draw_splits
from histossl.splits.labels import LabelledSlide, check_labels, patient_labels
from histossl.splits.split_file import Member, check_disjoint, read_splits, write_splits


def cohort(sizes: dict[str, int]) -> list[LabelledSlide]:
    """One patient in three has two slides."""
    slides = []
    for label, patients in sizes.items():
        for index in range(patients):
            for copy in range(2 if index % 3 == 0 else 1):
                slides.append(LabelledSlide(f"{label}-{index}-{copy}", f"{label}-{index}", label))
    return slides


def patients(members, fraction, fold, name):
    return {m.patient for m in members if (m.fraction, m.fold, m.set) == (fraction, fold, name)}


SIZES = {"ductal": 23, "lobular": 10, "mixed": 5}
DRAW = {"folds": 5, "fractions": [1.0, 0.5, 0.25], "validation": 0.2, "seed": 3}


def test_every_slide_is_tested_once_and_no_patient_is_on_two_sides():
    slides = cohort(SIZES)
    members = draw_splits(slides, **DRAW)
    for fraction in DRAW["fractions"]:
        tested = Counter(m.slide for m in members if m.fraction == fraction and m.set == "test")
        assert tested == Counter(slide.slide for slide in slides)
        for fold in range(5):
            sets = [patients(members, fraction, fold, name) for name in ("train", "val", "test")]
            assert sum(map(len, sets)) == len(set.union(*sets))


def test_at_the_full_fraction_every_slide_has_a_place_in_every_fold():
    members = draw_splits(cohort(SIZES), **DRAW)
    places = Counter(m.slide for m in members if m.fraction == 1.0)
    assert places == Counter({slide.slide: 5 for slide in cohort(SIZES)})


def test_folds_are_stratified_and_of_equal_size_by_patient():
    members = draw_splits(cohort(SIZES), **DRAW)
    sizes = [len(patients(members, 1.0, fold, "test")) for fold in range(5)]
    assert max(sizes) - min(sizes) <= 1
    for label in SIZES:
        counts = [sum(p.startswith(label) for p in patients(members, 1.0, fold, "test")) for fold in range(5)]
        assert max(counts) - min(counts) <= 1


def test_training_fractions_are_nested_and_stratified_and_the_other_sets_stay():
    members = draw_splits(cohort(SIZES), **DRAW)
    for fold in range(5):
        full, half, quarter = (patients(members, fraction, fold, "train") for fraction in DRAW["fractions"])
        assert quarter < half < full
        for label in SIZES:
            count = sum(p.startswith(label) for p in full)
            assert sum(p.startswith(label) for p in half) == max(1, int(count / 2 + 0.5))
        for name in ("val", "test"):
            assert patients(members, 1.0, fold, name) == patients(members, 0.25, fold, name)


def test_every_set_has_every_class_down_to_the_fewest_patients():
    members = draw_splits(cohort({"a": 4, "b": 4}), folds=4, fractions=[0.1], validation=0.5, seed=0)
    classes = defaultdict(set)
    for member in members:
        classes[member.fold, member.set].add(member.label)
    assert len(classes) == 12
    assert all(found == {"a", "b"} for found in classes.values())


def test_a_single_patient_outside_the_test_set_goes_to_training():
    members = draw_splits(cohort({"a": 2, "b": 2}), folds=2, fractions=[1.0], validation=0.9, seed=0)
    assert {member.set for member in members} == {"train", "test"}


def test_without_validation_there_is_none():
    members = draw_splits(cohort(SIZES), folds=5, fractions=[1.0], validation=0, seed=0)
    assert {member.set for member in members} == {"train", "test"}


def test_splits_depend_on_the_seed_but_not_on_the_order_of_the_sheet():
    slides = cohort(SIZES)
    members = draw_splits(slides, **DRAW)
    assert sorted(draw_splits(slides[::-1], **DRAW)) == sorted(members)
    assert draw_splits(slides, **{**DRAW, "seed": 4}) != members


def test_a_patient_is_stratified_by_the_majority_of_the_labels_and_ties_go_by_name():
    rows = [("p", "b"), ("p", "b"), ("p", "a"), ("q", "b"), ("q", "a")]
    slides = [LabelledSlide(str(index), *row) for index, row in enumerate(rows)]
    assert patient_labels(slides) == {"p": "b", "q": "a"}


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


def rows(*labels: str, column: str = "subtype") -> list[dict[str, str]]:
    return [{"slide": f"s{i}", "patient": f"p{i}", column: label} for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("sheet", "classes", "message"),
    [
        (rows("a", "b", column="grade"), None, r"no column 'subtype' \(columns: slide, patient, grade\)"),
        (rows("a", "a", ""), None, "holds only the class 'a'"),
        (rows("", ""), None, "holds no label"),
        (rows("a", "a", "a", "b", "b"), None, "class 'b' .* has 2 patients, fewer than the 3 folds; set `folds` to 2"),
        (rows("a", "a", "a", "b"), None, "class 'b' .* has 1 patient, .*label more patients"),
        (rows("a", "b"), ["a", "z"], "no slide has the label 'z'"),
        ([{**rows("a")[0], "patient": " "}, *rows("b", "b")], None, "slide 's0' has no patient"),
    ],
)
def test_bad_labels_get_one_sentence_that_names_them(sheet, classes, message):
    with pytest.raises(UserError, match=message) as caught:
        check_labels(sheet, "subtype", 3, "slides.csv", classes)
    assert str(caught.value).startswith("slides.csv: ")


def test_slides_without_a_wanted_label_are_left_out():
    slides = check_labels(rows("a", "b", "", "c", " a ", "b"), "subtype", 2, "slides.csv", ["a", "b"])
    assert [slide.label for slide in slides] == ["a", "b", "a", "b"]


def test_the_script_writes_the_splits_and_says_how_many_slides_it_left_out(tmp_path, capsys):
    sheet = tmp_path / "slides.csv"
    sheet.write_text("\ufeffslide,patient,path,subtype\n" + "".join(f"s{i},p{i},x,{'ab-'[i % 3]}\n" for i in range(12)))
    settings = '{"label":"subtype","classes":["a","b"],"folds":2,"fractions":[1.0,0.5],"validation":0.3,"seed":1}'
    arguments = ["--sheet", str(sheet), "--settings", settings, "--output"]
    split_patients.main([*arguments, str(tmp_path / "one.csv")])
    split_patients.main([*arguments, str(tmp_path / "two.csv")])
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert {m.label for m in read_splits(tmp_path / "one.csv")} == {"a", "b"}
    assert "8 slides of 8 patients (4 a, 4 b) in 2 folds; 4 left out" in capsys.readouterr().err
