"""Compare the encoders of a family with each other: same task, head and training fraction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from histossl.statistics import delong
from histossl.statistics.holm import holm
from histossl.statistics.metrics import Floats
from histossl.statistics.resampled_t import corrected_resampled_t
from histossl.statistics.tested import Tested, student
from histossl.tables.comparison import Estimate, Judged, Resampling, check_paired, difference
from histossl.tables.figures import MACRO_AUC, class_arrays
from histossl.tables.kinds import KINDS, folds_of, strata_of
from histossl.tables.predictions import class_names

BEST, ALIKE, WORSE, UNTESTED = "best", "n.s.", "worse", "untested"
SMALLER_IS_BETTER = ("mse",)


@dataclass(frozen=True)
class Pair:
    """Two encoders of a family, compared by the first figure of their kind.

    Attributes:
        task: name of the task.
        head: name of the slide model or of the probe.
        fraction: share of the training patients; empty for patch tasks.
        first: an encoder.
        second: the encoder that it is compared with.
        figure: name of the figure.
        difference: first minus second, with its interval.
        test: `DeLong`, or `bootstrap` for Student's t of the bootstrap's standard error.
        variance_factor: what the variance of the stored predictions was multiplied by, 2 if cross-validated.
        p: two-sided, of this pair alone; NaN where there are too few patients.
        adjusted: p corrected for all pairs of the family (Holm).
        folds: number of folds that both have the figure in.
        resampled: p of the corrected resampled t over these folds; NaN where there are fewer than two.
    """

    task: str
    head: str
    fraction: str
    first: str
    second: str
    figure: str
    difference: Estimate
    test: str
    variance_factor: float
    p: float
    adjusted: float
    folds: int
    resampled: float


def compare_encoders(judged: Sequence[Judged], kind: str, resampling: Resampling) -> list[Pair]:
    """Compare all pairs of encoders within each family.

    Args:
        judged: methods of one kind.
        kind: one of `KINDS`.
        resampling: level of the intervals.

    Returns:
        The pairs, families in the order of the methods.

    Raises:
        UserError: two encoders of a family were tested on other slides or patches.
    """
    families: dict[tuple[str, str, str], list[Judged]] = {}
    for method in judged:
        families.setdefault(method.family, []).append(method)
    pairs = []
    for methods in families.values():
        found = [compare(first, second, kind, resampling) for first, second in combinations(methods, 2)]
        adjusted = holm(np.array([pair.p for pair in found]))
        pairs += [replace(pair, adjusted=float(p)) for pair, p in zip(found, adjusted, strict=True)]
    return pairs


def compare(first: Judged, second: Judged, kind: str, resampling: Resampling) -> Pair:
    """Compare two encoders; `adjusted` is not filled in yet."""
    one, other = first.measured, second.measured
    task, head, fraction = first.family
    named = [(task, method.encoder, head, *filter(None, [fraction])) for method in (first, second)]
    check_paired(named[0], one.rows, named[1], other.rows, KINDS[kind])
    figure = one.names[0]
    between = difference(one, other, resampling)[figure]
    if figure == MACRO_AUC:
        test, tested = "DeLong", delong_test(first, second)
    else:
        spread = float(np.nanvar(one.samples[:, 0] - other.samples[:, 0], ddof=1)) if first.clusters > 1 else math.nan
        test, tested = "bootstrap", student(between.value, one.variance_factor * spread, first.clusters - 1)
    both = ~np.isnan(one.folds - other.folds)
    share = ratio_tested_to_trained(first)[both] if len(both) > 1 else np.empty(0)
    over_folds = corrected_resampled_t((one.folds - other.folds)[both], float(share.mean()) if len(share) else math.nan)
    return Pair(
        *(task, head, fraction, first.encoder, second.encoder, figure, between),
        *(test, one.variance_factor, tested.p, math.nan, int(both.sum()), over_folds.p),
    )


def delong_test(first: Judged, second: Judged) -> Tested:
    """DeLong's test of the macro AUC, with the patients as clusters and pairs within a fold and seed."""
    classes = class_names(first.measured.rows)
    (labels, scores), (_, others) = (class_arrays(method.measured.rows, classes) for method in (first, second))
    if math.isnan(first.measured.values[0]):
        return Tested(math.nan, math.nan, math.nan, math.nan)
    clusters = np.unique(first.measured.clusters, return_inverse=True)[1]
    strata, factor = strata_of(first.measured.rows), first.measured.variance_factor
    return delong.compare(labels, scores, others, clusters, strata, factor)


def ratio_tested_to_trained(method: Judged) -> Floats:
    """Patients tested over patients trained on, of each fold of each repeat, (folds,).

    Predictions do not say who was trained on: that is the task's patients less those of the fold, times the fraction.
    NaN where none of them is left.
    """
    rows, folds = method.measured.rows, folds_of(method.measured.rows)
    clusters = np.array(method.measured.clusters)
    tested = np.array([len(np.unique(clusters[folds == fold])) for fold in np.unique(folds)])
    trained = (len(np.unique(clusters)) - tested) * float(rows[0].get("fraction", 1))
    return np.divide(tested, trained, out=np.full(len(tested), math.nan), where=trained > 0)


def verdicts(judged: Sequence[Judged], pairs: Sequence[Pair], level: float) -> list[str]:
    """How each method stands to the best of its family: `best`, `n.s.` where they cannot be told apart, or `worse`.

    `untested` where there is no p, for want of patients.

    Empty where a family has one encoder, or no method of it has the figure. `level` is that of the intervals: 0.95
    calls worse what has an adjusted p below 0.05.
    """
    adjusted = {(p.task, p.head, p.fraction, frozenset((p.first, p.second))): p.adjusted for p in pairs}
    best: dict[tuple[str, str, str], Judged] = {}
    families = [method.family for method in judged]
    for method in judged:
        if families.count(method.family) > 1 and not math.isnan(quality(method)):
            leader = best.setdefault(method.family, method)
            best[method.family] = method if quality(method) > quality(leader) else leader
    found = []
    for method in judged:
        leader = best.get(method.family)
        if leader is None:
            found.append("")
        elif leader is method:
            found.append(BEST)
        else:
            p = adjusted[(*method.family, frozenset((leader.encoder, method.encoder)))]
            found.append(UNTESTED if math.isnan(p) else WORSE if p < 1 - level else ALIKE)
    return found


def quality(method: Judged) -> float:
    """The figure that methods are compared by, larger for better."""
    figure = method.measured.names[0]
    return float(method.measured.values[0]) * (-1 if figure in SMALLER_IS_BETTER else 1)
