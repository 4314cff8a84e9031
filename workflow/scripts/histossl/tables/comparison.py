"""Judge methods by their stored predictions, each with an interval and beside its control."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from histossl.errors import UserError
from histossl.statistics import metrics
from histossl.statistics.bootstrap import cluster_bootstrap, percentile_interval
from histossl.statistics.metrics import Floats
from histossl.tables.predictions import PROBABILITY, Row, class_names, read_predictions
from histossl.tables.seen_patients import count_seen

MACRO_AUC, BALANCED_ACCURACY = "auc", "balanced_accuracy"
REGRESSION_FIGURES = ("mse", "spearman", "kendall_tau_b", "prediction_probability")


class Estimate(NamedTuple):
    """A figure with its bootstrap interval; NaN where undefined."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Resampling:
    """How intervals are computed: number of resamples, seed, and level such as 0.95."""

    resamples: int
    seed: int
    level: float


@dataclass(frozen=True)
class Judged:
    """One method on one task.

    Attributes:
        task: name of the task.
        encoder: name of the encoder.
        head: name of the slide model or of the probe.
        fraction: share of the training patients, as written in the predictions; empty for patch tasks.
        classes: the classes, empty for regression.
        figures: estimates by name: `auc` (macro), `balanced_accuracy` and `auc_<class>`, or the regression figures.
        differences: figure minus the control's on the same resamples; empty without a control.
        control: the encoder that it was compared with, or empty.
        folds: macro AUC of each fold in which it is defined; empty for patch tasks.
        rows: number of slides or patches.
        clusters: number of patients, or of patch groups.
        seen: how many of the tested patients (or groups) the encoder was trained on, and how many there are; None
            where it is not known.
        stain: how the colours of the data were normalised, such as `macenko -> none` for training and test.
    """

    task: str
    encoder: str
    head: str
    fraction: str
    classes: tuple[str, ...]
    figures: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    control: str
    folds: tuple[float, ...]
    rows: int
    clusters: int
    seen: tuple[int, int] | None
    stain: str


@dataclass(frozen=True)
class Kind:
    """The columns of one kind of prediction file; a method is named by task, encoder, `head` and `fraction`."""

    head: str
    fraction: bool
    key: tuple[str, ...]
    cluster: str
    truth: str

    @property
    def identity(self) -> tuple[str, ...]:
        """Columns that name a method."""
        return ("task", "encoder", self.head) + (("fraction",) if self.fraction else ())


KINDS = {
    "slide": Kind("model", True, ("repeat", "fold", "seed", "slide"), "patient", "label"),
    "classification": Kind("probe", False, ("fold", "path"), "group", "label"),
    "regression": Kind("probe", False, ("fold", "path"), "group", "target"),
}


def judge(
    paths: Sequence[Path],
    kind: str,
    controls: Mapping[str, str],
    resampling: Resampling,
    seen: Mapping[str, frozenset[str] | None] = MappingProxyType({}),
    stains: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> list[Judged]:
    """Judge every method in the prediction files.

    Args:
        paths: prediction files of one kind.
        kind: `slide`, `classification` or `regression`.
        controls: the control of each encoder that has one, such as the same network untrained. A task that does not
            evaluate the control shows no difference.
        resampling: how intervals are computed.
        seen: the patients whose slides each encoder was trained on, None or absent where that is not known.
        stains: the stain normalisation of the data, by task and encoder; none where absent.

    Returns:
        One entry a method, in the order of the files, larger training fractions first.

    Raises:
        UserError: a control was tested on other slides or patches.
    """
    columns = KINDS[kind]
    methods = read_predictions(paths, columns.identity, columns.key)
    names: dict[tuple[str, ...], list[str]] = {}
    values: dict[tuple[str, ...], Floats] = {}
    samples: dict[tuple[str, ...], Floats] = {}
    for identity, rows in methods.items():
        names[identity], figures = regression_figures(rows) if kind == "regression" else class_figures(rows)
        values[identity] = figures(metrics.ones(len(rows)))[0]
        samples[identity] = cluster_bootstrap(
            figures, clusters_of(rows, columns.cluster), resampling.resamples, resampling.seed
        )

    def estimates(identity: tuple[str, ...], value: Floats, sampled: Floats) -> dict[str, Estimate]:
        intervals = [percentile_interval(column, resampling.level) for column in sampled.T]
        return {
            name: Estimate(float(figure), *interval)
            for name, figure, interval in zip(names[identity], value, intervals, strict=True)
        }

    judged = []
    for identity, rows in methods.items():
        task, encoder, head, *fraction = identity
        control, differences = controls.get(encoder, ""), {}
        other = (task, control, head, *fraction)
        if other in methods:
            check_paired(identity, rows, other, methods[other], columns)
            differences = estimates(identity, values[identity] - values[other], samples[identity] - samples[other])
        judged.append(
            Judged(
                task,
                encoder,
                head,
                fraction[0] if fraction else "",
                tuple(class_names(rows)),
                estimates(identity, values[identity], samples[identity]),
                differences,
                control if differences else "",
                fold_aucs(rows) if kind == "slide" else (),
                len({row[columns.key[-1]] for row in rows}),
                len(set(clusters_of(rows, columns.cluster))),
                count_seen([row[columns.cluster] for row in rows], seen.get(encoder)),
                stains.get(task, {}).get(encoder, "none"),
            )
        )
    place = {name: index for index, name in enumerate(dict.fromkeys(method.task for method in judged))}
    return sorted(judged, key=lambda method: (place[method.task], -float(method.fraction or 1)))


def check_paired(
    identity: tuple[str, ...], rows: list[Row], other: tuple[str, ...], other_rows: list[Row], columns: Kind
) -> None:
    """Raise `UserError` unless the control was tested on the same rows with the same truth."""
    what = " ".join(identity)
    compared = (*columns.key, columns.cluster, columns.truth)
    if [[row[name] for name in compared] for row in rows] != [[row[name] for name in compared] for row in other_rows]:
        raise UserError(
            f"'{what}' and its control '{other[1]}' were not tested on the same rows; compute both from the same "
            f"splits and data set"
        )


def clusters_of(rows: Sequence[Row], column: str) -> list[str]:
    """Cluster of each row; a patch without a group is a cluster of its own."""
    return [f"group {row[column]}" if row[column] else f"patch {row['path']}" for row in rows]


def class_figures(rows: Sequence[Row]) -> tuple[list[str], Callable[[Floats], Floats]]:
    """Names of the classification figures of some predictions, and a function from weights to the figures.

    Predictions of different folds or seeds come from different models and are not compared with each other. Classes
    that no row has are left out of the means.
    """
    classes = class_names(rows)
    labels, probabilities = class_arrays(rows, classes)
    strata = np.unique([f"{row.get('repeat')} {row['fold']} {row.get('seed')}" for row in rows], return_inverse=True)[1]
    alone = metrics.ones(len(rows))
    ranked = ~np.isnan(metrics.class_aucs(labels, probabilities, alone, strata)[0])
    present = np.isin(np.arange(len(classes)), labels)

    def figures(weights: Floats) -> Floats:
        aucs = metrics.class_aucs(labels, probabilities, weights, strata)
        recalls = metrics.recalls(labels, probabilities, weights)
        return np.column_stack([mean(aucs[:, ranked]), mean(recalls[:, present]), aucs])

    return [MACRO_AUC, BALANCED_ACCURACY, *(f"auc[{name}]" for name in classes)], figures


def class_arrays(rows: Sequence[Row], classes: Sequence[str]) -> tuple[metrics.Integers, Floats]:
    """Class indices (n,) and probabilities (n, classes) of predictions."""
    index = {name: position for position, name in enumerate(classes)}
    probabilities = [[float(row[PROBABILITY + name]) for name in classes] for row in rows]
    return np.array([index[row["label"]] for row in rows]), np.array(probabilities)


def regression_figures(rows: Sequence[Row]) -> tuple[list[str], Callable[[Floats], Floats]]:
    """Names of the regression figures of some predictions, and a function from weights to the figures."""
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


def fold_aucs(rows: Sequence[Row]) -> tuple[float, ...]:
    """Macro AUC of each fold, the mean over its seeds; folds whose test set lacks a class are left out."""
    classes = class_names(rows)
    aucs = []
    for fold in sorted({row["fold"] for row in rows}, key=int):
        inside = [row for row in rows if row["fold"] == fold]
        labels, probabilities = class_arrays(inside, classes)
        seeds = np.unique([row["seed"] for row in inside], return_inverse=True)[1]
        aucs.append(float(mean(metrics.class_aucs(labels, probabilities, metrics.ones(len(inside)), seeds))[0]))
    return tuple(value for value in aucs if not np.isnan(value))


def mean(columns: Floats) -> Floats:
    """Mean over the columns, NaN where one is NaN or there is none."""
    return columns.mean(axis=1) if columns.shape[1] else np.full(len(columns), np.nan)
