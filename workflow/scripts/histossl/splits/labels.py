"""Who takes part in a task, and under which label and site a patient counts."""

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
    folds: int | None,
    sheet_path: Path,
    classes: Sequence[str] | None = None,
) -> list[LabelledSlide]:
    """Return the slides that take part in a task, after checking that `folds` folds can be drawn from them.

    A slide without a label, or with one that is not among `classes`, takes no part.

    Args:
        rows: the slide sheet, with the columns `slide`, `patient` and `label_column`.
        label_column: the column that holds the class of each slide.
        folds: number of cross-validation folds that test each class; None where they need not, because patients are
            dealt by site or splits come from files.
        sheet_path: where the rows come from, for messages.
        classes: the classes to use; None takes every label that occurs.

    Raises:
        UserError: a column is missing, a labelled slide has no patient, fewer than two classes are left, a class in
            `classes` has no slide, a class has no patient of its own, or fewer patients than there are folds.
    """
    for column in ("slide", "patient", label_column):
        _check_column(rows, column, "label", sheet_path)
    slides = []
    for row in rows:
        label = (row[label_column] or "").strip()
        if takes_part(label, classes):
            slides.append(LabelledSlide(row["slide"], (row["patient"] or "").strip(), label))
            if not slides[-1].patient:
                raise UserError(f"{sheet_path}: slide {row['slide']!r} has no patient; fill the column 'patient'")
    for name in classes or ():
        if all(slide.label != name for slide in slides):
            raise UserError(
                f"{sheet_path}: no slide has the label {name!r} in column {label_column!r}; correct `classes`"
            )
    patients = Counter(patient_labels(slides).values())
    patients.update({slide.label: 0 for slide in slides})  # a label that no patient counts under has none
    if len(patients) < 2:
        found = f"only the class {next(iter(patients))!r}" if patients else "no label"
        raise UserError(f"{sheet_path}: column {label_column!r} holds {found}; a task needs at least two classes")
    for name, count in sorted(patients.items()):
        if count < (folds or 1):
            fewer = f"fewer than the {folds} folds" if folds else "for each one with such slides counts under another"
            remedy = f"set `folds` to {count} or less" if count > 1 else "label more patients"
            raise UserError(
                f"{sheet_path}: class {name!r} of column {label_column!r} has {count} "
                f"patient{'' if count == 1 else 's'}, {fewer}; {remedy}, or leave the class out with `classes`"
            )
    return slides


def patient_sites(
    slides: Iterable[LabelledSlide], rows: Sequence[Mapping[str, str]], site_column: str, sheet_path: Path
) -> dict[str, str]:
    """The site of each patient who takes part.

    Args:
        slides: what takes part, from `check_labels`.
        rows: the slide sheet, with the columns `slide` and `site_column`.
        site_column: the column that holds the site of each slide.
        sheet_path: where the rows come from, for messages.

    Raises:
        UserError: the column is missing, a slide's site is blank, or a patient's slides are of two sites.
    """
    _check_column(rows, site_column, "site", sheet_path)
    site_of = {row["slide"]: (row[site_column] or "").strip() for row in rows}
    sites: dict[str, str] = {}
    for slide in slides:
        site = site_of[slide.slide]
        if not site:
            raise UserError(f"{sheet_path}: slide {slide.slide!r} has no site; fill the column {site_column!r}")
        other = sites.setdefault(slide.patient, site)
        if other != site:
            raise UserError(
                f"{sheet_path}: patient {slide.patient!r} is of the sites {other!r} and {site!r} (column "
                f"{site_column!r}), which may be in two folds; give all slides of a patient one site"
            )
    return sites


def takes_part(label: str | None, classes: Sequence[str] | None) -> bool:
    """Whether a slide with this label, which may be blank, takes part in a task of these classes; None is all."""
    label = (label or "").strip()
    return bool(label) and (classes is None or label in classes)


def patient_labels(slides: Iterable[LabelledSlide]) -> dict[str, str]:
    """The label by which each patient is stratified: the most frequent among the slides, ties to the first by name."""
    return {
        patient: min(labels, key=lambda label: (-labels[label], label))
        for patient, labels in sorted(_count_labels(slides).items())
    }


def mixed_patients(slides: Iterable[LabelledSlide]) -> list[str]:
    """The patients whose slides have different labels."""
    return sorted(patient for patient, labels in _count_labels(slides).items() if len(labels) > 1)


def _count_labels(slides: Iterable[LabelledSlide]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for slide in slides:
        counts[slide.patient][slide.label] += 1
    return counts


def _check_column(rows: Sequence[Mapping[str, str]], column: str, kind: str, sheet_path: Path) -> None:
    columns = list(rows[0]) if rows else []
    if column not in columns:
        raise UserError(
            f"{sheet_path}: there is no column {column!r} (columns: {', '.join(map(str, columns)) or 'none'}); "
            f"add it or name another {kind} column"
        )
