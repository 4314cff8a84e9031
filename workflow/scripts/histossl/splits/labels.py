"""Who takes part in a task, and under which label a patient counts."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from histossl.errors import UserError


class LabelledSlide(NamedTuple):
    """One row of the slide sheet that takes part in a task."""

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
