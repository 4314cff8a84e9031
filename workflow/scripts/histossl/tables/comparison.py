"""Judge methods by their stored predictions, each with an interval and beside its control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from histossl.errors import UserError
from histossl.statistics import metrics
from histossl.statistics.bootstrap import bca_interval, cluster_bootstrap, cluster_jackknife, percentile_interval
from histossl.statistics.metrics import Floats
from histossl.statistics.shared_training import MORE_RESAMPLES, variance_factor, widened
from histossl.tables.figures import FIGURES, fold_values
from histossl.tables.kinds import KINDS, Kind, clusters_of, folds_of
from histossl.tables.predictions import Row, class_names, read_predictions
from histossl.tables.seen_patients import count_seen


class Estimate(NamedTuple):
    """A figure with its interval; NaN where undefined."""

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
class Measured:
    """What was computed from the predictions of one method.

    Attributes:
        rows: its predictions, sorted by the key of their kind.
        clusters: (n,) patient, or group of patches, of each.
        names: (m,) the figures; methods are compared by the first.
        values: (m,) their values.
        samples: (R, m) those of the resamples, the same for methods with the same clusters.
        folds: (k,) the first figure of each fold of each repeat, NaN where its test set lacks a class.
        variance_factor: how many times their variance over patients alone the figures may have, 2 if cross-validated.
    """

    rows: list[Row]
    clusters: list[str]
    names: list[str]
    values: Floats
    samples: Floats
    folds: Floats
    variance_factor: float


@dataclass(frozen=True)
class Judged:
    """One method on one task.

    Attributes:
        task: name of the task.
        encoder: name of the encoder.
        head: name of the slide model or of the probe.
        fraction: share of the training patients, as written in the predictions; empty for patch tasks.
        classes: the classes that have a probability, empty for regression and retrieval.
        figures: estimates by name (`histossl.tables.figures`); methods are compared by the first.
        differences: figure minus the control's on the same resamples; empty without a control.
        control: the encoder that it was compared with, or empty.
        folds: the first figure of each fold of each repeat in which it is defined.
        folds_left_out: number of the others, whose test set lacks a class.
        rows: number of slides or patches.
        clusters: number of patients, or of patch groups.
        leaked: in how many of the tests of a patient in a fold the patient was in training too, as imported splits may
            have it, and how many there are.
        seen: how many of the tested patients (or groups) the encoder was trained on, and how many there are; None
            where it is not known.
        stain: how the colours of the data were normalised, such as `macenko -> none` for training and test.
        measured: what this was computed from.
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
    folds_left_out: int
    rows: int
    clusters: int
    leaked: tuple[int, int]
    seen: tuple[int, int] | None
    stain: str
    measured: Measured

    @property
    def family(self) -> tuple[str, str, str]:
        """What methods have in common that differ in their encoder alone."""
        return self.task, self.head, self.fraction


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
        kind: one of `KINDS`.
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
    methods = read_predictions(paths, columns.identity, columns.key, (columns.cluster, columns.truth))
    measured: dict[tuple[str, ...], Measured] = {}
    estimates: dict[tuple[str, ...], dict[str, Estimate]] = {}
    for identity, rows in methods.items():
        measured[identity], estimates[identity] = measure(rows, kind, resampling)

    judged = []
    for identity, rows in methods.items():
        task, encoder, head, *fraction = identity
        control, differences = controls.get(encoder, ""), {}
        other = (task, control, head, *fraction)
        if other in methods:
            check_paired(identity, rows, other, methods[other], columns)
            differences = difference(measured[identity], measured[other], resampling)
        folds = measured[identity].folds
        judged.append(
            Judged(
                task=task,
                encoder=encoder,
                head=head,
                fraction=fraction[0] if fraction else "",
                classes=tuple(class_names(rows)),
                figures=estimates[identity],
                differences=differences,
                control=control if differences else "",
                folds=tuple(map(float, folds[~np.isnan(folds)])),
                folds_left_out=int(np.isnan(folds).sum()),
                rows=len({row[columns.key[-1]] for row in rows}),
                clusters=len(set(measured[identity].clusters)),
                leaked=count_leaked(rows, columns.cluster),
                seen=count_seen([row[columns.cluster] for row in rows], seen.get(encoder)),
                stain=stains.get(task, {}).get(encoder, "none"),
                measured=measured[identity],
            )
        )
    place = {name: index for index, name in enumerate(dict.fromkeys(method.task for method in judged))}
    return sorted(judged, key=lambda method: (place[method.task], -float(method.fraction or 1)))


def measure(rows: list[Row], kind: str, resampling: Resampling) -> tuple[Measured, dict[str, Estimate]]:
    """Compute the figures of a method, those of the resamples, and their intervals."""
    names, figures = FIGURES[kind](rows)
    clusters = clusters_of(rows, KINDS[kind].cluster)
    values = figures(metrics.ones(len(rows)))[0]
    factor = variance_factor(clusters, folds_of(rows))
    resamples = resampling.resamples * (MORE_RESAMPLES if factor > 1 else 1)
    samples = cluster_bootstrap(figures, clusters, resamples, resampling.seed)
    left_out = cluster_jackknife(figures, clusters)
    level = widened(resampling.level, factor)
    estimates = {
        name: Estimate(float(values[i]), *bca_interval(samples[:, i], values[i], left_out[:, i], level))
        for i, name in enumerate(names)
    }
    return Measured(rows, clusters, names, values, samples, fold_values(rows, figures), factor), estimates


def difference(first: Measured, second: Measured, resampling: Resampling) -> dict[str, Estimate]:
    """First minus second in every figure, with percentile intervals over the same resamples of the same clusters."""
    between, level = first.samples - second.samples, widened(resampling.level, first.variance_factor)
    return {
        name: Estimate(float(value), *percentile_interval(column, level))
        for name, value, column in zip(first.names, first.values - second.values, between.T, strict=True)
    }


def check_paired(
    identity: tuple[str, ...], rows: list[Row], other: tuple[str, ...], other_rows: list[Row], columns: Kind
) -> None:
    """Raise `UserError` unless two methods were tested on the same rows with the same truth."""
    compared = (*columns.key, columns.cluster, columns.truth)
    if [[row[name] for name in compared] for row in rows] != [[row[name] for name in compared] for row in other_rows]:
        raise UserError(
            f"'{' '.join(identity)}' and '{' '.join(other)}' were not tested on the same rows; compute both from the "
            f"same splits and data set"
        )


def count_leaked(rows: Sequence[Row], cluster: str) -> tuple[int, int]:
    """In how many of the tests of a patient in a fold the patient was in training too, and how many there are."""
    tests: dict[tuple[str, str, str], bool] = {}
    for row in rows:
        test = (row.get("repeat", ""), row["fold"], row[cluster])
        tests[test] = tests.get(test, False) or row.get("leaked", "0") not in ("0", "")
    return sum(tests.values()), len(tests)
