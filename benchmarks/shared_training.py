"""What tests of cross-validated AUCs leave out: that a patient's label also trained the heads that judge others.

    python benchmarks/shared_training.py [--runs 1000] [--processes 2]

The patients of fold 1 train the head that is tested on fold 2, and the other way round. Under shuffled labels both
folds' AUCs are moved by the same product of labels, so that the AUC varies with up to twice the variance that scores
of given models have (DeLong's, and the bootstrap's). The larger the AUC, the less single labels matter. The tables
double the variance (`histossl.statistics.shared_training`).

One row a patient, two classes, two encoders with noise of their own and the same true AUC, a classifier that takes the
difference of the class means, trained on all or on a quarter of the other folds' patients: microseconds, where
attention heads take seconds. Printed are

* the true variance as a multiple of DeLong's, of the AUC and of the difference;
* how often BCa intervals of 95% cover the true AUC, as they are and with the variance doubled;
* how often tests find a difference where there is none (p < 0.05): DeLong's as it is, with twice the variance, and the
  corrected resampled t over folds;
* how often they find that the second encoder is worse, when its noise is twice as large.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))

from histossl.statistics import delong, metrics
from histossl.statistics.bootstrap import bca_interval, cluster_bootstrap, cluster_jackknife
from histossl.statistics.resampled_t import corrected_resampled_t
from histossl.statistics.shared_training import OF_CROSS_VALIDATION, widened

COHORTS = ((48, 3), (100, 5), (200, 10))  # patients, folds
FRACTIONS = (1.0, 0.25)  # of the other folds' patients that train
SIGNALS = (0.0, 1.0, 2.0, 3.5)  # distance of the classes, standard deviations
FEATURES = 24
NOISE = 0.7  # of an encoder
LEVEL = 0.95
RESAMPLES = 1000


class Design(NamedTuple):
    """How data sets are drawn."""

    cohort: tuple[int, int]
    fraction: float
    signal: float


class DataSet(NamedTuple):
    """Labels and folds of the patients (n,), and the scores (n, 2) of two encoders."""

    labels: np.ndarray
    fold: np.ndarray
    scores: tuple[np.ndarray, np.ndarray]


def draw(design: Design, second_noise: float, rng: np.random.Generator) -> DataSet:
    """Draw patients and cross-validate two encoders on them."""
    patients, folds = design.cohort
    labels, fold = np.arange(patients) % 2, np.empty(patients, np.int64)
    for label in (0, 1):
        fold[rng.permutation(np.flatnonzero(labels == label))] = np.arange((labels == label).sum()) % folds
    trains = [training_set(labels, fold, number, design.fraction, rng) for number in range(folds)]
    seen = rng.normal(size=(patients, FEATURES))
    seen[:, 0] += design.signal * (labels - 0.5)
    first, second = (
        cross_validated(seen + noise * rng.normal(size=seen.shape), labels, fold, trains)
        for noise in (NOISE, second_noise)
    )
    return DataSet(labels, fold, (first, second))


def training_set(
    labels: np.ndarray, fold: np.ndarray, number: int, fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Which patients train for a fold: (n,), the same share of both classes."""
    chosen = np.zeros(len(labels), bool)
    for label in (0, 1):
        others = rng.permutation(np.flatnonzero((fold != number) & (labels == label)))
        chosen[others[: max(1, round(fraction * len(others)))]] = True
    return chosen


def cross_validated(
    features: np.ndarray, labels: np.ndarray, fold: np.ndarray, trains: Sequence[np.ndarray]
) -> np.ndarray:
    """Scores (n, 2) of each patient by the difference of the class means of those who train for the fold."""
    score = np.empty(len(labels))
    for number, chosen in enumerate(trains):
        means = [features[chosen & (labels == label)].mean(axis=0) for label in (0, 1)]
        score[fold == number] = features[fold == number] @ (means[1] - means[0])
    return np.column_stack([-score, score])


def judge_pair(data: DataSet, fraction: float) -> tuple[float, float, float, float, float]:
    """Difference, DeLong's variance of it, and p by DeLong's test, with the variance doubled, and over folds."""
    labels, fold, scores = data
    clusters, folds = np.arange(len(labels)), np.unique(fold)
    tested, doubled = (delong.compare(labels, *scores, clusters, fold, factor) for factor in (1.0, OF_CROSS_VALIDATION))
    members = (fold == folds[:, None]).astype(float)
    first, second = (metrics.auc(labels == 1, each[:, 1], members) for each in scores)
    over_folds = corrected_resampled_t(first - second, 1 / (len(folds) - 1) / fraction)
    return tested.difference, tested.standard_error**2, tested.p, doubled.p, over_folds.p


def intervals(data: DataSet, seed: int) -> list[tuple[float, float]]:
    """The first encoder's BCa intervals, as they are and with the variance doubled."""
    labels, fold, (scores, _) = data
    clusters = [f"{patient:06d}" for patient in range(len(labels))]

    def figures(weights: np.ndarray) -> np.ndarray:
        return metrics.class_aucs(labels, scores, weights, fold).mean(axis=1)[:, None]

    value = float(figures(metrics.ones(len(labels)))[0, 0])
    samples = cluster_bootstrap(figures, clusters, RESAMPLES, seed)[:, 0]
    left_out = cluster_jackknife(figures, clusters)[:, 0]
    return [bca_interval(samples, value, left_out, level) for level in (LEVEL, widened(LEVEL, OF_CROSS_VALIDATION))]


def simulate(design: Design, runs: int) -> str:
    """A line of the table."""
    rng = np.random.default_rng([design.cohort[0], int(10 * design.signal)])
    equal = [draw(design, NOISE, rng) for _ in range(runs)]
    influences = [delong.influences(data.labels, data.scores[0], data.fold) for data in equal]
    clusters = np.arange(design.cohort[0])
    aucs = np.array([auc for auc, _ in influences])
    variances = [
        delong.variance(added, data.labels, clusters)[0] for data, (_, added) in zip(equal, influences, strict=True)
    ]
    ends = np.array([intervals(data, seed) for seed, data in enumerate(equal)])
    covered = ((ends[..., 0] <= aucs.mean()) & (aucs.mean() <= ends[..., 1])).mean(axis=0)
    difference, its_variance, *p = np.array([judge_pair(data, design.fraction) for data in equal]).T
    worse = np.array([judge_pair(draw(design, 2 * NOISE, rng), design.fraction) for _ in range(runs)]).T[2:]
    patients, folds = design.cohort
    shares = (*covered, *((q < 1 - LEVEL).mean() for q in p), *((q < 1 - LEVEL).mean() for q in worse))
    return (
        f"{patients:8d} {folds:5d} {design.fraction:8.0%} {aucs.mean():6.2f} {aucs.var() / np.mean(variances):8.2f} "
        f"{difference.var() / its_variance.mean():10.2f}" + "".join(f"{share:9.1%}" for share in shares)
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each cohort, fraction and signal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args(argv)
    print(" " * 30 + "variance / DeLong's      covers            finds none            finds the worse")
    print(
        "patients folds fraction    AUC      AUC difference      BCa  doubled" + "   DeLong  doubled    folds" * 2,
        flush=True,
    )
    designs = [Design(*parts) for parts in product(COHORTS, FRACTIONS, SIGNALS)]
    with ProcessPoolExecutor(arguments.processes) as pool:
        for line in pool.map(partial(simulate, runs=arguments.runs), designs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
