"""Tables that the workflow has written, read back as `Section`s: Markdown as printed, CSV with all its columns."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from histossl.errors import UserError
from histossl.tables.render import Figures, Section

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|-inf|", re.IGNORECASE)


@dataclass(frozen=True)
class Printed:
    """A Markdown page of tables.

    Attributes:
        title: its first heading.
        sections: its tables; those that were broken to fit a terminal are whole again.
        notes: the lines below.
    """

    title: str
    sections: Sequence[Section]
    notes: Sequence[str]


def read_markdown(path: Path) -> Printed:
    """Read a page that `histossl.tables.render.markdown` has written.

    Raises:
        UserError: it is missing, or no such page.
    """
    try:
        blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable table ({error}); delete it and rerun") from error
    if not blocks[0].startswith("# "):
        raise UserError(f"{path}: not a table of this workflow, which begins with a heading; delete it and rerun")
    sections: list[Section] = []
    heading, begun = "", False
    for block in blocks[1:]:
        if block.startswith("## "):
            heading, begun = plain(block[3:]), False
        elif block.startswith("|"):
            section = _read_table(heading, block)
            if begun and (joined := _join(sections[-1], section)):
                sections[-1] = joined
            else:
                sections.append(section)
            begun = True
    notes = [plain(line[2:]) for block in blocks[1:] if block.startswith("- ") for line in block.splitlines()]
    return Printed(plain(blocks[0][2:]), sections, notes)


def read_csv(path: Path) -> Section:
    """A CSV as a table titled by its file; numbers of many decimals with four significant digits.

    Raises:
        UserError: it is missing or no CSV.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            columns, *rows = csv.reader(file)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: not a readable table ({error}); delete it and rerun") from error
    rows = [row + [""] * (len(columns) - len(row)) for row in rows]
    numeric = [all(NUMBER.fullmatch(row[i]) for row in rows) for i in range(len(columns))]
    cells = [
        [Figures(_short(cell)) if number else cell for cell, number in zip(row, numeric, strict=False)] for row in rows
    ]
    return Section(f"All columns of {path.name}", columns, cells, 1)


def plain(text: str) -> str:
    """What `histossl.tables.render.markdown_text` made safe for Markdown, as it was."""
    return re.sub(r"\\(.)", r"\1", text.replace("&lt;", "<").replace("&amp;", "&"))


def _read_table(title: str, block: str) -> Section:
    lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
    right = [cell.endswith(":") for cell in lines[1]]
    rows = [
        [Figures(plain(cell)) if number else plain(cell) for cell, number in zip(row, right, strict=True)]
        for row in lines[2:]
    ]
    return Section(title, [plain(cell) for cell in lines[0]], rows, 1)


def _join(first: Section, piece: Section) -> Section | None:
    """Both side by side, where the second begins with the columns that name the rows of the first; else none."""
    if len(first.rows) != len(piece.rows):
        return None
    ours = list(zip(first.columns, *first.rows, strict=True))
    theirs = list(zip(piece.columns, *piece.rows, strict=True))
    lead = 0
    while lead < min(len(ours), len(theirs)) and ours[lead] == theirs[lead]:
        lead += 1
    columns = [*zip(*ours, strict=True)]
    added = [*zip(*theirs[lead:], strict=True)]
    if not lead or not added:
        return None
    whole = [[*row, *more] for row, more in zip(columns, added, strict=True)]
    return Section(first.title, whole[0], whole[1:], lead)


def _short(cell: str) -> str:
    """A number of many decimals, rounded."""
    return f"{float(cell):.4g}" if re.search(r"\.\d{5,}", cell) else cell
