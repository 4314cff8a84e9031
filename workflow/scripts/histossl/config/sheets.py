"""The slide sheet: one line a slide."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from histossl.errors import UserError
from histossl.slides.spacing import PLAUSIBLE_UM

REQUIRED = ("slide", "patient", "path")
PATHS = ("path", "tissue_path")
BRACES = {"{", "}"}
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class SlideRow:
    """One line of the sheet. `columns` holds all of it, the labels too.

    Attributes:
        slide, patient: ids.
        path: the slide's file.
        spacing_um: µm per level-0 pixel where the user states it.
        tissue_path: GeoJSON or mask picture that replaces segmentation; empty where there is none.
        columns: every column as text.
    """

    slide: str
    patient: str
    path: str
    spacing_um: float | None
    tissue_path: str
    columns: dict[str, str]


def read_slide_sheet(sheet: Path) -> dict[str, SlideRow]:
    """Read `slide,patient,path[,site][,spacing_um][,tissue_path][,labels...]` as a dictionary by slide id.

    Relative paths are relative to the folder that Snakemake runs in.

    Raises:
        UserError: the sheet is missing or empty, lacks a column, or has an id or µm/px that cannot be used.
    """
    sheet = Path(sheet)
    if not sheet.is_file():
        raise UserError(f"{sheet}: no such slide sheet; correct `slides: sheet` in the config")
    rows: dict[str, SlideRow] = {}
    try:
        with sheet.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in REQUIRED if column not in (reader.fieldnames or [])]
            if missing:
                has = ", ".join(reader.fieldnames or []) or "nothing"
                raise UserError(f"{sheet}: the column {missing[0]!r} is missing (it has {has}); add it")
            for columns in reader:
                # Not a count of rows: blank lines are passed over.
                line = reader.line_num
                row = _parse(columns, sheet, line)
                if row.slide in rows:
                    raise UserError(f"{sheet}: line {line} repeats the slide id {row.slide!r}; give each slide its own")
                rows[row.slide] = row
    except UnicodeDecodeError as error:
        raise UserError(f"{sheet}: not a UTF-8 text file ({error.reason}); save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{sheet}: not a CSV file ({error}); look for a quotation mark that is never closed") from error
    if not rows:
        raise UserError(f"{sheet}: lists no slide; add a line for each")
    return rows


def _parse(columns: dict[str, str], sheet: Path, line: int) -> SlideRow:
    if any(columns.pop(None, ())):
        raise UserError(f"{sheet}: line {line} has more fields than the header; quote a value that holds a comma")
    values = {key: (value or "").strip() for key, value in columns.items()}
    # Kept as written: a control character at either end must be refused, not stripped.
    slide = columns["slide"] or ""
    for key in REQUIRED:
        if not values[key]:
            raise UserError(f"{sheet}: line {line} has no {key}; fill it in or delete the line")
    problem = find_id_problem(slide)
    if problem:
        raise UserError(f"{sheet}: line {line} has the slide id {slide!r}, which {problem}; rename it")
    for key in PATHS:
        path = values.get(key, "")
        if path.startswith("-") or CONTROL.search(path) or BRACES & set(path):
            problem = "a leading dash, a brace or a control character"
            raise UserError(f"{sheet}: line {line} has the {key} {path!r}, with {problem}; rename the file")
    spacing_um, tissue_path = _spacing(values, sheet, line), values.get("tissue_path", "")
    return SlideRow(slide, values["patient"], values["path"], spacing_um, tissue_path, values)


def find_id_problem(slide: str) -> str:
    """Why an id cannot name a file and a folder; empty where it can."""
    if "/" in slide or "\\" in slide:
        return "holds a slash"
    if CONTROL.search(slide):
        return "holds a control character"
    if BRACES & set(slide):
        return "holds a brace, which Snakemake takes for a wildcard"
    if slide.startswith("-"):
        return "starts with a dash"
    if slide.startswith("."):
        return "starts with a dot"
    if slide != slide.strip():
        return "starts or ends with a space"
    if len(slide.encode()) > 200:
        return "is longer than 200 bytes"
    return ""


def _spacing(values: dict[str, str], sheet: Path, line: int) -> float | None:
    text = values.get("spacing_um", "")
    if not text:
        return None
    try:
        spacing_um = float(text)
    except ValueError:
        spacing_um = float("nan")
    if not PLAUSIBLE_UM[0] <= spacing_um <= PLAUSIBLE_UM[1]:
        raise UserError(
            f"{sheet}: line {line} has spacing_um {text!r}, not a number of µm/px from {PLAUSIBLE_UM[0]:g} "
            f"to {PLAUSIBLE_UM[1]:g}; correct it or leave it blank"
        )
    return spacing_um
