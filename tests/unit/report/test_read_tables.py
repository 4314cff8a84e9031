import pytest

from histossl.errors import UserError
from histossl.report.read_tables import read_csv, read_markdown
from histossl.tables.render import Figures, Section, markdown, markdown_text

LABELS = [
    "<script>alert(1)</script>",
    "$x$ & y",
    "a|b",
    "back\\slash\\",
    "_under_ *star* `tick`",
    "&lt;b&gt;",
    "[1] ~#",
]


def test_a_printed_page_is_read_back_as_it_was(tmp_path):
    rows = [[label, Figures("0.5 [0.1, 0.9]"), label] for label in LABELS]
    section = Section("of <b> & |", ["encoder", "AUC", "note"], rows, 1)
    (tmp_path / "a.md").write_text(markdown("Slide tasks", [section], [markdown_text(LABELS[0])]))
    printed = read_markdown(tmp_path / "a.md")
    assert printed.title == "Slide tasks"
    (read,) = printed.sections
    assert (read.title, list(read.columns), [list(row) for row in read.rows]) == (section.title, section.columns, rows)
    assert [isinstance(cell, Figures) for cell in read.rows[0]] == [False, True, False]
    assert list(printed.notes) == [LABELS[0]]


def test_a_table_broken_for_a_terminal_is_whole_again_and_two_tables_stay_two(tmp_path):
    columns = ["encoder", "data", *(f"figure {number} of many" for number in range(20))]
    rows = [[f"e{i}", Figures(f"{i}0%"), *(Figures(i + number) for number in range(20))] for i in range(3)]
    wide = Section("one", columns, rows, 2)
    text = markdown("T", [wide, Section("two", ["encoder", "p"], [["e0", Figures("1")]], 1)], ["n"])
    assert text.count("| encoder") > 3
    (tmp_path / "a.md").write_text(text)
    first, second = read_markdown(tmp_path / "a.md").sections
    assert list(first.columns) == columns and [list(row) for row in first.rows] == rows
    assert second.title == "two" and list(second.columns) == ["encoder", "p"]


def test_a_page_without_a_table_has_its_notes(tmp_path):
    (tmp_path / "a.md").write_text(markdown("Slides left out", [], ["0 of 3 slides."]))
    printed = read_markdown(tmp_path / "a.md")
    assert (list(printed.sections), list(printed.notes)) == ([], ["0 of 3 slides."])


def test_a_csv_keeps_labels_and_shortens_figures(tmp_path):
    (tmp_path / "a.csv").write_text('slide,auc,n\n"0012, <b>",0.59375000001,3\n0.1234567,,4\n')
    table = read_csv(tmp_path / "a.csv")
    assert [list(row) for row in table.rows] == [["0012, <b>", "0.5938", "3"], ["0.1234567", "", "4"]]
    assert [isinstance(cell, Figures) for cell in table.rows[1]] == [False, True, True]


@pytest.mark.parametrize("text", ["", "no heading\n", None])
def test_what_is_no_table_is_one_sentence(tmp_path, text):
    if text is not None:
        (tmp_path / "a.md").write_text(text)
        (tmp_path / "a.csv").write_text("")
    with pytest.raises(UserError, match=r"a\.md"):
        read_markdown(tmp_path / "a.md")
    with pytest.raises(UserError, match=r"a\.csv"):
        read_csv(tmp_path / "a.csv")
