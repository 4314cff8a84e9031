"""Splits that were made elsewhere: folds from CLAM's split files, with patients and labels of our sheet."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from histossl.errors import UserError
from histossl.splits.clam import find_split_files, read_split_file
from histossl.splits.folds import group_by_class, shuffled, take_share
from histossl.splits.labels import LabelledSlide, patient_labels
from histossl.splits.split_file import Member, check_disjoint


@dataclass(frozen=True)
class ImportedSplits:
    """What became of split files.

    Attributes:
        members: a member for each fold and slide; repeat is 0, fold the file's number.
        strangers: slides of the files that take no part, because the sheet does not label them.
        unplaced: slides of the sheet that no file names.
        shared: patients in more than one set, by fold; folds without are absent.
        dropped: entries of the files that were left out because their patient is in another set.
    """

    members: list[Member]
    strangers: list[str]
    unplaced: list[str]
    shared: dict[int, list[str]]
    dropped: int


def import_splits(
    folder: Path, slides: Sequence[LabelledSlide], fraction: float, on_shared_patients: str, seed: int
) -> ImportedSplits:
    """Take the folds from CLAM's split files, labels and patients from our sheet; draw a training fraction.

    A smaller fraction's training patients are contained in each larger one's.

    Args:
        folder: of the split files.
        slides: what takes part, from `check_labels`.
        fraction: share of a fold's training patients, in (0, 1].
        on_shared_patients: what happens to patients in several sets of a fold. `fail` refuses them. `drop` leaves
            each in one set: in test before training, in training before validation. `allow` marks them as leaked.
        seed: of the fraction.

    Raises:
        UserError: the files cannot be used: there is none, columns are missing, a slide is named twice, patients are
            on two sides under `fail`, a fold tests nobody, or trains without some class.
    """
    by_id = {slide.slide: slide for slide in slides}
    strangers: set[str] = set()
    placed: set[str] = set()
    shared: dict[int, list[str]] = {}
    dropped = 0
    folds: dict[int, dict[LabelledSlide, str]] = {}
    for fold, path in find_split_files(folder).items():
        named = _read_once(path, by_id)
        strangers |= named.keys() - by_id.keys()
        placed |= named.keys()
        places = {slide: named[slide.slide] for slide in slides if slide.slide in named}
        sets = _patient_sets(places)
        on_two_sides = sorted(patient for patient, found in sets.items() if len(found) > 1)
        if on_two_sides:
            shared[fold] = on_two_sides
            if on_shared_patients == "fail":
                first = on_two_sides[0]
                raise UserError(
                    f"{path}: {_patients(len(on_two_sides))} in more than one set of fold {fold} (such as {first!r}, "
                    f"in {' and '.join(sorted(sets[first]))}); correct the files, or set `on_shared_patients` to drop "
                    "(each stays in one set, test first) or allow (their scores are marked)"
                )
            if on_shared_patients == "drop":
                kept = {slide: place for slide, place in places.items() if place == _first_set(sets[slide.patient])}
                dropped += len(places) - len(kept)
                places = kept
        _check_fold(path, fold, places, named, sorted({slide.label for slide in slides}))
        folds[fold] = places

    members = [member for fold, places in folds.items() for member in _list_members(fold, places, fraction, seed)]
    check_disjoint(members, str(folder))
    return ImportedSplits(members, sorted(strangers), sorted(by_id.keys() - placed), shared, dropped)


def _read_once(path: Path, known: Collection[str]) -> dict[str, str]:
    """The set of each slide of a file that names each once."""
    named: dict[str, str] = {}
    for name, slide in read_split_file(path, known):
        if slide in named:
            raise UserError(
                f"{path}: names the slide {slide!r} twice, in {named[slide]} and in {name}; delete one of the two"
            )
        named[slide] = name
    return named


def _check_fold(
    path: Path, fold: int, places: Mapping[LabelledSlide, str], named: Mapping[str, str], classes: Sequence[str]
) -> None:
    if "test" not in places.values():
        tested = [slide for slide, name in named.items() if name == "test"]
        has = f"of the {len(tested)} that it names, such as {tested[0]!r}" if tested else "for it names none"
        raise UserError(f"{path}: fold {fold} tests no slide of the task, {has}; correct the file or the slide sheet")
    trained = set(_trained_labels(places).values())
    for name in classes:
        if name not in trained:
            raise UserError(
                f"{path}: fold {fold} has no patient of class {name!r} to train on; leave the class out with "
                "`classes`, or delete the file"
            )


def _list_members(fold: int, places: Mapping[LabelledSlide, str], fraction: float, seed: int) -> list[Member]:
    """The members of a fold at one fraction, in the order of the sheet; the same patients at each call."""
    trained: set[str] = set()
    for label, patients in group_by_class(_trained_labels(places)).items():
        trained |= set(take_share(shuffled(patients, str(seed), "training", str(fold), label), fraction))
    used = {slide: place for slide, place in places.items() if place != "train" or slide.patient in trained}
    sets = _patient_sets(used)
    return [
        Member(0, fraction, fold, place, *slide, int(len(sets[slide.patient]) > 1)) for slide, place in used.items()
    ]


def _trained_labels(places: Mapping[LabelledSlide, str]) -> dict[str, str]:
    """The class by which each training patient is stratified, from the slides that train."""
    return patient_labels(slide for slide, place in places.items() if place == "train")


def _patient_sets(places: Mapping[LabelledSlide, str]) -> dict[str, set[str]]:
    sets: dict[str, set[str]] = defaultdict(set)
    for slide, place in places.items():
        sets[slide.patient].add(place)
    return sets


def _first_set(sets: Collection[str]) -> str:
    return next(name for name in ("test", "train", "val") if name in sets)


def _patients(count: int) -> str:
    return "1 patient is" if count == 1 else f"{count} patients are"
