"""An audit of splits as text that people read: Markdown, its columns aligned."""

from collections import Counter
from collections.abc import Iterable, Sequence

from histossl.splits.audit import SIDES, Audit, FoldAudit
from histossl.splits.clam import SETS

NAMED = 3
"""So many patients or slides are named, the others counted."""


def report_audit(audit: Audit, title: str, patients: str) -> str:
    """The whole report; its last line is the verdict.

    Args:
        audit: what was found.
        title: what was audited.
        patients: what told the patients, in words.
    """
    tested = sum(len(fold.split.slides["test"]) for fold in audit.folds)
    unique = len({slide for fold in audit.folds for slide in fold.split.slides["test"]})
    slides = len(next(iter(audit.times_tested.values()), ()))
    parts = [
        f"# Audit of {title}",
        f"{tested} test entries, {unique} unique slides tested, {slides} slides in all. Patients: {patients}.",
        "Slides of each set, patients in both of two sets, slides in several:",
        _sizes(audit.folds),
    ]
    parts += ["\n".join(lines)] if (lines := [line for fold in audit.folds for line in _names(fold)]) else []
    parts += [_balance(audit.folds)] if any(fold.labels["train"] for fold in audit.folds) else []
    if audit.nested:
        parts.append(
            f"{audit.nested} splits of smaller fractions train on part of the slides above, all else the same."
        )
    parts += [_times_tested(audit), f"Verdict: {_verdict(audit)}"]
    return "\n\n".join(parts) + "\n"


def _sizes(folds: Sequence[FoldAudit]) -> str:
    """Sizes of the sets, and how many patients and slides are on two sides."""
    pairs = [f"{one} & {other}" for one, other in SIDES]
    rows = [
        [
            *(_name(fold), *(len(fold.split.slides[name]) for name in SETS)),
            *(len(fold.shared_patients[sides]) for sides in SIDES),
            len(fold.shared_slides),
        ]
        for fold in folds
    ]
    sums = ["sum", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True))]
    return _table(["fold", *SETS, *pairs, "several"], [*rows, sums] if len(rows) > 1 else rows)


def _names(fold: FoldAudit) -> Iterable[str]:
    found = {f"patients in {one} and {other}": names for (one, other), names in fold.shared_patients.items()}
    found |= {"slides in several sets": fold.shared_slides, "slides twice in a set": fold.repeated_slides}
    for what, names in found.items():
        if names:
            more = ", ..." if len(names) > NAMED else ""
            yield f"- fold {_name(fold)}, {what}: {len(names)} ({', '.join(map(_one_line, names[:NAMED]))}{more})"


def _balance(folds: Sequence[FoldAudit]) -> str:
    """Slides of each label."""
    labels = sorted({label for fold in folds for name in SETS for label in fold.labels[name]})
    rows = [
        [_name(fold), *(" / ".join(str(fold.labels[name][label]) for label in labels) for name in SETS)]
        for fold in folds
    ]
    named = " / ".join(repr(label) if label else "none" for label in labels)
    return f"Slides by label, {named}:\n\n" + _table(["fold", *SETS], rows)


def _times_tested(audit: Audit) -> str:
    most = max(number for times in audit.times_tested.values() for number in times.values())
    several = len(audit.times_tested) > 1
    rows = [
        [f"slides of repeat {repeat}" if several else "slides", *(Counter(times.values())[n] for n in range(most + 1))]
        for repeat, times in audit.times_tested.items()
    ]
    return f"{_scheme(audit)}\n\n{_table(['times tested', *map(str, range(most + 1))], rows)}"


def _scheme(audit: Audit) -> str:
    """K-fold, Monte-Carlo or neither, in a sentence."""
    if len({(fold.split.repeat, fold.split.fold) for fold in audit.folds}) == 1:
        return "One split, no cross-validation."
    each = " in each repeat" if len(audit.times_tested) > 1 else ""
    numbers = [number for times in audit.times_tested.values() for number in times.values()]
    if max(numbers) > 1:
        return f"Monte-Carlo, not K-fold: slides are tested {min(numbers)} to {max(numbers)} times{each}."
    if min(numbers) == 1:
        return f"K-fold: each slide is tested once{each}."
    return f"Each slide is tested once at most{each}, but not all are: part of a K-fold."


def _verdict(audit: Audit) -> str:
    if not audit.leaks:
        return "no patient and no slide is on two sides of a fold."
    leaking = sum(fold.leaks for fold in audit.folds)
    patients = {sides: sum(len(fold.shared_patients[sides]) for fold in audit.folds) for sides in SIDES}
    found = [f"patients in {one} and {other}: {count}" for (one, other), count in patients.items() if count]
    slides = sum(len(fold.shared_slides) for fold in audit.folds)
    found += [f"slides in several sets: {slides}"] if slides else []
    return f"LEAK in {leaking} of {len(audit.folds)} folds; summed over them, {', '.join(found)}."


def _name(fold: FoldAudit) -> str:
    """The fold's number, with its repeat and fraction where they are not the only ones."""
    split = fold.split
    named = [f"repeat {split.repeat}"] if split.repeat else []
    named += [f"{split.fraction:g} of training"] if split.fraction != 1 else []
    return ", ".join([str(split.fold), *named])


def _one_line(name: str) -> str:
    return name if name.isprintable() else repr(name)


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    body = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([body[0], "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|", *body[1:]])
