"""The kinds of prediction files: which columns name a method, a row, its patient and its truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histossl.statistics.metrics import Integers
from histossl.tables.predictions import Row


@dataclass(frozen=True)
class Kind:
    """The columns of one kind of prediction file; a method is named by task, encoder, `head` and `fraction`."""

    head: str
    fraction: bool
    key: tuple[str, ...]
    cluster: str
    truth: str

    @property
    def identity(self) -> tuple[str, ...]:
        """Columns that name a method."""
        return ("task", "encoder", self.head) + (("fraction",) if self.fraction else ())


KINDS = {
    "slide": Kind("model", True, ("repeat", "fold", "seed", "slide"), "patient", "label"),
    "classification": Kind("probe", False, ("fold", "path"), "group", "label"),
    "regression": Kind("probe", False, ("fold", "path"), "group", "target"),
    "few_shot": Kind("probe", False, ("fold", "path"), "group", "label"),
    "retrieval": Kind("probe", False, ("fold", "path"), "group", "label"),
}


def clusters_of(rows: Sequence[Row], column: str) -> list[str]:
    """Cluster of each row; a patch without a group is a cluster of its own."""
    return [f"group {row[column]}" if row[column] else f"patch {row['path']}" for row in rows]


def strata_of(rows: Sequence[Row]) -> Integers:
    """Stratum of each row, (n,): predictions of one repeat, fold and seed, which one model made."""
    named = [f"{row.get('repeat', '')} {row['fold']} {row.get('seed', '')}" for row in rows]
    return np.unique(named, return_inverse=True)[1]


def folds_of(rows: Sequence[Row]) -> Integers:
    """Fold of each row, (n,), counted through the repeats."""
    folds = [(int(row.get("repeat", 0)), int(row["fold"])) for row in rows]
    number = {fold: index for index, fold in enumerate(sorted(set(folds)))}
    return np.array([number[fold] for fold in folds])
