"""What a log says of splits that were made."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from histossl.splits.imported import ImportedSplits
from histossl.splits.labels import LabelledSlide, mixed_patients
from histossl.splits.split_file import Member, folds_without_a_class


def describe_splits(
    slides: Sequence[LabelledSlide], members: Sequence[Member], unlabelled: int, other: int
) -> list[str]:
    """Sizes, then warnings of what a reader of the tables should know.

    Args:
        slides: what takes part.
        members: the splits.
        unlabelled: slides of the sheet without a label.
        other: slides of the sheet with a label that is not among the task's classes.
    """
    counts = ", ".join(f"{count} {label}" for label, count in sorted(Counter(s.label for s in slides).items()))
    lacking, folds = folds_without_a_class(members)
    repeats = max(member.repeat for member in members) + 1
    drawn = f", in {repeats} repeats of {folds // repeats} folds" if repeats > 1 else f" in {_several(folds, 'fold')}"
    patients = len({slide.patient for slide in slides})
    without = {"without a label": unlabelled, "of another class": other}
    said = ", ".join(f"{count} {why}" for why, count in without.items() if count) or "none"
    lines = [f"{len(slides)} slides of {patients} patients ({counts}){drawn}; left out: {said}"]
    if twins := _alike({slide.patient for slide in slides}):
        lines.append(f"warning: patients {twins[0]!r} and {twins[1]!r} differ in capitals only; are they one?")
    if mixed := mixed_patients(slides):
        lines.append(
            f"warning: slides of {_several(len(mixed), 'patient')} (such as {mixed[0]!r}) have different "
            "labels; each patient is dealt by the most frequent"
        )
    if lacking:
        lines.append(f"warning: {lacking} of {folds} folds test no slide of some class, and have no AUC of their own")
    if (own := _count_deals(members)) < repeats:
        lines.append(
            f"warning: {repeats} repeats have {own} different deals to folds alone, because sites or patients leave no "
            "more; set fewer `repeats`"
        )
    return lines


def _alike(patients: Iterable[str]) -> tuple[str, str] | None:
    """Two patients whose names differ in capitals only."""
    seen: dict[str, str] = {}
    for patient in sorted(patients):
        if (other := seen.setdefault(patient.casefold(), patient)) != patient:
            return other, patient
    return None


def _count_deals(members: Sequence[Member]) -> int:
    """How many repeats deal their patients to folds as no earlier one does, whatever the folds' order."""
    tested: dict[tuple[int, int], set[str]] = defaultdict(set)
    for member in members:
        if member.set == "test":
            tested[member.repeat, member.fold].add(member.patient)
    deals: dict[int, set[frozenset[str]]] = defaultdict(set)
    for (repeat, _), patients in tested.items():
        deals[repeat].add(frozenset(patients))
    return len(set(map(frozenset, deals.values())))


def describe_import(imported: ImportedSplits, folder: str, on_shared_patients: str) -> list[str]:
    """What was not taken from split files as they are."""
    lines = []
    for slides, why in (
        (imported.strangers, f"of {folder} that the sheet does not list with a label of this task"),
        (imported.unplaced, f"of this task that no file of {folder} names"),
    ):
        if slides:
            lines.append(f"warning: left out {_several(len(slides), 'slide')} {why} (such as {slides[0]!r})")
    if imported.shared:
        places = _several(sum(map(len, imported.shared.values())), "patient")
        done = {
            "drop": f"left out {_several(imported.dropped, 'slide')} of theirs, so that each is in one set, test first",
            "allow": "marked as leaked",
        }[on_shared_patients]
        lines.append(
            f"warning: {places} in more than one set in {_several(len(imported.shared), 'fold')} of {folder} (summed "
            f"over the folds): {done}"
        )
    return lines


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
