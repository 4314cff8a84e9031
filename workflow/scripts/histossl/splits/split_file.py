"""`results/splits/{task}/{fraction}.csv`: each slide's place in each split."""

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from histossl.errors import UserError
from histossl.files import whole_file
from histossl.splits.clam import SETS


class Member(NamedTuple):
    """A slide's place in one split; the field names are the columns of the split file."""

    repeat: int  # folds are drawn anew in each
    fraction: float
    fold: int
    set: str  # train, val or test
    slide: str
    patient: str
    label: str
    leaked: int  # 1 where the patient is in another set of this split too, as imported splits may have it


def name_fraction(fraction: float) -> str:
    """A training fraction as paths and predictions have it: `1.0`, `0.75`."""
    return str(float(fraction))


def check_disjoint(members: Iterable[Member], source: str) -> None:
    """Raise `UserError` naming patient and fold if a patient who is not marked as leaked is in two sets of one fold."""
    seen: dict[tuple[int, float, int, str], Member] = {}
    for member in members:
        other = seen.setdefault((member.repeat, member.fraction, member.fold, member.patient), member)
        if other.set != member.set and not (other.leaked and member.leaked):
            raise UserError(
                f"{source}: patient {member.patient!r} is in {other.set} and in {member.set} of fold {member.fold} "
                f"(fraction {member.fraction}, repeat {member.repeat}); put all slides of a patient on one side"
            )


def folds_without_a_class(members: Iterable[Member]) -> tuple[int, int]:
    """How many folds of all repeats test no slide of some class, and how many there are."""
    classes: set[str] = set()
    tested: dict[tuple[int, int], set[str]] = defaultdict(set)
    for member in members:
        classes.add(member.label)
        if member.set == "test":
            tested[member.repeat, member.fold].add(member.label)
    return sum(found != classes for found in tested.values()), len(tested)


def write_splits(path: Path, members: Iterable[Member]) -> None:
    """Write members as CSV, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Member._fields)
        writer.writerows(members)


def read_members(path: Path) -> list[Member]:
    """Read what `write_splits` wrote, as it is.

    Raises:
        UserError: the file or a column is missing, holds something else, or gives a slide two patients; or no slide is
            in a set of some split.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
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
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        why = f"no column {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path}: not a split file of this workflow ({why}); delete it and rerun") from error
    _check_members(members, path)
    return members


def _check_members(members: Iterable[Member], path: Path) -> None:
    patients: dict[str, str] = {}
    sets: dict[tuple[int, float, int], set[str]] = defaultdict(set)
    for member in members:
        if member.set not in SETS:
            raise UserError(f"{path}: slide {member.slide!r} is in the set {member.set!r}; sets are {', '.join(SETS)}")
        other = patients.setdefault(member.slide, member.patient)
        if other != member.patient:
            raise UserError(f"{path}: slide {member.slide!r} is of patients {other!r} and {member.patient!r}; keep one")
        sets[member[:3]].add(member.set)
    if not sets:
        raise UserError(f"{path}: has no slides; delete it and rerun")
    for (repeat, fraction, fold), found in sets.items():
        for name in ("train", "test"):
            if name not in found:
                told = f"fold {fold} (fraction {fraction}, repeat {repeat})"
                raise UserError(f"{path}: {told} has no {name} slides; delete it and rerun")


def read_splits(path: Path) -> list[Member]:
    """Read what `write_splits` wrote, and check again that no patient is on two sides."""
    members = read_members(path)
    check_disjoint(members, str(path))
    return members
