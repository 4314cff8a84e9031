"""Labels of any content come out of every format as they went in."""

import csv
import html
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from histossl.tables.render import Figures, Section, csv_table, latex, latex_text, markdown

LABELS = [
    "plain",
    "a, b",
    'say "so"',
    "<b>bold</b>",
    "<script>alert(1)</script>",
    "a | b",
    "R&D &lt; AT&T",
    "50%",
    "snake_case _it_",
    "$5$ x^2 ~",
    "two\nlines\r\nthree",
    "back\\slash \\cmd{x}",
    "[link](javascript:x) *stars* `code` # ~~x~~",
    "=cmd()",
    "† µm ± é",
]
SECTION = Section("Title of <i> & _x_", ["label", "value"], [[label, Figures("1")] for label in LABELS], 1)


def on_one_line(text):
    return " ".join(text.split())


def test_csv_gives_every_label_back():
    text = csv_table([{"label": label, "n": 1} for label in LABELS])
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["label"] for row in rows] == ["'=cmd()" if label == "=cmd()" else label for label in LABELS]
    headed = csv_table([{f"auc[{label}]": "0.5" for label in LABELS}])
    assert next(csv.reader(io.StringIO(headed, newline=""))) == [f"auc[{label}]" for label in LABELS]


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1"])
def test_no_cell_of_a_csv_file_is_run_by_a_spreadsheet(text):
    assert next(csv.DictReader(io.StringIO(csv_table([{"x": text}]), newline="")))["x"] == "'" + text


@pytest.mark.parametrize("text", ["-0.5", "+1", "-", "+", "-1e-05", "nan", ""])
def test_numbers_and_signs_stay_as_they_are_in_csv(text):
    assert csv_table([{"x": text, "y": 1}]).splitlines()[1] == f"{text},1"


def test_a_csv_table_without_rows_has_its_columns():
    assert csv_table([], ["a", "b"]) == "a,b\n"


def cells_of(line):
    """The cells of a Markdown row as CommonMark reads them."""
    return [html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", c.strip())) for c in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_gives_every_label_back_and_holds_no_tag():
    page = markdown("Page", [SECTION], ["a note"])
    rows = [cells_of(line) for line in page.splitlines() if line.startswith("|")][2:]
    assert [row[0] for row in rows] == [on_one_line(label) for label in LABELS]
    assert "<" not in page


class Cells(HTMLParser):
    """Tags of a page, and the text of its cells."""

    def __init__(self):
        super().__init__()
        self.tags, self.cells, self.inside = set(), [], False

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.inside = tag == "td"
        self.cells += [""] if self.inside else []

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "td"

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] += data


def test_rendered_markdown_has_no_tag_that_a_label_brought():
    renderer = pytest.importorskip("markdown")
    page = Cells()
    page.feed(renderer.markdown(markdown("Page", [SECTION], ["a note"]), extensions=["tables"]))
    assert page.tags <= {"h1", "h2", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "p"}
    # This renderer leaves the backslash before some marks that CommonMark takes it from.
    shown = [re.sub(r"\\([~$])", r"\1", cell) for cell in page.cells[::2]]
    assert shown == [on_one_line(label) for label in LABELS]


SPELT = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\textquotedbl{}": '"',
    r"\textdagger{}": "†",
    r"$\pm$": "±",
}


def test_latex_gives_every_label_back_and_holds_no_command_of_theirs():
    for label in LABELS:
        text = latex_text(label)
        for command, character in SPELT.items():
            text = text.replace(command, f"\0{ord(character)};")
        text = re.sub(r"\\([&%$#_{}])", lambda found: f"\0{ord(found[1])};", text)
        text = re.sub(r"\{([\[\]*])\}", lambda found: f"\0{ord(found[1])};", text)
        assert not re.search(r"[\\{}&%$#_^~]", text)
        assert re.sub(r"\0(\d+);", lambda found: chr(int(found[1])), text) == on_one_line(label)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX")
def test_latex_compiles(tmp_path):
    long = replace(SECTION, rows=list(SECTION.rows) * 60)
    preamble = r"\documentclass{article}\usepackage{booktabs,longtable}\usepackage[T1]{fontenc}\usepackage{textcomp}"
    page = f"{preamble}\n\\begin{{document}}\n{latex([SECTION, long], ['a note'])}\n\\end{{document}}\n"
    (tmp_path / "page.tex").write_text(page, encoding="utf-8")
    subprocess.run(["pdflatex", "-halt-on-error", "page.tex"], cwd=tmp_path, check=True, capture_output=True)
