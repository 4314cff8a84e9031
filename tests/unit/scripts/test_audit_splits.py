import subprocess
import sys
from pathlib import Path

import pytest

import audit_splits
from histossl.errors import UserError
from histossl.splits.folds import draw_splits
from histossl.splits.labels import LabelledSlide
from histossl.splits.split_file import Member, write_splits
from tests.unit.splits.test_clam import write_plain
from tests.unit.splits.test_imported import cohort, deal

REPOSITORY = Path(__file__).resolve().parents[3]
PUBLISHED = REPOSITORY.parent / "shared/data/tcga_brca"


def cells(report: str, first: str) -> list[str]:
    """The row of a table that starts with `first`."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in report.splitlines() if line[:1] == "|"]
    return next(row[1:] for row in rows if row[0] == first)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"the published split files are not in {PUBLISHED}")
def test_the_published_files_leak_and_are_no_k_fold():
    script = REPOSITORY / "workflow/scripts/audit_splits.py"
    ran = subprocess.run([sys.executable, str(script), str(PUBLISHED)], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (1, "")
    shared = [12, 8, 10, 8, 8, 4, 15, 9, 13, 4]
    for fold, count in enumerate(shared):
        assert cells(ran.stdout, str(fold))[:4] == ["845", "98", "98", str(count)]
    assert cells(ran.stdout, "sum")[3] == str(sum(shared)) == "91"
    assert "980 test entries, 675 unique slides tested" in ran.stdout
    assert "Monte-Carlo, not K-fold" in ran.stdout
    verdict = "Verdict: LEAK in 10 of 10 folds; summed over them, patients in train and test: 91, "
    assert ran.stdout.splitlines()[-1].startswith(verdict)


@pytest.fixture
def folder(tmp_path):
    """Three clean folds of slides named like s12x; their patients, like p12, stand in sheet.csv."""
    (tmp_path / "splits").mkdir()
    for fold, sets in enumerate(deal(cohort())):
        write_plain(tmp_path / f"splits/splits_{fold}.csv", **sets)
    lines = [f"{s.slide},{s.patient},{s.label}\n" for s in cohort()]
    (tmp_path / "sheet.csv").write_text("slide,patient,subtype\n" + "".join(lines))
    return tmp_path


def test_clean_files_pass(folder, capsys):
    audit_splits.main([str(folder / "splits"), "--sheet", str(folder / "sheet.csv"), "--label", "subtype"])
    report = capsys.readouterr().out
    assert report.endswith("\n\nVerdict: no patient and no slide is on two sides of a fold.\n")
    assert "K-fold: each slide is tested once." in report
    assert cells(report, "times tested") == ["0", "1"]
    assert cells(report, "slides") == ["0", "30"]
    assert "Slides by label, 'a' / 'b':" in report
    # Of fold 0 test: the patients 0, 3, ..., 21; 0 and 12 with two slides.
    labels = [s.label for s in cohort() if int(s.patient[1:]) % 3 == 0]
    assert f"{labels.count('a')} / {labels.count('b')}" in report


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("s0y", "s1x", "patients in train and test: 1, slides in several sets: 1"),  # s1x trains already
        ("s0y", "", None),
    ],
)
def test_a_leak_ends_with_exit_code_1(folder, capsys, old, new, found):
    file = folder / "splits/splits_0.csv"
    file.write_text(file.read_text().replace(old, new))
    arguments = [str(folder / "splits"), "--sheet", str(folder / "sheet.csv")]
    if found is None:
        audit_splits.main(arguments)
        assert "Each slide is tested once at most, but not all are" in capsys.readouterr().out
        return
    with pytest.raises(SystemExit) as ended:
        audit_splits.main(arguments)
    assert ended.value.code == 1
    report = capsys.readouterr().out
    assert f"Verdict: LEAK in 1 of 3 folds; summed over them, {found}." in report
    assert "- fold 0, patients in train and test: 1 (p1)" in report
    assert "- fold 0, slides in several sets: 1 (s1x)" in report


def test_our_own_files_are_read_with_their_repeats_and_fractions(tmp_path, capsys):
    for fraction in (1.0, 0.5):
        write_splits(tmp_path / f"{fraction}.csv", draw_splits(cohort(), 3, fraction, 0.2, 1, repeats=2))
    audit_splits.main([str(tmp_path)])
    report = capsys.readouterr().out
    assert "6 splits of smaller fractions" in report
    assert "K-fold: each slide is tested once in each repeat." in report
    assert cells(report, "slides of repeat 1") == ["0", "30"]
    assert len(cells(report, "2, repeat 1")) == 7
    assert "Slides by label, 'a' / 'b':" in report


def test_leaks_of_a_fraction_of_ours_are_found_too(tmp_path, capsys):
    whole, half = (draw_splits(cohort(), 3, fraction, 0.0, 1) for fraction in (1.0, 0.5))
    tested = next(m for m in half if (m.fold, m.set) == (1, "test"))
    write_splits(tmp_path / "1.0.csv", whole)
    write_splits(tmp_path / "0.5.csv", [*half, Member(0, 0.5, 1, "train", "extra", tested.patient, "a", 0)])
    with pytest.raises(SystemExit):
        audit_splits.main([str(tmp_path)])
    report = capsys.readouterr().out
    assert f"- fold 1, 0.5 of training, patients in train and test: 1 ({tested.patient})" in report
    assert "2 splits of smaller fractions" in report


def test_whose_slides_they_are_must_be_known(folder, capsys):
    with pytest.raises(UserError, match="no TCGA barcode; give the slide sheet with --sheet, or `--patients slide`"):
        audit_splits.main([str(folder / "splits")])
    audit_splits.main([str(folder / "splits"), "--patients", "slide"])
    assert "each slide taken for one of its own" in capsys.readouterr().out
    sheet = folder / "sheet.csv"
    sheet.write_text(sheet.read_text().replace("s5x", "s5"))
    with pytest.raises(UserError, match=r"not in the sheet \(1, such as 's5x'\)"):
        audit_splits.main([str(folder / "splits"), "--sheet", str(sheet)])


def test_a_single_split_is_no_cross_validation(folder, capsys):
    audit_splits.main([str(folder / "splits/splits_1.csv"), "--sheet", str(folder / "sheet.csv")])
    report = capsys.readouterr().out
    assert "One split, no cross-validation." in report
    with pytest.raises(StopIteration):
        cells(report, "sum")


def test_a_label_without_a_sheet_is_refused(folder):
    with pytest.raises(SystemExit) as ended:
        audit_splits.main([str(folder / "splits"), "--label", "subtype"])
    assert ended.value.code == 2


def test_labels_of_any_letters_do_not_break_a_table(tmp_path, capsys):
    slides = [LabelledSlide(f"s{i}", f"p{i}", ("a|b", "c\nd")[i % 2]) for i in range(12)]
    write_splits(tmp_path / "task.csv", draw_splits(slides, 2, 1.0, 0.0, 1))
    audit_splits.main([str(tmp_path / "task.csv")])
    assert "Slides by label, 'a|b' / 'c\\nd':" in capsys.readouterr().out


def test_what_cannot_be_read_is_told_from_a_leak_by_its_exit_code(tmp_path):
    script = REPOSITORY / "workflow/scripts/audit_splits.py"
    ran = subprocess.run([sys.executable, str(script), str(tmp_path / "none")], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
