"""Cross-validation splits in which no patient is on two sides.

Patients are dealt to folds here rather than by scikit-learn's `StratifiedGroupKFold`: label checks run at the start of
the workflow, where two seconds of imports for forty lines of dealing would be felt, and dealing patient by patient
keeps the number of patients of a class within one of each other in all folds.
"""

import csv
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from histossl.errors import UserError
from histossl.files import whole_file


class LabelledSlide(NamedTuple):
    """One row of the slide sheet that takes part in a task."""

    slide: str
    patient: str
    label: str


class Member(NamedTuple):
    """A slide's place in one split; the field names are the columns of the split file."""

    fraction: float
    fold: int
    set: str  # train, val or test
    slide: str
    patient: str
    label: str


def check_labels(
    rows: Sequence[Mapping[str, str]],
    label_column: str,
    folds: int,
    sheet_path: Path,
    classes: Sequence[str] | None = None,
) -> list[LabelledSlide]:
    """Return the slides that take part in a task, after checking that `folds` folds can be drawn from them.

    A slide without a label, or with one that is not among `classes`, takes no part.

    Args:
        rows: the slide sheet, with the columns `slide`, `patient` and `label_column`.
        label_column: the column that holds the class of each slide.
        folds: number of cross-validation folds.
        sheet_path: where the rows come from, for messages.
        classes: the classes to use; None takes every label that occurs.

    Raises:
        UserError: a column is missing, a labelled slide has no patient, fewer than two classes are left, a class in
            `classes` has no slide, or a class has fewer patients than there are folds.
    """
    columns = list(rows[0]) if rows else []
    for column in ("slide", "patient", label_column):
        if column not in columns:
            raise UserError(
                f"{sheet_path}: there is no column '{column}' (columns: {', '.join(map(str, columns)) or 'none'}); "
                f"add it or name another label column"
            )
    slides = []
    for row in rows:
        label = (row[label_column] or "").strip()
        if takes_part(label, classes):
            slides.append(LabelledSlide(row["slide"], (row["patient"] or "").strip(), label))
            if not slides[-1].patient:
                raise UserError(f"{sheet_path}: slide '{row['slide']}' has no patient; fill the column 'patient'")
    for name in classes or ():
        if all(slide.label != name for slide in slides):
            raise UserError(
                f"{sheet_path}: no slide has the label '{name}' in column '{label_column}'; correct `classes`"
            )
    patients = Counter(patient_labels(slides).values())
    patients.update({slide.label: 0 for slide in slides})  # a label that no patient counts under has none
    if len(patients) < 2:
        found = f"only the class '{next(iter(patients))}'" if patients else "no label"
        raise UserError(f"{sheet_path}: column '{label_column}' holds {found}; a task needs at least two classes")
    for name, count in sorted(patients.items()):
        if count < folds:
            remedy = f"set `folds` to {count} or less" if count > 1 else "label more patients"
            raise UserError(
                f"{sheet_path}: class '{name}' of column '{label_column}' has {count} "
                f"patient{'' if count == 1 else 's'}, fewer than the {folds} folds; {remedy}, "
                f"or leave the class out with `classes`"
            )
    return slides


def takes_part(label: str | None, classes: Sequence[str] | None) -> bool:
    """Whether a slide with this label, which may be blank, takes part in a task of these classes; None is all."""
    label = (label or "").strip()
    return bool(label) and (classes is None or label in classes)


def patient_labels(slides: Iterable[LabelledSlide]) -> dict[str, str]:
    """The label by which each patient is stratified: the most frequent among the slides, ties to the first by name."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for slide in slides:
        counts[slide.patient][slide.label] += 1
    return {
        patient: min(labels, key=lambda label: (-labels[label], label)) for patient, labels in sorted(counts.items())
    }


def draw_splits(
    slides: Sequence[LabelledSlide], folds: int, fractions: Sequence[float], validation: float, seed: int
) -> list[Member]:
    """Draw stratified K-fold splits by patient, with validation inside training and nested training fractions.

    Within a fold the test and the validation patients are the same for every fraction; only the training set
    shrinks, and a smaller one is contained in each larger one. Every class keeps at least one training patient, and
    has one in validation when it has two or more outside the test set.

    Args:
        slides: what takes part, from `check_labels`.
        folds: number of folds; each patient is tested in exactly one.
        fractions: shares of the training patients, in (0, 1].
        validation: share of the patients outside the test set that is held back to choose the epoch; 0 for none.
        seed: same seed, same splits.

    Returns:
        One member for each fraction, fold and slide; slides of unused training patients are absent.
    """
    by_class: dict[str, list[str]] = defaultdict(list)
    for patient, label in patient_labels(slides).items():
        by_class[label].append(patient)

    test_fold: dict[str, int] = {}
    for label, patients in sorted(by_class.items()):
        # Each class is dealt on from where the last one stopped, so that the folds' sizes stay within one as well.
        first = len(test_fold)
        for turn, patient in enumerate(shuffled(patients, seed, "folds", label)):
            test_fold[patient] = (first + turn) % folds

    members = []
    for fraction in sorted(set(fractions), reverse=True):
        for fold in range(folds):
            part = {patient: "test" for patient, tested in test_fold.items() if tested == fold}
            for label, patients in sorted(by_class.items()):
                rest = shuffled([p for p in patients if p not in part], seed, "training", str(fold), label)
                held_back = min(max(1, rounded(validation * len(rest))), len(rest) - 1) if validation else 0
                training = rest[held_back:]
                part |= dict.fromkeys(rest[:held_back], "val")
                part |= dict.fromkeys(training[: max(1, rounded(fraction * len(training)))], "train")
            members += [
                Member(fraction, fold, part[slide.patient], *slide) for slide in slides if slide.patient in part
            ]
    check_disjoint(members, "drawn splits")
    return members


def shuffled(patients: Sequence[str], seed: int, *purpose: str) -> list[str]:
    """A permutation that depends on the seed, the purpose and the patients alone, not on what was drawn before."""
    order = list(patients)
    random.Random("/".join((str(seed), *purpose))).shuffle(order)
    return order


def rounded(number: float) -> int:
    """The nearest integer, halves upwards: `round` would take 2.5 patients to 2 and 3.5 to 4."""
    return int(number + 0.5)


def check_disjoint(members: Iterable[Member], source: str) -> None:
    """Raise `UserError` naming patient and fold if a patient is in two sets of one fold."""
    seen: dict[tuple[float, int, str], str] = {}
    for member in members:
        other = seen.setdefault((member.fraction, member.fold, member.patient), member.set)
        if other != member.set:
            raise UserError(
                f"{source}: patient '{member.patient}' is in {other} and in {member.set} of fold {member.fold} "
                f"(fraction {member.fraction}); put all slides of a patient on one side"
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
            Member(float(row["fraction"]), int(row["fold"]), row["set"], row["slide"], row["patient"], row["label"])
            for row in csv.DictReader(file)
        ]
    check_disjoint(members, str(path))
    return members
