import pytest

from histossl.errors import UserError
from histossl.splits.audit_input import name_patients, read_sheet, read_split_files
from histossl.splits.folds import draw_splits
from histossl.splits.split_file import write_splits
from tests.unit.splits.test_clam import write_bool, write_plain
from tests.unit.splits.test_folds import DRAW, SIZES, cohort

SETS = {"train": ["a", "b", "c"], "val": ["d"], "test": ["e", "a"]}


@pytest.mark.parametrize("place", ["", "splits_3.csv"])
def test_a_folder_and_a_file_of_clams_are_read_as_they_are(tmp_path, place):
    write_plain(tmp_path / "splits_3.csv", **SETS)
    files = read_split_files(tmp_path / place)
    (split,) = files.splits
    assert split.slides == SETS
    assert (split.repeat, split.fraction, split.fold) == (0, 1.0, 0 if place else 3)
    assert files.slides == ["a", "b", "c", "d", "e"]
    assert files.kind == ("CLAM's format" if place else "CLAM's format, 1 file")


def test_a_file_of_true_and_false_is_told_by_its_name(tmp_path):
    sets = {**SETS, "test": ["e"]}
    write_bool(tmp_path / "splits_0_bool.csv", **sets)
    assert read_split_files(tmp_path / "splits_0_bool.csv").splits[0].slides == sets


@pytest.mark.parametrize("place", ["", "1.0.csv"])
def test_our_own_files_say_patients_and_labels(tmp_path, place):
    members = []
    for fraction in (0.5, 1.0)[bool(place) :]:
        drawn = draw_splits(cohort(SIZES), **{**DRAW, "fraction": fraction}, repeats=2)
        write_splits(tmp_path / f"{fraction}.csv", drawn)
        members += drawn
    files = read_split_files(tmp_path / place)
    assert files.kind == "this workflow's format"
    assert [(s.repeat, s.fraction, s.fold) for s in files.splits] == list(dict.fromkeys(m[:3] for m in members))
    whole = next(split for split in files.splits if split.fraction == 1.0)
    assert whole.slides["test"] == [m.slide for m in members if m[:4] == (0, 1.0, 0, "test")]
    assert files.patients == {m.slide: m.patient for m in members}
    assert files.labels == {m.slide: m.label for m in members}


def test_what_is_no_split_file_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such file or folder"):
        read_split_files(tmp_path / "nowhere")
    with pytest.raises(UserError, match="has no split files"):
        read_split_files(tmp_path)
    (tmp_path / "slides.csv").write_text("slide,patient,path\n")
    with pytest.raises(UserError, match=r"slides\.csv: has no column 'train' \(it has slide, patient, path\)"):
        read_split_files(tmp_path / "slides.csv")
    (tmp_path / "fold.csv").write_text("slide,fold\na,1\n")
    with pytest.raises(UserError, match=r"fold\.csv: not a split file of this workflow"):
        read_split_files(tmp_path / "fold.csv")


def test_a_folder_with_files_of_clams_is_theirs_whatever_else_it_holds(tmp_path):
    write_plain(tmp_path / "splits_3.csv", **SETS)
    (tmp_path / "results.csv").write_text("fold,auc\n3,0.5\n")
    assert read_split_files(tmp_path).kind == "CLAM's format, 1 file"


def test_patients_are_the_first_three_fields_of_a_barcode():
    slides = ["TCGA-A7-A0CD-01Z-00-DX1.F045B9C8-049C-41BF-8432-EF89F236D34D", "tcga-a7-a0cd-01Z-00-DX2"]
    assert set(name_patients(slides, "tcga").values()) == {"TCGA-A7-A0CD"}
    assert name_patients(slides, "slide") == {slide: slide for slide in slides}
    with pytest.raises(UserError, match=r"of slide 'S1' cannot be told, .* --sheet, or `--patients slide`"):
        name_patients([*slides, "S1"], "tcga")


@pytest.mark.parametrize("header", ["slide,patient,path,grade", "case_id,slide_id,label,grade"])
def test_our_sheet_and_clams_table_are_read(tmp_path, header):
    sheet = tmp_path / "slides.csv"
    order = ("s1", "p1", "x", "high") if header.startswith("slide") else ("p1", "s1", "x", "high")
    sheet.write_text(f"\ufeff{header}\n{','.join(order)}\n", encoding="utf-8")
    assert read_sheet(sheet, "grade") == ({"s1": "p1"}, {"s1": "high"})
    assert read_sheet(sheet, None) == ({"s1": "p1"}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,patient\n", r"has no column 'slide' or 'slide_id' \(it has name, patient\)"),
        ("slide,case\n", "has no column 'patient' or 'case_id'"),
        ("slide,patient\ns1,p1\n", "has no column 'grade'"),
        ("slide,patient,grade\ns1,,x\n", "slide 's1' has no patient; fill the column 'patient'"),
        (b"slide,patient,grade\n\xff,,x\n", "cannot be read as CSV in UTF-8"),
    ],
)
def test_a_sheet_that_cannot_be_used_gets_one_sentence(tmp_path, text, message):
    (tmp_path / "slides.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=rf"slides\.csv: {message}"):
        read_sheet(tmp_path / "slides.csv", "grade")


def test_a_slide_of_two_patients_cannot_be_audited(tmp_path):
    (tmp_path / "sheet.csv").write_text("slide,patient\na,p1\na,p1\na,p2\n")
    with pytest.raises(UserError, match=r"slide 'a' is of patients 'p1' and 'p2'"):
        read_sheet(tmp_path / "sheet.csv", None)
