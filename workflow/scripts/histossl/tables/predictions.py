"""Prediction files: what every table is computed from."""

import csv
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from histossl.errors import UserError
from histossl.files import whole_file

PROBABILITY = "p_"  # prefix of the columns that hold a class's probability

Row = dict[str, str]
NUMBERS = ("target", "prediction", "average_precision")
"""Columns of numbers beside the probabilities."""


def write_predictions(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV, whole or not at all; floats keep nine significant digits, enough for any float32."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([f"{cell:.9g}" if isinstance(cell, float) else cell for cell in row] for row in rows)


def read_predictions(
    paths: Iterable[Path], identity: Sequence[str], key: Sequence[str], others: Sequence[str] = ()
) -> dict[tuple[str, ...], list[Row]]:
    """Read prediction files and gather the rows of each method.

    Args:
        paths: prediction files of one kind.
        identity: columns that say which method a row belongs to.
        key: columns that tell a row from others of its method; rows are sorted by them, so that the rows of two
            methods pair up whatever order their files have.
        others: further columns that must be there.

    Returns:
        The rows of each identity, identities in the order in which the files name them.

    Raises:
        UserError: a file cannot be read, has no rows, lacks a column, or holds a probability, target or prediction that
            is not a finite number; or two rows of a method have the same key.
    """
    methods: dict[tuple[str, ...], list[Row]] = {}
    for path in paths:
        for row in _read_rows(path, (*identity, *key, *others)):
            methods.setdefault(tuple(row[name] for name in identity), []).append(row)
    for method, rows in methods.items():
        rows.sort(key=lambda row: [row[name] for name in key])
        for row, following in pairwise(rows):
            if [row[name] for name in key] == [following[name] for name in key]:
                told = ", ".join(f"{name} {row[name]}" for name in key)
                raise UserError(f"'{' '.join(method)}' has two predictions of {told}; give each file once")
    return methods


def _read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, named = list(reader), list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable prediction file ({error}); delete it and rerun") from error
    missing = [name for name in columns if name not in named]
    if missing:
        raise UserError(f"{path}: there is no column '{missing[0]}'; is it a prediction file of this kind?")
    if not rows:
        raise UserError(f"{path}: has no predictions; delete it and rerun")
    numbers = [name for name in named if name.startswith(PROBABILITY) or name in NUMBERS]
    for number, row in enumerate(rows, start=1):
        odd = next((name for name in numbers if not is_finite(row[name])), None)
        if odd or None in row.values():
            what = f"{odd} is {row[odd]!r}, which is no finite number" if odd else "it is cut off"
            raise UserError(f"{path}: prediction {number}: {what}; delete the file and rerun")
    return rows


def is_finite(text: str | None) -> bool:
    """Whether a cell holds a finite number."""
    try:
        return math.isfinite(float(text or ""))
    except ValueError:
        return False


def class_names(rows: Sequence[Row]) -> list[str]:
    """The classes that have a probability column, in the order of the columns."""
    return [name.removeprefix(PROBABILITY) for name in rows[0] if name.startswith(PROBABILITY)]
