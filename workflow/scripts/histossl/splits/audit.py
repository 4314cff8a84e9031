"""What splits do: who is on two sides, how often each slide is tested, which labels are where."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from histossl.errors import UserError
from histossl.splits.audit_input import Split, SplitFiles
from histossl.splits.clam import SETS

SIDES = (("train", "test"), ("train", "val"), ("val", "test"))


@dataclass(frozen=True)
class FoldAudit:
    """What one split does.

    Attributes:
        split: which.
        shared_patients: those in both of two sets, for each of `SIDES`.
        shared_slides: slides in several sets.
        repeated_slides: slides that one set has twice or more.
        labels: slides of each label in each set; blank is none.
    """

    split: Split
    shared_patients: Mapping[tuple[str, str], Sequence[str]]
    shared_slides: Sequence[str]
    repeated_slides: Sequence[str]
    labels: Mapping[str, Counter[str]]

    @property
    def leaks(self) -> bool:
        """Whether a patient or a slide is on two sides."""
        return bool(self.shared_slides) or any(self.shared_patients.values())


@dataclass(frozen=True)
class Audit:
    """What splits do.

    Attributes:
        folds: those that say something: all but the ones counted as `nested`.
        nested: splits of a smaller fraction whose training slides are contained in those of the next larger one, with
            the same validation and test slides.
        times_tested: how often each slide is tested in each repeat, at the repeat's largest fraction.
    """

    folds: Sequence[FoldAudit]
    nested: int
    times_tested: Mapping[int, Counter[str]]

    @property
    def leaks(self) -> bool:
        """Whether a patient or a slide is on two sides anywhere."""
        return any(fold.leaks for fold in self.folds)


def audit_splits(files: SplitFiles, patients: Mapping[str, str], labels: Mapping[str, str]) -> Audit:
    """Look for patients and slides on two sides, and count how often slides are tested.

    Args:
        files: as they were read.
        patients: the patient of each slide.
        labels: the label of each slide, or of none.

    Raises:
        UserError: no slide is named, or one has no patient.
    """
    if not files.slides:
        raise UserError("the split files name no slide, so that there is nothing to audit; give others")
    unknown = [slide for slide in files.slides if slide not in patients]
    if unknown:
        raise UserError(
            f"slides of the split files are not in the sheet ({len(unknown)}, such as {unknown[0]!r}); "
            "add them to it, or tell patients from the slides' ids with --patients"
        )
    folds, nested = [], 0
    larger: dict[tuple[int, int], Split] = {}
    times_tested: dict[int, Counter[str]] = {}
    for split in sorted(files.splits, key=lambda split: (split.repeat, -split.fraction, split.fold)):
        place = (split.repeat, split.fold)
        if place in larger and _contains(larger[place], split):
            nested += 1
        else:
            folds.append(_audit_fold(split, patients, labels))
        if place not in larger:
            times = times_tested.setdefault(split.repeat, Counter(dict.fromkeys(files.slides, 0)))
            times.update(split.slides["test"])
        larger[place] = split
    return Audit(folds, nested, times_tested)


def _audit_fold(split: Split, patients: Mapping[str, str], labels: Mapping[str, str]) -> FoldAudit:
    slides = {name: set(split.slides[name]) for name in SETS}
    people = {name: {patients[slide] for slide in slides[name]} for name in SETS}
    return FoldAudit(
        split,
        {sides: sorted(people[sides[0]] & people[sides[1]]) for sides in SIDES},
        sorted(set().union(*(slides[one] & slides[other] for one, other in combinations(SETS, 2)))),
        sorted(slide for name in SETS for slide, times in Counter(split.slides[name]).items() if times > 1),
        {
            name: Counter(labels.get(slide, "") for slide in split.slides[name]) if labels else Counter()
            for name in SETS
        },
    )


def _contains(larger: Split, smaller: Split) -> bool:
    same = all(sorted(larger.slides[name]) == sorted(smaller.slides[name]) for name in ("val", "test"))
    return same and set(smaller.slides["train"]) <= set(larger.slides["train"])
