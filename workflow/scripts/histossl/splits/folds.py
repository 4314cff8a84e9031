"""Cross-validation splits in which no patient is on two sides.

Patients are dealt to folds here rather than by scikit-learn's `StratifiedGroupKFold`, because dealing patient by
patient keeps the number of patients of a class within one of each other in all folds.
"""

import random
from collections import defaultdict
from collections.abc import Sequence

from histossl.splits.labels import LabelledSlide, patient_labels
from histossl.splits.split_file import Member, check_disjoint


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
                Member(0, fraction, fold, part[slide.patient], *slide, 0) for slide in slides if slide.patient in part
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
