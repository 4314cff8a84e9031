"""The figures of each kind of predictions, for many weightings of their rows at once.

Each function maps rows to the names of their figures, the one that methods are compared by first, and to a function
from weights (R, n) to figures (R, m).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from histossl.statistics import metrics
from histossl.statistics.metrics import Floats
from histossl.tables.kinds import folds_of, strata_of
from histossl.tables.predictions import PROBABILITY, Row, class_names

MACRO_AUC, BALANCED_ACCURACY, F1, AVERAGE_PRECISION = "auc", "balanced_accuracy", "f1", "average_precision"
REGRESSION_FIGURES = ("mse", "spearman", "kendall_tau_b", "prediction_probability")
MEAN_AVERAGE_PRECISION = "mean_average_precision"
QUERY_FIGURES = {  # the figure, and the column that it is the mean of
    MEAN_AVERAGE_PRECISION: "average_precision",
    "hit_1": "hit_1",
    "hit_3": "hit_3",
    "hit_5": "hit_5",
    "majority_5": "majority_5",
}

Weighted = tuple[list[str], Callable[[Floats], Floats]]


def class_figures(rows: Sequence[Row]) -> Weighted:
    """Macro AUC, balanced accuracy, macro F1, macro average precision, and the AUC of each class.

    Scores of different repeats, folds or seeds come from different models and are not compared with each other.
    Classes that no row has are left out of the means.
    """
    classes = class_names(rows)
    labels, probabilities = class_arrays(rows, classes)
    strata = strata_of(rows)
    ranked = ~np.isnan(metrics.class_aucs(labels, probabilities, metrics.ones(len(rows)), strata)[0])
    present = np.isin(np.arange(len(classes)), labels)

    def figures(weights: Floats) -> Floats:
        aucs = metrics.class_aucs(labels, probabilities, weights, strata)
        recalls = metrics.recalls(labels, probabilities, weights)
        f1_scores = metrics.f1_scores(labels, probabilities, weights)
        precisions = metrics.class_average_precisions(labels, probabilities, weights, strata)
        macro = mean(aucs[:, ranked]), mean(recalls[:, present]), mean(f1_scores[:, present])
        return np.column_stack([*macro, mean(precisions[:, ranked]), aucs])

    return [MACRO_AUC, BALANCED_ACCURACY, F1, AVERAGE_PRECISION, *(f"auc[{name}]" for name in classes)], figures


def class_arrays(rows: Sequence[Row], classes: Sequence[str]) -> tuple[metrics.Integers, Floats]:
    """Class indices (n,) and probabilities (n, classes) of predictions."""
    index = {name: position for position, name in enumerate(classes)}
    probabilities = [[float(row[PROBABILITY + name]) for name in classes] for row in rows]
    return np.array([index[row["label"]] for row in rows]), np.array(probabilities)


def regression_figures(rows: Sequence[Row]) -> Weighted:
    """Mean squared error, Spearman's correlation, Kendall's tau-b and prediction probability."""
    target = np.array([float(row["target"]) for row in rows])
    prediction = np.array([float(row["prediction"]) for row in rows])

    def figures(weights: Floats) -> Floats:
        concordances = metrics.concordance(target, prediction, weights)
        return np.column_stack(
            [
                metrics.mean_squared_error(target, prediction, weights),
                metrics.spearman(target, prediction, weights),
                metrics.kendall(target, prediction, weights, concordances),
                metrics.prediction_probability(target, weights, concordances),
            ]
        )

    return list(REGRESSION_FIGURES), figures


def few_shot_figures(rows: Sequence[Row]) -> Weighted:
    """Balanced accuracy and the recall of each class, expected over the episodes: shares of them that were right."""
    classes = class_names(rows)
    labels, shares = class_arrays(rows, classes)
    right = shares[np.arange(len(rows)), labels]
    present = np.isin(np.arange(len(classes)), labels)

    def figures(weights: Floats) -> Floats:
        recalls = metrics.class_means(labels, right, weights, len(classes))
        return np.column_stack([mean(recalls[:, present]), recalls])

    return [BALANCED_ACCURACY, *(f"recall[{name}]" for name in classes)], figures


def retrieval_figures(rows: Sequence[Row]) -> Weighted:
    """What a query finds on average: the mean over the queries of a class, then over the classes."""
    names, labels = np.unique([row["label"] for row in rows], return_inverse=True)
    columns = [np.array([float(row[column]) for row in rows]) for column in QUERY_FIGURES.values()]

    def figures(weights: Floats) -> Floats:
        return np.column_stack([mean(metrics.class_means(labels, c, weights, len(names))) for c in columns])

    return list(QUERY_FIGURES), figures


FIGURES: Mapping[str, Callable[[Sequence[Row]], Weighted]] = {
    "slide": class_figures,
    "classification": class_figures,
    "regression": regression_figures,
    "few_shot": few_shot_figures,
    "retrieval": retrieval_figures,
}


def fold_values(rows: Sequence[Row], figures: Callable[[Floats], Floats]) -> Floats:
    """The first figure on the rows of each fold of each repeat, (folds,), NaN where its test set lacks a class."""
    folds = folds_of(rows)
    return figures((folds == np.unique(folds)[:, None]).astype(float))[:, 0]


def fold_aucs(rows: Sequence[Row]) -> tuple[float, ...]:
    """Macro AUC of each fold of each repeat, of all its seeds; folds whose test set lacks a class are left out."""
    values = fold_values(rows, class_figures(rows)[1])
    return tuple(map(float, values[~np.isnan(values)]))


def mean(columns: Floats) -> Floats:
    """Mean over the columns, NaN where one is NaN or there is none."""
    return columns.mean(axis=1) if columns.shape[1] else np.full(len(columns), np.nan)
