"""CLAM's split files: a file a fold, with the slides that train, validate and test.

`splits_0.csv` has the columns `train`, `val` and `test` with slide ids, padded with blanks; `splits_0_bool.csv` has a
line for each slide and a true or false in each of these columns (Lu et al. 2021, doi:10.1038/s41551-020-00682-w, and
its code).
"""

import csv
import re
from collections.abc import Collection
from pathlib import Path

from histossl.errors import UserError

SETS = ("train", "val", "test")
SPLIT_FILE = re.compile(r"splits_(0|[1-9][0-9]*)(_bool)?\.csv")
TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False, "": False}


def find_split_files(folder: Path) -> dict[int, Path]:
    """The split files of a folder by number; of two files of one number the one with slide ids.

    Raises:
        UserError: there is no such folder, or no split file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of split files; correct the path")
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # splits_0_bool.csv, then splits_0.csv
        if match := SPLIT_FILE.fullmatch(path.name):
            found[int(match[1])] = path
    if not found:
        raise UserError(
            f"{folder}: has no split files (splits_0.csv, ... or splits_0_bool.csv, ...); name their folder"
        )
    return dict(sorted(found.items()))


def read_split_file(path: Path, known: Collection[str] = ()) -> list[tuple[str, str]]:
    """Read one of CLAM's split files as it is: set and slide of each entry.

    Args:
        path: whether it holds slide ids or true and false is told by its name, which ends in `_bool` for the latter.
        known: slide ids that stay as they are written. Any other like 12345.0 is taken for 12345: pandas writes
            numbers so that stand in a column with blanks.

    Raises:
        UserError: it is not such a file.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or [])
            missing = [name for name in SETS if name not in columns]
            if missing:
                has = ", ".join(filter(None, columns)) or "nothing"
                raise UserError(f"{path}: has no column {missing[0]!r} (it has {has}); CLAM's are train, val and test")
            rows = [{key: (row[key] or "").strip() for key in columns} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV in UTF-8 ({error}); replace it") from error
    if path.stem.endswith("_bool"):
        if columns[0] in SETS:
            raise UserError(f"{path}: its first column is {columns[0]!r}, where slide ids should be; add them")
        for row in rows:
            odd = [row[name] for name in SETS if row[name].lower() not in TRUTH]
            if odd:
                raise UserError(f"{path}: slide {row[columns[0]]!r} has {odd[0]!r}, where True or False should be")
        entries = [(name, row[columns[0]]) for name in SETS for row in rows if TRUTH[row[name].lower()]]
    else:
        entries = [(name, row[name]) for name in SETS for row in rows if row[name]]
    return [(name, _undo_float(slide, known)) for name, slide in entries]


def _undo_float(slide: str, known: Collection[str]) -> str:
    whole = slide.removesuffix(".0")
    return whole if slide not in known and whole.isdecimal() else slide
