"""Prediction files: what every table is computed from."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from histossl.errors import UserError
from histossl.files import whole_file

PROBABILITY = "p_"  # prefix of the columns that hold a class's probability

Row = dict[str, str]


def write_predictions(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV, whole or not at all; floats keep nine significant digits, enough for any float32."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([f"{cell:.9g}" if isinstance(cell, float) else cell for cell in row] for row in rows)


def read_predictions(
    paths: Iterable[Path], identity: Sequence[str], key: Sequence[str]
) -> dict[tuple[str, ...], list[Row]]:
    """Read prediction files and gather the rows of each method.

    Args:
        paths: prediction files of one kind.
        identity: columns that say which method a row belongs to.
        key: columns that tell a row from others of its method; rows are sorted by them, so that the rows of two
            methods pair up whatever order their files have.

    Returns:
        The rows of each identity, identities in the order in which the files name them.

    Raises:
        UserError: a file lacks a column.
    """
    methods: dict[tuple[str, ...], list[Row]] = {}
    for path in paths:
        with Path(path).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in (*identity, *key) if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: there is no column '{missing[0]}'; is it a prediction file of this kind?")
            for row in reader:
                methods.setdefault(tuple(row[name] for name in identity), []).append(row)
    for rows in methods.values():
        rows.sort(key=lambda row: [row[name] for name in key])
    return methods


def class_names(rows: Sequence[Row]) -> list[str]:
    """The classes that have a probability column, in the order of the columns."""
    return [name.removeprefix(PROBABILITY) for name in rows[0] if name.startswith(PROBABILITY)]
