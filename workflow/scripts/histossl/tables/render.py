"""Tables as text: CSV, Markdown that also reads well on a terminal, and LaTeX."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from histossl.files import write_text_whole

WIDTH = 120  # columns of a terminal
ROWS = 40  # of a LaTeX table that fits a page
LATEX_NEEDS = (
    "% needs \\usepackage{booktabs,longtable} and, for quotes, \\usepackage[T1]{fontenc}; letters beyond the European "
    "ones need XeLaTeX or LuaLaTeX\n"
)


class Figures(str):
    """A cell of numbers: aligned to the right, and without anything that a label may hold and that needs escaping."""


@dataclass(frozen=True)
class Section:
    """A titled table.

    Attributes:
        title: what the table is of; empty where the page's title says it.
        columns: column headings.
        rows: cells; numbers are `Figures`, everything else is a label.
        lead: how many columns at the left name the row; they are repeated where a wide table is broken.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    lead: int


def markdown(title: str, sections: Sequence[Section], notes: Sequence[str]) -> str:
    """A Markdown page with aligned tables, broken where they are wider than a terminal."""
    parts = [f"# {title}"]
    for section in sections:
        parts += [f"## {markdown_text(section.title)}"] if section.title else []
        parts += [markdown_table(piece) for piece in broken(section)]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes)]) + "\n"


def markdown_table(section: Section) -> str:
    """One aligned table."""
    cells = [[markdown_text(cell) for cell in row] for row in (section.columns, *section.rows)]
    right = numeric(section)
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)) + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def broken(section: Section) -> list[Section]:
    """The table in pieces that fit the width, each with the leading columns; one column where even that is too wide."""
    widths = [
        max(3, *(len(markdown_text(row[i])) for row in (section.columns, *section.rows))) + 3
        for i in range(len(section.columns))
    ]
    lead = list(range(section.lead))
    pieces: list[list[int]] = []
    for index in range(section.lead, len(widths)):
        if not pieces or sum(widths[i] for i in (*lead, *pieces[-1], index)) + 1 > WIDTH:
            pieces.append([])
        pieces[-1].append(index)
    return [
        Section(
            section.title,
            [section.columns[i] for i in (*lead, *piece)],
            [[row[i] for i in (*lead, *piece)] for row in section.rows],
            section.lead,
        )
        for piece in pieces
    ]


def numeric(section: Section) -> list[bool]:
    """Which columns hold numbers."""
    return [all(isinstance(row[i], Figures) for row in section.rows) for i in range(len(section.columns))]


def markdown_text(text: str) -> str:
    """Escape what Markdown or HTML would take for markup; an underscore inside a word is no markup."""
    if isinstance(text, Figures):
        return str(text)
    escaped = re.sub(r"([\\`*|>\[\]~$#])|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")  # not every renderer heeds a backslash before these


LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    # After the \\ that ends a row, LaTeX would take [ and * for arguments.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    "†": r"\textdagger{}",
} | {character: "\\" + character for character in "&%$#_"}


def latex_text(text: str) -> str:
    """Escape what LaTeX would take for a command; minus signs of numbers become minus signs."""
    escaped = "".join(LATEX.get(character, character) for character in " ".join(text.split()))
    return escaped.replace("-", "$-$") if isinstance(text, Figures) else escaped


def latex(sections: Sequence[Section], notes: Sequence[str]) -> str:
    r"""A file to `\input`: a booktabs table a section, broken as in Markdown, the notes in the first caption.

    Tables of more than a page are a `longtable`.
    """
    tables = []
    for index, section in enumerate(piece for whole in sections for piece in broken(whole)):
        caption = [*([f"{section.title}."] if section.title else []), *(notes if index == 0 else ())]
        alignment = "".join("r" if right else "l" for right in numeric(section))
        body = [" & ".join(map(latex_text, row)) + r" \\" for row in (section.columns, *section.rows)]
        said = rf"\caption{{{latex_text(' '.join(caption))}}}"
        lines = [r"\toprule", body[0], r"\midrule", *body[1:], r"\bottomrule"]
        if len(section.rows) > ROWS:
            lines = [rf"{{\footnotesize\begin{{longtable}}{{{alignment}}}", said + r" \\", *lines, r"\end{longtable}}"]
        else:
            begin = [r"\begin{table}", r"\centering\footnotesize", said, rf"\begin{{tabular}}{{{alignment}}}"]
            lines = [*begin, *lines, r"\end{tabular}", r"\end{table}"]
        tables.append("\n".join(lines))
    return LATEX_NEEDS + "\n\n".join(tables) + "\n"


def csv_table(records: Sequence[Mapping[str, object]], columns: Sequence[str] = ()) -> str:
    """Records as CSV, columns in the order in which the records name them; what a record lacks stays empty.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.

    Args:
        records: the rows.
        columns: come first, and are there without any record.
    """
    text = io.StringIO()
    columns = list(dict.fromkeys([*columns, *(name for record in records for name in record)]))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(no_formula, columns))
    writer.writerows([no_formula(record.get(name, "")) for name in columns] for record in records)
    return text.getvalue()


def no_formula(value: object) -> object:
    """The value, with an apostrophe before a text that begins like a formula and is no number."""
    if not isinstance(value, str) or not re.match(r"[=@\t\r]|[+-].", value, re.DOTALL):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def write_table(
    records: Sequence[Mapping[str, object]], caption: str, csv_path: Path, markdown_path: Path, latex_path: Path
) -> None:
    """Write records as a table in three formats, titled by the file's name; the first column names the row.

    Floats have four significant digits in Markdown and LaTeX and all of them in the CSV; None is an empty cell.
    """

    def cell(value: object) -> str:
        if value is None:
            return Figures("")
        if isinstance(value, float):
            return Figures(f"{value:.4g}")
        return Figures(value) if isinstance(value, int) else str(value)

    columns = list(dict.fromkeys(name for record in records for name in record))
    section = Section("", columns, [[cell(record.get(name)) for name in columns] for record in records], 1)
    title = Path(markdown_path).stem.replace("_", " ").capitalize()
    write_text_whole(csv_path, csv_table(records))
    write_text_whole(markdown_path, markdown(title, [section], [markdown_text(caption)]))
    write_text_whole(latex_path, latex([section], [caption]))
