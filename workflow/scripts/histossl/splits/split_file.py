"""`results/splits/{task}.csv`: each slide's place in each split."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from histossl.errors import UserError
from histossl.files import whole_file


class Member(NamedTuple):
    """A slide's place in one split; the field names are the columns of the split file."""

    repeat: int  # folds are drawn anew in each
    fraction: float
    fold: int
    set: str  # train, val or test
    slide: str
    patient: str
    label: str
    leaked: int  # 1 for a tested slide whose patient is in training or validation too, which imported splits may have


def check_disjoint(members: Iterable[Member], source: str) -> None:
    """Raise `UserError` naming patient and fold if a patient is in two sets of one fold."""
    seen: dict[tuple[int, float, int, str], str] = {}
    for member in members:
        other = seen.setdefault((member.repeat, member.fraction, member.fold, member.patient), member.set)
        if other != member.set:
            raise UserError(
                f"{source}: patient '{member.patient}' is in {other} and in {member.set} of fold {member.fold} "
                f"(fraction {member.fraction}, repeat {member.repeat}); put all slides of a patient on one side"
            )


def write_splits(path: Path, members: Iterable[Member]) -> None:
    """Write members as CSV, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Member._fields)
        writer.writerows(members)


def read_splits(path: Path) -> list[Member]:
    """Read what `write_splits` wrote, and check again that no patient is on two sides."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        members = [
            Member(
                int(row["repeat"]),
                float(row["fraction"]),
                int(row["fold"]),
                row["set"],
                row["slide"],
                row["patient"],
                row["label"],
                int(row["leaked"]),
            )
            for row in csv.DictReader(file)
        ]
    check_disjoint(members, str(path))
    return members
