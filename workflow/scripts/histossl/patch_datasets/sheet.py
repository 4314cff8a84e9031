"""A sheet of patches: CSV `path,label[,split][,group][,target]`."""

import csv
import math
from collections.abc import Collection, Iterator
from pathlib import Path

from histossl.errors import UserError
from histossl.patch_datasets.patch import LabelledPatch


def read_sheet(sheet: Path) -> list[LabelledPatch]:
    """The patches of a sheet, in its order. Paths are relative to the sheet's folder.

    Raises:
        UserError: a column or a path is missing, or a target is not a number.
    """
    return [_parse(row, sheet, line) for line, row in read_rows(sheet, {"path"}, {"label", "target"})]


def read_rows(
    sheet: Path, needed: Collection[str], any_of: Collection[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV file with their numbers; fields by their column, stripped.

    Raises:
        UserError: it is no CSV file in UTF-8, lacks one of `needed` or all of `any_of`, or a line has too many fields.
    """
    try:
        with sheet.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or ())
            if not columns.issuperset(needed) or (any_of and not columns & set(any_of)):
                wanted = ", ".join(sorted(needed)) + (f" and {' or '.join(sorted(any_of))}" if any_of else "")
                has = ", ".join(reader.fieldnames or ()) or "nothing"
                raise UserError(f"{sheet}: needs the column {wanted}, but has {has}; add it")
            for row in reader:
                if any(row.pop(None, ())):
                    raise UserError(
                        f"{sheet}: line {reader.line_num} has more fields than the header; quote a value that holds a "
                        "comma"
                    )
                # Not a count of rows: blank lines are passed over.
                yield reader.line_num, {column: (value or "").strip() for column, value in row.items()}
    except UnicodeDecodeError as error:
        raise UserError(f"{sheet}: not a UTF-8 text file ({error.reason}); save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{sheet}: not a CSV file ({error}); look for a quotation mark that is never closed") from error


def parse_target(text: str, sheet: Path, line: int) -> float:
    """A target as a number; NaN where it is blank.

    Raises:
        UserError: it is not a finite number.
    """
    try:
        target = float(text) if text else math.nan
    except ValueError:
        target = math.inf
    if math.isinf(target):
        raise UserError(f"{sheet}: line {line} has the target {text!r}, not a number; correct it or leave it blank")
    return target


def _parse(row: dict[str, str], sheet: Path, line: int) -> LabelledPatch:
    if not row["path"]:
        raise UserError(f"{sheet}: line {line} has no path; fill it in or delete the line")
    label, split, group = (row.get(column, "") for column in ("label", "split", "group"))
    target = parse_target(row.get("target", ""), sheet, line)
    return LabelledPatch(sheet.parent / row["path"], row["path"], label, split, group, target)
