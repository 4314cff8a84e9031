"""Figures of merit for many weightings of the same rows at once.

A bootstrap resample is a row of weights: how often each prediction was drawn. Every function takes `weights` of shape
(R, n) and returns one figure for each of the R resamples, equal to the plain figure of the rows repeated that often;
`ones(n)` gives the figure itself. What a resample does not define (a class that was not drawn) is NaN.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def ones(rows: int) -> Floats:
    """The weights (1, n) of the sample as it is."""
    return np.ones((1, rows))


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient, NaN where the denominator is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def auc(positive: NDArray[np.bool_], scores: Floats, weights: Floats, strata: Integers | None = None) -> Floats:
    """Area under the ROC curve: the share of (positive, negative) pairs in which the positive scores higher.

    A tie counts one half. With `strata` only pairs within a stratum count: scores of different cross-validation folds
    come from different models and have no common scale.

    Args:
        positive: (n,) which rows are positive.
        scores: (n,) higher means more positive.
        weights: (R, n).
        strata: (n,) stratum of each row.

    Returns:
        (R,); NaN where there is no such pair.
    """
    runs = Runs.of(scores, strata)
    positives, negatives = (runs.sums(weights * rows) for rows in (positive, ~positive))
    won = (positives * (runs.below(negatives) + negatives / 2)).sum(axis=1)
    return divide(won, (runs.totals(positives) * runs.totals(negatives)).sum(axis=1))


class Runs(NamedTuple):
    """Rows sorted by stratum and score, where rows of one stratum with the same score make a run.

    Attributes:
        order: (n,) the rows in this order.
        starts: (runs,) where in `order` each run starts.
        strata: (strata,) the first run of each stratum.
    """

    order: Integers
    starts: Integers
    strata: Integers

    @classmethod
    def of(cls, scores: Floats, strata: Integers | None) -> "Runs":
        """The runs of some scores (n,) in strata (n,), which are one stratum if None."""
        strata = np.zeros(len(scores), np.int64) if strata is None else strata
        order = np.lexsort((scores, strata))
        strata, scores = strata[order], scores[order]
        new_stratum = np.r_[True, strata[1:] != strata[:-1]]
        starts = np.flatnonzero(new_stratum | np.r_[True, scores[1:] != scores[:-1]])
        return cls(order, starts, np.flatnonzero(new_stratum[starts]))

    def sums(self, weights: Floats) -> Floats:
        """Weight of each run, (R, runs), of weights of the rows (R, n)."""
        ordered = weights[:, self.order]
        if len(self.starts) == len(self.order):  # no ties: each row is a run
            return ordered
        return np.add.reduceat(ordered, self.starts, axis=1)

    def totals(self, sums: Floats) -> Floats:
        """Weight of each stratum, (R, strata), of weights of the runs."""
        return np.add.reduceat(sums, self.strata, axis=1)

    def spread(self, totals: Floats) -> Floats:
        """What is known of strata, (R, strata), for each of their runs, (R, runs)."""
        return np.repeat(totals, np.diff(np.r_[self.strata, len(self.starts)]), axis=1)

    def below(self, sums: Floats) -> Floats:
        """Weight of the runs of the same stratum with lower scores, (R, runs), of weights of the runs."""
        lower = np.cumsum(sums, axis=1) - sums
        return lower - self.spread(lower[:, self.strata])

    def from_here(self, sums: Floats) -> Floats:
        """Weight of the runs of the same stratum with scores as high or higher, as `below`."""
        lower = np.cumsum(sums, axis=1) - sums
        return self.spread(self.totals(sums) + lower[:, self.strata]) - lower


def average_precision(
    positive: NDArray[np.bool_], scores: Floats, weights: Floats, strata: Integers | None = None
) -> Floats:
    """Average precision: the mean over the positives of the precision among the rows that score at least as high.

    One stratum gives scikit-learn's `average_precision_score`. With `strata` a positive is ranked among the rows of
    its own stratum, because scores of different models have no common scale.

    Args:
        positive: (n,) which rows are positive.
        scores: (n,) higher means more positive.
        weights: (R, n).
        strata: (n,) stratum of each row.

    Returns:
        (R,); NaN where there is no positive.
    """
    runs = Runs.of(scores, strata)
    positives, every = runs.sums(weights * positive), runs.sums(weights)
    found, retrieved = runs.from_here(positives), runs.from_here(every)
    precision = np.divide(found, retrieved, out=np.zeros_like(found), where=positives > 0)
    return divide((positives * precision).sum(axis=1), positives.sum(axis=1))


def class_aucs(labels: Integers, probabilities: Floats, weights: Floats, strata: Integers | None = None) -> Floats:
    """One-against-rest AUC of every class: (R, classes); NaN for a class that has no row or all of them.

    The mean over the classes is scikit-learn's `roc_auc_score(multi_class="ovr", average="macro")`.

    Args:
        labels: (n,) class indices.
        probabilities: (n, classes).
        weights: (R, n).
        strata: as for `auc`.
    """
    return np.stack(
        [auc(labels == index, probabilities[:, index], weights, strata) for index in range(probabilities.shape[1])],
        axis=1,
    )


def recalls(labels: Integers, probabilities: Floats, weights: Floats) -> Floats:
    """Share of each class's rows whose largest probability is the class's own: (R, classes), NaN without rows.

    The mean over the classes is scikit-learn's `balanced_accuracy_score`. Equal probabilities go to the first class.
    """
    member = labels[:, None] == np.arange(probabilities.shape[1])
    hit = member & (probabilities.argmax(axis=1) == labels)[:, None]
    return divide(weights @ hit.astype(float), weights @ member.astype(float))


def class_average_precisions(
    labels: Integers, probabilities: Floats, weights: Floats, strata: Integers | None = None
) -> Floats:
    """One-against-rest average precision of every class, (R, classes); arguments as for `class_aucs`."""
    classes = range(probabilities.shape[1])
    return np.stack([average_precision(labels == c, probabilities[:, c], weights, strata) for c in classes], axis=1)


def f1_scores(labels: Integers, probabilities: Floats, weights: Floats) -> Floats:
    """F1 of each class: (R, classes), NaN where a class has neither rows nor predictions.

    2 TP / (rows of the class + rows predicted as the class). The mean over the classes is scikit-learn's
    `f1_score(average="macro")`. Equal probabilities go to the first class.
    """
    classes = np.arange(probabilities.shape[1])
    member, predicted = labels[:, None] == classes, probabilities.argmax(axis=1)[:, None] == classes
    return divide(2 * weights @ (member & predicted), weights @ member + weights @ predicted)


def class_means(labels: Integers, values: Floats, weights: Floats, classes: int) -> Floats:
    """Mean of some values of the rows (n,) within each class: (R, classes), NaN without rows."""
    member = labels[:, None] == np.arange(classes)
    return divide(weights @ (member * values[:, None]), weights @ member)


def mean_squared_error(target: Floats, prediction: Floats, weights: Floats) -> Floats:
    """Mean squared error, (R,)."""
    return divide(weights @ (target - prediction) ** 2, weights.sum(axis=1))


def spearman(target: Floats, prediction: Floats, weights: Floats) -> Floats:
    """Spearman's rank correlation with mid-ranks for ties, (R,); NaN where either is constant."""
    total = weights.sum(axis=1, keepdims=True)
    first, second = (midranks(values, weights) - (total + 1) / 2 for values in (target, prediction))
    covariance = (weights * first * second).sum(axis=1)
    spread = (weights * first**2).sum(axis=1) * (weights * second**2).sum(axis=1)
    return divide(covariance, np.sqrt(spread))


def midranks(values: Floats, weights: Floats) -> Floats:
    """Rank of each row among the weighted rows, 1 for the lowest, ties sharing the mean of their ranks: (R, n)."""
    _, group = np.unique(values, return_inverse=True)
    size = tie_sizes(values, weights)
    return (np.cumsum(size, axis=1) - size + (size + 1) / 2)[:, group]


def tie_sizes(values: Floats, weights: Floats) -> Floats:
    """Weight of every distinct value, in ascending order: (R, distinct)."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) != 0])
    return np.add.reduceat(weights[:, order], starts, axis=1)


def untied_pairs(values: Floats, weights: Floats) -> Floats:
    """Number of pairs of weighted rows whose values differ, (R,)."""
    return (weights.sum(axis=1) ** 2 - (tie_sizes(values, weights) ** 2).sum(axis=1)) / 2


def concordance(target: Floats, prediction: Floats, weights: Floats, block: int = 1024) -> Floats:
    """Concordant minus discordant pairs of weighted rows, (R,); `block` rows are compared with all at a time."""
    difference = np.zeros(len(weights))
    for start in range(0, len(target), block):
        part = slice(start, start + block)
        agreement = np.sign(target[part, None] - target) * np.sign(prediction[part, None] - prediction)
        difference += ((weights[:, part] @ agreement) * weights).sum(axis=1) / 2
    return difference


def kendall(target: Floats, prediction: Floats, weights: Floats, concordances: Floats) -> Floats:
    """Kendall's tau-b from `concordance`, (R,); NaN where either is constant."""
    return divide(concordances, np.sqrt(untied_pairs(target, weights) * untied_pairs(prediction, weights)))


def prediction_probability(target: Floats, weights: Floats, concordances: Floats) -> Floats:
    """Prediction probability P_K (Smith, Dutton and Smith 1996) from `concordance`, (R,).

    (concordant + ties / 2) / (concordant + discordant + ties) over the pairs whose targets differ, where ties are
    those of the prediction: how often the row with the higher target is predicted higher, 0.5 for a guess. As
    concordant + discordant + ties is the number of pairs with different targets, it is (1 + Somers' D) / 2.
    """
    return (1 + divide(concordances, untied_pairs(target, weights))) / 2
