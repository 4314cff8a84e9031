"""What tests of cross-validated AUCs leave out: that a patient's label also trained the heads that judge others.

    python benchmarks/shared_training.py [--runs 1000]

The patients of fold 1 train the head that is tested on fold 2, and the other way round. Under shuffled labels both
folds' AUCs are moved by the same product of labels, so that the AUC varies with up to twice the variance that scores
of a fixed distribution have (DeLong's, and the bootstrap's). The larger the AUC, the less single labels matter.

One row a patient, two classes, two encoders with noise of their own and the same true AUC, a classifier that takes the
difference of the class means: microseconds, where attention heads take seconds. Printed are the true variance as a
multiple of DeLong's, of the AUC and of the difference, and how often tests find a difference where there is none
(p < 0.05): DeLong's as it is, with twice the variance, and the corrected resampled t over folds.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))

from histossl.statistics import delong, metrics
from histossl.statistics.resampled_t import corrected_resampled_t
from histossl.statistics.tested import student

COHORTS = ((48, 3), (100, 5), (200, 10))  # patients, folds
SIGNALS = (0.0, 1.0, 2.0, 3.5)  # distance of the classes, standard deviations
FEATURES = 24
NOISE = 0.7  # of an encoder


class Outcome(NamedTuple):
    """One data set: what DeLong's method says of one encoder and of two, and p of the tests."""

    auc: float
    variance: float
    difference: float
    its_variance: float
    naive: float
    doubled: float
    over_folds: float


def draw(patients: int, folds: int, signal: float, rng: np.random.Generator) -> Outcome:
    """Draw patients, cross-validate two encoders on them, and test whether they differ."""
    labels, fold = np.arange(patients) % 2, np.empty(patients, np.int64)
    for label in (0, 1):
        fold[rng.permutation(np.flatnonzero(labels == label))] = np.arange((labels == label).sum()) % folds
    seen = rng.normal(size=(patients, FEATURES))
    seen[:, 0] += signal * (labels - 0.5)
    scores = [cross_validated(seen + NOISE * rng.normal(size=seen.shape), labels, fold, folds) for _ in range(2)]
    clusters = np.arange(patients)
    auc, added = delong.influences(labels, scores[0], fold)
    tested = delong.compare(labels, *scores, clusters, fold)
    members = (fold == np.arange(folds)[:, None]).astype(float)
    first, second = (metrics.auc(labels == 1, each[:, 1], members) for each in scores)
    return Outcome(
        auc,
        delong.variance(added, labels, clusters)[0],
        tested.difference,
        tested.standard_error**2,
        tested.p,
        student(tested.difference, 2 * tested.standard_error**2, tested.degrees).p,
        corrected_resampled_t(first - second, 1 / (folds - 1)).p,
    )


def cross_validated(features: np.ndarray, labels: np.ndarray, fold: np.ndarray, folds: int) -> np.ndarray:
    """Scores (n, 2) of each patient by the difference of the class means of the other folds."""
    score = np.empty(len(labels))
    for number in range(folds):
        others = fold != number
        means = [features[others & (labels == label)].mean(axis=0) for label in (0, 1)]
        score[~others] = features[~others] @ (means[1] - means[0])
    return np.column_stack([-score, score])


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each cohort and signal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args(argv).runs
    print("patients folds   AUC  variance/DeLong's: AUC, difference   p < 0.05: DeLong  doubled  folds", flush=True)
    for patients, folds in COHORTS:
        for signal in SIGNALS:
            rng = np.random.default_rng([patients, int(10 * signal)])
            found = np.array([draw(patients, folds, signal, rng) for _ in range(runs)])
            auc, variance, difference, its_variance, *p = found.T
            print(
                f"{patients:8d} {folds:5d} {auc.mean():5.3f} {auc.var() / variance.mean():22.2f}"
                f"{difference.var() / its_variance.mean():12.2f}"
                f"{(p[0] < 0.05).mean():20.1%}{(p[1] < 0.05).mean():9.1%}{(p[2] < 0.05).mean():7.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
