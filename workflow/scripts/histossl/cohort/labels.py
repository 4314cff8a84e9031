"""A table of labels, a line a slide or a patient, and which slides its lines are about."""

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from histossl.cohort.barcodes import TCGA, shorten_to_patient
from histossl.cohort.find_slides import strip_suffix
from histossl.errors import UserError
from histossl.slides.spacing import PLAUSIBLE_UM

SLIDE_HEADS = ("slide", "slide_id", "slide_name", "file_name", "filename", "file", "image_id", "image_name", "image")
PATIENT_HEADS = (
    "patient",
    "patient_id",
    "case_submitter_id",
    "cases_submitter_id",
    "bcr_patient_barcode",
    "patient_barcode",
    "case_id",
    "case",
    "submitter_id",
)
"""Names of the columns that say whom a line is about, best first. In tables of the Genomic Data Commons `case_id` is a
number of the database and the submitter's id is the barcode; in CLAM's, `case_id` is the patient."""
OVERRIDES = ("patient", "site", "spacing_um")
"""Columns of the slide sheet that a table may fill in."""
TAKEN = ("path", "width_px", "height_px", "found_spacing_um", "found_spacing_source", "problem")
"""Columns of the slide sheet that it may not."""


@dataclass(frozen=True)
class Line:
    """One line of the table: its number in the file, whom it is about, and its values by column."""

    number: int
    slide: str
    patient: str
    values: dict[str, str]


@dataclass(frozen=True)
class LabelTable:
    """A table of labels; `slide_head` and `patient_head` name the columns it is matched by, empty where absent."""

    path: Path
    slide_head: str
    patient_head: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Named:
    """What a line may call a slide: its id, its path below the folder that was searched, its patient."""

    slide: str
    relative_path: str
    patient: str


@dataclass
class Matches:
    """Values by slide id and column, and what could not be matched, in sentences."""

    values: dict[str, dict[str, str]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    """Lines that fit no slide, or several."""
    conflicts: list[str] = field(default_factory=list)
    """Slides with two values in a column, which is left blank."""


def read_labels(path: Path, columns: Sequence[str] | None) -> LabelTable:
    """Read a table with commas, semicolons or tabs between its columns.

    Args:
        path: the table, UTF-8.
        columns: names of the label columns to take; None takes all.

    Raises:
        UserError: it is missing, empty, no such table, lacks a column, or names neither slides nor patients.
    """
    heads, rows = _read_rows(Path(path))
    by_meaning = {_simplify(head): head for head in reversed(heads)}
    slide_head = next((by_meaning[name] for name in SLIDE_HEADS if name in by_meaning), "")
    patient_head = next((by_meaning[name] for name in PATIENT_HEADS if name in by_meaning), "")
    if not slide_head and not patient_head:
        raise UserError(f"{path}: has no column slide or patient (it has {', '.join(heads)}); name one of them so")
    missing = [column for column in columns or () if column not in heads]
    if missing:
        raise UserError(f"{path}: has no column {missing[0]!r} (it has {', '.join(heads)}); correct --columns")
    taken = tuple(head for head in heads if head not in {slide_head, patient_head, *TAKEN, "slide", "patient"})
    kept = tuple(head for head in taken if columns is None or head in columns or head in OVERRIDES)
    lines = []
    for number, row in rows:
        line = Line(
            number,
            row.get(slide_head, ""),
            row.get(patient_head, ""),
            {head: row[head] for head in kept if row[head]},
        )
        _check_spacing(line, Path(path))
        if line.slide or line.patient:
            lines.append(line)
    return LabelTable(Path(path), slide_head, patient_head, kept, tuple(lines))


def match_slides(table: LabelTable, slides: Sequence[Named]) -> Matches:
    """Match the lines that name a slide: by id, file name or path, with or without suffix and, for TCGA, its UUID.

    Where the table has a column of patients too, each slide's patient is among its values.
    """
    finders: list[Callable[[str], Iterable[str]]] = [lambda text: [_fold(text)], _forms, _barcodes]
    indexes = [_index((slide, finder) for slide in slides) for finder in finders]

    def find(line: Line) -> list[str]:
        for finder, index in zip(finders, indexes, strict=True):
            for form in finder(line.slide):
                if form in index:
                    return index[form]
        return []

    return _gather(table, find, [line for line in table.lines if line.slide], table.slide_head, give_patient=True)


def match_patients(table: LabelTable, slides: Sequence[Named]) -> Matches:
    """Match the lines that name a patient and no slide; a TCGA barcode of a sample stands for its patient."""
    index: dict[str, list[str]] = defaultdict(list)
    for slide in slides:
        index[_fold(slide.patient)].append(slide.slide)

    def find(line: Line) -> list[str]:
        return index.get(_fold(line.patient)) or index.get(_fold(shorten_to_patient(line.patient)), [])

    lines = [line for line in table.lines if not line.slide]
    return _gather(table, find, lines, table.patient_head, give_patient=False)


def _gather(
    table: LabelTable, find: Callable[[Line], list[str]], lines: Sequence[Line], head: str, give_patient: bool
) -> Matches:
    matches = Matches()
    seen: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for line in lines:
        name = line.slide or line.patient
        slides = find(line)
        if not slides:
            matches.unused.append(f"line {line.number} ({head} {name!r})")
        elif len(slides) > 1 and line.slide:
            fits = f"fits {len(slides)} slides ({', '.join(slides[:3])}); name them by these ids"
            matches.unused.append(f"line {line.number} ({head} {name!r}) {fits}")
            continue
        extra = {"patient": line.patient} if give_patient and line.patient else {}
        for slide in slides:
            matches.values.setdefault(slide, {})
            for column, value in (line.values | extra).items():
                seen[slide, column].setdefault(value, line.number)
    for (slide, column), values in seen.items():
        if len(values) == 1:
            matches.values[slide][column] = next(iter(values))
        else:
            said = ", ".join(f"{value!r} on line {number}" for value, number in values.items())
            matches.conflicts.append(f"{column} of {slide!r} is {said}: left blank")
    return matches


def _index(pairs: Iterable[tuple[Named, Callable[[str], Iterable[str]]]]) -> dict[str, list[str]]:
    index: dict[str, list[str]] = defaultdict(list)
    for slide, finder in pairs:
        forms = dict.fromkeys(form for text in (slide.slide, slide.relative_path) for form in finder(text))
        for form in forms:
            index[form].append(slide.slide)
    return dict(index)


def _forms(text: str) -> list[str]:
    """The whole path, then the file's name, each with and without suffix."""
    path = PurePosixPath(text.replace("\\", "/"))
    whole = str(path.with_name(strip_suffix(path.name))) if path.name else str(path)
    return [_fold(form) for form in (str(path), whole, path.name, strip_suffix(path.name))]


def _barcodes(text: str) -> list[str]:
    """A TCGA slide's barcode without the UUID behind the dot; nothing for other names."""
    name = PurePosixPath(text.replace("\\", "/")).name
    barcode = name.partition(".")[0]
    # A patient's barcode has three parts: it does not name a slide.
    return [_fold(barcode)] if TCGA.match(barcode) and barcode.count("-") > 3 else []


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip()).casefold()


def _simplify(head: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", head.lower()).strip("_")


def _check_spacing(line: Line, path: Path) -> None:
    text = line.values.get("spacing_um", "")
    if not text:
        return
    try:
        plausible = PLAUSIBLE_UM[0] <= float(text) <= PLAUSIBLE_UM[1]
    except ValueError:
        plausible = False
    if not plausible:
        raise UserError(
            f"{path}: line {line.number} has spacing_um {text!r}, not a number of µm/px from {PLAUSIBLE_UM[0]:g} to "
            f"{PLAUSIBLE_UM[1]:g}; correct it or leave it blank"
        )


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The named columns, and each line's number and stripped values."""
    if not path.is_file():
        raise UserError(f"{path}: no such table of labels; correct --labels")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=head.count)
            reader = csv.reader(file, delimiter=delimiter)
            heads = [text.strip() for text in next(reader, [])]
            # A first column without a name is what pandas writes for its index.
            named = [head for head in heads if head and not head.startswith("Unnamed:")]
            if not named:
                raise UserError(f"{path}: has no line of column names; add it")
            repeated = next((head for i, head in enumerate(named) if head in named[:i]), None)
            if repeated:
                raise UserError(f"{path}: has two columns {repeated!r}; rename one")
            rows = []
            for fields in reader:
                if len(fields) > len(heads) and any(fields[len(heads) :]):
                    raise UserError(
                        f"{path}: line {reader.line_num} has more fields than the header; quote a value that holds "
                        f"{delimiter!r}"
                    )
                values = [field.strip() for field in fields] + [""] * (len(heads) - len(fields))
                if any(values):
                    pairs = {head: value for head, value in zip(heads, values, strict=False) if head in named}
                    rows.append((reader.line_num, pairs))
            return named, rows
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a UTF-8 text file ({error.reason}); save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{path}: not a CSV file ({error}); look for a quotation mark that is never closed") from error
