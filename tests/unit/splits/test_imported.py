from collections import Counter, defaultdict

import pytest

from histossl.errors import UserError
from histossl.splits.imported import import_splits
from histossl.splits.labels import LabelledSlide
from histossl.splits.split_file import check_disjoint
from tests.unit.splits.test_clam import write_bool, write_plain

FRACTIONS = (1.0, 0.5, 0.25)


def cohort(patients: int = 24) -> list[LabelledSlide]:
    """One patient in four has two slides."""
    return [
        LabelledSlide(f"s{i}{copy}", f"p{i}", "ab"[i % 2])
        for i in range(patients)
        for copy in "xy"[: 2 if i % 4 == 0 else 1]
    ]


def deal(slides, folds=3):
    """Sets without shared patients: fold k tests each patient whose number leaves k, validates every fifth other."""
    dealt = []
    for fold in range(folds):
        sets = {"train": [], "val": [], "test": []}
        for slide in slides:
            number = int(slide.patient[1:])
            sets["test" if number % folds == fold else "val" if number % 5 == 4 else "train"].append(slide.slide)
        dealt.append(sets)
    return dealt


@pytest.fixture
def folder(tmp_path):
    """Three folds, with what else CLAM leaves in such a folder."""
    folder = tmp_path / "splits"
    folder.mkdir()
    for fold, sets in enumerate(deal(cohort())):
        write_plain(folder / f"splits_{fold}.csv", **sets)
        (folder / f"splits_{fold}_descriptor.csv").write_text(",train,val,test\na,1,2,3\n")
    (folder / "notes.txt").touch()
    return folder


def sets_of(members, fraction=1.0):
    found = defaultdict(lambda: defaultdict(set))
    for member in members:
        if member.fraction == fraction:
            found[member.fold][member.set].add(member.slide)
    return found


def test_the_folds_are_those_of_the_files(folder):
    slides = cohort()
    imported = import_splits(folder, slides, 1.0, "fail", 1)
    for fold, sets in enumerate(deal(slides)):
        assert sets_of(imported.members)[fold] == {name: set(ids) for name, ids in sets.items()}
    by_id = {slide.slide: slide for slide in slides}
    assert all((m.slide, m.patient, m.label) == by_id[m.slide] for m in imported.members)
    assert {(m.repeat, m.leaked) for m in imported.members} == {(0, 0)}
    assert (imported.strangers, imported.unplaced, imported.shared, imported.dropped) == ([], [], {}, 0)


def test_the_files_of_true_and_false_give_the_same(folder, tmp_path):
    (tmp_path / "bool").mkdir()
    for fold, sets in enumerate(deal(cohort())):
        write_bool(tmp_path / f"bool/splits_{fold}_bool.csv", **sets)
    plain, booleans = (import_splits(path, cohort(), 0.5, "fail", 1) for path in (folder, tmp_path / "bool"))
    assert plain == booleans


def test_training_fractions_are_nested_and_stratified_by_patient_and_the_other_sets_stay(folder):
    slides = cohort()

    def draw(seed):
        return [m for fraction in FRACTIONS for m in import_splits(folder, slides, fraction, "fail", seed).members]

    members = draw(1)
    assert draw(1) == members != draw(2)
    label_of = {slide.patient: slide.label for slide in slides}
    for fold in range(3):
        trained = {
            fraction: {m.patient for m in members if (m.fraction, m.fold, m.set) == (fraction, fold, "train")}
            for fraction in FRACTIONS
        }
        assert trained[0.25] < trained[0.5] < trained[1.0]
        for fraction in FRACTIONS:
            counts = Counter(label_of[patient] for patient in trained[fraction])
            full = Counter(label_of[patient] for patient in trained[1.0])
            assert counts == {label: max(1, int(fraction * count + 0.5)) for label, count in full.items()}
            # All slides of a patient come or go together.
            here = sets_of(members, fraction)[fold]
            assert here["train"] == {slide.slide for slide in slides if slide.patient in trained[fraction]}
            assert (here["val"], here["test"]) == (sets_of(members)[fold]["val"], sets_of(members)[fold]["test"])


def test_slides_on_either_side_alone_are_left_out_and_counted(folder):
    slides = cohort()
    slides = [slide for slide in slides if slide.slide not in ("s1x", "s4y")]
    slides.append(LabelledSlide("new", "p99", "a"))
    imported = import_splits(folder, slides, 1.0, "fail", 1)
    assert imported.strangers == ["s1x", "s4y"]
    assert imported.unplaced == ["new"]
    assert not {"s1x", "s4y", "new"} & {m.slide for m in imported.members}


@pytest.fixture
def leaky(folder):
    """In fold 0, p0 is in test and training, p4 in training and validation, p8 in test and validation."""
    moved = {"s0y": "train", "s4x": "train", "s8x": "test", "s8y": "val"}
    where = {slide: name for name, ids in deal(cohort())[0].items() for slide in ids} | moved
    sets = {name: [slide for slide, place in where.items() if place == name] for name in ("train", "val", "test")}
    write_plain(folder / "splits_0.csv", **sets)
    return folder


def test_shared_patients_are_refused_by_default_with_how_many_and_one_of_them(leaky):
    with pytest.raises(
        UserError, match=r"splits_0\.csv: 3 patients are in more than one set of fold 0 \(such as 'p0', "
    ):
        import_splits(leaky, cohort(), 1.0, "fail", 1)


def test_dropped_patients_stay_in_one_set_test_first(leaky):
    kept = import_splits(leaky, cohort(), 1.0, "drop", 1)
    assert kept.shared == {0: ["p0", "p4", "p8"]}
    assert kept.dropped == 3
    marked = import_splits(leaky, cohort(), 1.0, "allow", 1)
    before, after = sets_of(marked.members), sets_of(kept.members)
    assert before[0]["train"] - after[0]["train"] == {"s0y"}
    assert before[0]["val"] - after[0]["val"] == {"s4y", "s8y"}
    assert before[0]["test"] == after[0]["test"] >= {"s0x", "s8x"}
    assert (before[1], before[2]) == (after[1], after[2])
    assert all(m.leaked == 0 for m in kept.members)


def test_allowed_patients_are_marked_in_the_fractions_that_use_them(leaky):
    tested = {}
    for fraction in (1.0, 0.05):
        members = import_splits(leaky, cohort(), fraction, "allow", 1).members
        check_disjoint(members, "imported")
        for fold in range(3):
            sets = defaultdict(set)
            for m in members:
                if m.fold == fold:
                    sets[m.patient].add(m.set)
            for m in members:
                if m.fold == fold:
                    assert m.leaked == (len(sets[m.patient]) > 1)
        tested[fraction] = {m.slide for m in members if m.leaked and m.set == "test"}
    assert tested[1.0] == {"s0x", "s8x"}


@pytest.mark.parametrize("writer", [write_plain, write_bool])
def test_ids_that_pandas_took_for_numbers_are_found_again(tmp_path, writer):
    slides = [LabelledSlide(str(100 + i), f"p{i}", "ab"[i % 2]) for i in range(9)]
    slides.append(LabelledSlide("7.0", "p9", "a"))  # an id that is called so
    sets = {"train": [100, 101, 102, 103, 104], "val": [105, 106], "test": [107, 108]}
    writer(tmp_path / f"splits_0{'_bool' * (writer is write_bool)}.csv", **sets)
    text = next(tmp_path.iterdir()).read_text()
    assert ("105.0" in text) == (writer is write_plain)  # what pandas does to columns with blanks
    members = import_splits(tmp_path, slides, 1.0, "fail", 1).members
    assert sets_of(members)[0] == {name: set(map(str, ids)) for name, ids in sets.items()}


def test_a_slide_in_two_columns_is_found_though_pandas_wrote_it_twofold(folder):
    (folder / "splits_1.csv").write_text(",train,val,test\n0,5,6.0,5.0\n")
    with pytest.raises(UserError, match=r"splits_1\.csv: names the slide '5' twice, in train and in test"):
        import_splits(folder, cohort(), 1.0, "allow", 1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("splits_0.csv", ",train,test\n0,s1x,s2x\n", r"has no column 'val' \(it has train, test\)"),
        ("splits_0.csv", "", r"has no column 'train' \(it has nothing\)"),
        (
            "splits_0.csv",
            ",train,val,test\n0,s1x,,s2x\n1,s1x,,\n",
            "names the slide 's1x' twice, in train and in train",
        ),
        ("splits_0.csv", ",train,val,test\n0,s1x,s2x,\n", "fold 0 tests no slide of the task, for it names none"),
        (
            "splits_0.csv",
            ",train,val,test\n0,s1x,s2x,no\n",
            "fold 0 tests no slide of the task, of the 1 that it names, such as 'no'",
        ),
        ("splits_0.csv", ",train,val,test\n0,s1x,s2x,s3x\n", "fold 0 has no patient of class 'a' to train on"),
        ("splits_0_bool.csv", ",train,val,test\ns1x,True,False,maybe\n", "slide 's1x' has 'maybe', where True or Fa"),
        ("splits_0_bool.csv", "train,val,test\nTrue,False,False\n", "its first column is 'train', where slide ids"),
        ("splits_0_bool.csv", ",train,val,test\ns1x,True,False,True\n", "names the slide 's1x' twice, in train and i"),
        ("splits_0.csv", b",train,val,test\n0,\xff,,\n", "cannot be read as CSV in UTF-8"),
    ],
)
def test_files_that_cannot_be_used_get_one_sentence(tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message) as caught:
        import_splits(tmp_path, cohort(), 1.0, "drop", 1)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_class_that_no_patient_of_training_counts_under_is_named(tmp_path):
    # p0 has a slide of b and two of a: a small fraction could not be sure of b.
    slides = [LabelledSlide(f"s{i}", f"p{i // 3}", label) for i, label in enumerate("aabaaabbb")]
    write_plain(tmp_path / "splits_0.csv", train=[f"s{i}" for i in range(6)], val=[], test=["s6", "s7", "s8"])
    with pytest.raises(UserError, match="fold 0 has no patient of class 'b' to train on"):
        import_splits(tmp_path, slides, 1.0, "fail", 1)
