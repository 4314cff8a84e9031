"""Cross-validation splits in which no patient, and where wanted no site, is on two sides.

Patients are dealt to folds here rather than by scikit-learn's `StratifiedGroupKFold`, because dealing patient by
patient keeps the number of patients of a class within one of each other in all folds. Sites cannot be dealt so evenly:
they go, the largest first, to the fold that they leave most even.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from histossl.errors import UserError
from histossl.splits.labels import LabelledSlide, patient_labels
from histossl.splits.split_file import Member, check_disjoint


def draw_splits(
    slides: Sequence[LabelledSlide],
    folds: int,
    fraction: float,
    validation: float,
    seed: int,
    repeats: int = 1,
    sites: Mapping[str, str] | None = None,
) -> list[Member]:
    """Draw stratified K-fold splits by patient, with validation inside training, of which a fraction is used.

    Within a fold the test and the validation patients are the same at every fraction; only the training set
    shrinks, and a smaller one is contained in each larger one. Every class keeps at least one training patient, and
    has one in validation when it has two or more outside the test set.

    Args:
        slides: what takes part, from `check_labels`.
        folds: number of folds; each patient is tested in exactly one.
        fraction: share of the training patients, in (0, 1].
        validation: share of the patients outside the test set that is held back to choose the epoch; 0 for none.
        seed: same seed, same splits.
        repeats: how often all of this is drawn; further repeats leave the first ones as they are.
        sites: the site of each patient, from `patient_sites`: those of one site are then tested in one fold, and a
            fold may test no patient of some class. None deals patient by patient.

    Returns:
        One member for each repeat, fold and slide; slides of unused training patients are absent.

    Raises:
        UserError: the sites cannot be dealt, see `deal_sites`.
    """
    labels = patient_labels(slides)
    members = []
    for repeat in range(repeats):
        source = source_of(seed, repeat)
        test_fold = deal_patients(labels, folds, source) if sites is None else deal_sites(labels, sites, folds, source)
        for fold in range(folds):
            part = {patient: "test" for patient, tested in test_fold.items() if tested == fold}
            for label, patients in group_by_class(labels).items():
                rest = shuffled([p for p in patients if p not in part], source, "training", str(fold), label)
                held_back = min(max(1, rounded(validation * len(rest))), len(rest) - 1) if validation else 0
                part |= dict.fromkeys(rest[:held_back], "val")
                part |= dict.fromkeys(take_share(rest[held_back:], fraction), "train")
            members += [
                Member(repeat, fraction, fold, part[slide.patient], *slide, 0)
                for slide in slides
                if slide.patient in part
            ]
    check_disjoint(members, "drawn splits")
    return members


def deal_patients(labels: Mapping[str, str], folds: int, source: str) -> dict[str, int]:
    """The fold that tests each patient: class by class, each dealt on from where the last one stopped.

    Args:
        labels: the class of each patient.
        folds: number of folds.
        source: where chance comes from; the same text gives the same folds.
    """
    test_fold: dict[str, int] = {}
    for label, patients in group_by_class(labels).items():
        first = len(test_fold)  # so that the folds' sizes stay within one as well
        for turn, patient in enumerate(shuffled(patients, source, "folds", label)):
            test_fold[patient] = (first + turn) % folds
    return test_fold


def deal_sites(labels: Mapping[str, str], sites: Mapping[str, str], folds: int, source: str) -> dict[str, int]:
    """The fold that tests each patient, the same for all of a site.

    The largest site goes first, those of one size in an order drawn by chance, and each to the fold where it adds
    least to the squares of the folds' shares of each class; of several, to the one with the fewest patients.

    Args:
        labels: the class of each patient.
        sites: the site of each patient.
        folds: number of folds.
        source: where chance comes from; the same text gives the same folds.

    Raises:
        UserError: there are fewer sites than folds, or a class has all of its patients in one fold, so that none is
            left to train on.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for patient, label in labels.items():
        counts[sites[patient]][label] += 1
    if len(counts) < folds:
        remedy = f"set `folds` to {len(counts)}" if len(counts) > 1 else "delete `site`"
        raise UserError(f"there are fewer sites ({len(counts)}) than folds ({folds}); {remedy}")
    in_class = Counter(labels.values())
    in_fold: list[Counter[str]] = [Counter() for _ in range(folds)]
    fold_of: dict[str, int] = {}
    for site in sorted(shuffled(sorted(counts), source, "sites"), key=lambda site: -counts[site].total()):
        crowding = [
            (sum(fold[label] * count / in_class[label] ** 2 for label, count in counts[site].items()), fold.total())
            for fold in in_fold
        ]
        fold_of[site] = min(range(folds), key=crowding.__getitem__)
        in_fold[fold_of[site]] += counts[site]
    for label, count in sorted(in_class.items()):
        if any(fold[label] == count for fold in in_fold):
            of = sorted(site for site in counts if counts[site][label])
            where = f"at the site {of[0]!r} alone" if len(of) == 1 else f"at {len(of)} sites that fell into one fold"
            raise UserError(
                f"class {label!r} has its {count} patients {where}, so that none is left to train on; leave the class "
                f"out with `classes`{', set other `folds`' if len(of) > 1 else ''} or delete `site`"
            )
    return {patient: fold_of[sites[patient]] for patient in labels}


def group_by_class(labels: Mapping[str, str]) -> dict[str, list[str]]:
    """The patients of each class, both in the order of their names."""
    by_class: dict[str, list[str]] = {label: [] for label in sorted(set(labels.values()))}
    for patient, label in sorted(labels.items()):
        by_class[label].append(patient)
    return by_class


def take_share(patients: Sequence[str], fraction: float) -> Sequence[str]:
    """The first of them, at least one: a smaller share is contained in each larger one."""
    return patients[: max(1, rounded(fraction * len(patients)))]


def source_of(seed: int, repeat: int) -> str:
    """Where the chance of a repeat comes from; the first repeat draws what a single one does."""
    return f"{seed}/repeat {repeat}" if repeat else str(seed)


def shuffled(names: Sequence[str], source: str, *purpose: str) -> list[str]:
    """A permutation that depends on the source, the purpose and the names alone, not on what was drawn before."""
    order = list(names)
    random.Random("/".join((source, *purpose))).shuffle(order)
    return order


def rounded(number: float) -> int:
    """The nearest integer, halves upwards: `round` would take 2.5 patients to 2 and 3.5 to 4."""
    return int(number + 0.5)
