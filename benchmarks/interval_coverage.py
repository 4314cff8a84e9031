"""Do 95% intervals cover what they should, and do tests of two equal methods find a difference in 5% of data sets?

    python benchmarks/interval_coverage.py [--runs 1000] [--resamples 1000] [--processes 2]

Data sets are drawn of which the true macro AUC is known: patients of one to three slides, whose scores go together,
tested in five folds, each with a scale and an offset of its own; two methods with the same true AUC, whose scores are
correlated. Each line is one kind of data set: number of patients, classes, share of the second class, true AUC; then in
how many per cent of the data sets

* the intervals of the AUC cover it: BCa (which the tables print), percentiles, and DeLong on the logit scale;
* the percentile interval of the difference covers 0 (which the tables print), and the BCa interval;
* tests at 5% find a difference: DeLong with Student's t (which the tables use for the AUC), DeLong with the normal
  distribution, Student's t of the bootstrap's standard error (which they use for other figures), percentiles of the
  bootstrap, and the corrected resampled t over the folds.

With 1000 data sets the standard error of 95% is 0.7 points.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))

import numpy as np
from scipy.stats import norm, t

from histossl.statistics import delong, metrics
from histossl.statistics.bootstrap import bca_interval, cluster_bootstrap, cluster_jackknife, percentile_interval
from histossl.statistics.metrics import Floats, Integers
from histossl.statistics.resampled_t import corrected_resampled_t
from histossl.statistics.tested import student

FOLDS = 5
SAME_PATIENT = 0.5  # share of the variance of scores that a patient's slides have in common
SAME_SLIDE = 0.5  # share that two methods have in common
LEVEL = 0.95

COVERED = ("BCa", "percentile", "logit DeLong", "difference", "difference BCa")
FOUND = ("DeLong t", "DeLong z", "bootstrap t", "bootstrap", "folds")


class Design(NamedTuple):
    """How data sets are drawn."""

    patients: int
    classes: int
    share: float
    auc: float


DESIGNS = [
    Design(patients, *others)
    for patients in (20, 40, 60, 100, 150)
    for others in ((2, 0.5, 0.8), (2, 0.25, 0.8), (2, 0.5, 0.95), (3, 1 / 3, 0.8))
]


class DataSet(NamedTuple):
    """Scores of two methods for n slides: labels (n,), scores 2 x (n, classes), fold and patient of each slide (n,)."""

    labels: Integers
    scores: tuple[Floats, Floats]
    folds: Integers
    patients: Integers


def draw(design: Design, rng: np.random.Generator) -> DataSet:
    """Draw a data set; patients of a class are dealt to the folds evenly."""
    count, classes = design.patients, design.classes
    of_patient = np.arange(count) % classes if classes > 2 else (np.arange(count) < round(count * design.share)) * 1
    fold = np.empty(count, np.int64)
    for label in range(classes):
        same = np.flatnonzero(of_patient == label)
        fold[same] = (np.arange(len(same)) + rng.integers(FOLDS)) % FOLDS
    patients = np.repeat(np.arange(count), rng.integers(1, 4, count))
    labels, folds = of_patient[patients], fold[patients]
    own = labels[:, None] == np.arange(classes)
    signal = math.sqrt(2) * norm.ppf(design.auc) * own

    def noise() -> Floats:
        whole = rng.normal(size=(count, classes))[patients]
        return math.sqrt(SAME_PATIENT) * whole + math.sqrt(1 - SAME_PATIENT) * rng.normal(size=own.shape)

    shared = noise()

    def score() -> Floats:
        scores = signal + math.sqrt(SAME_SLIDE) * shared + math.sqrt(1 - SAME_SLIDE) * noise()
        if classes == 2:  # as probabilities do, the two say the same
            scores = np.column_stack([-scores[:, 1], scores[:, 1]])
        return scores * (1 + folds[:, None] / 2) + 3 * folds[:, None]

    return DataSet(labels, (score(), score()), folds, patients)


def judge(data: DataSet, truth: float, resamples: int, seed: int) -> Iterator[str]:
    """The intervals of `COVERED` that cover the truth and the tests of `FOUND` that find a difference."""
    labels, scores, folds, patients = data

    def figures(weights: Floats) -> Floats:
        return np.column_stack([metrics.class_aucs(labels, one, weights, folds).mean(axis=1) for one in scores])

    clusters = [f"{patient:06d}" for patient in patients]
    (first, second), samples = (
        figures(metrics.ones(len(labels)))[0],
        cluster_bootstrap(figures, clusters, resamples, seed),
    )
    left_out = cluster_jackknife(figures, clusters)
    between, without = samples[:, 0] - samples[:, 1], left_out[:, 0] - left_out[:, 1]
    intervals = {
        "BCa": bca_interval(samples[:, 0], first, left_out[:, 0], LEVEL),
        "percentile": percentile_interval(samples[:, 0], LEVEL),
        "logit DeLong": logit_interval(data),
    }
    yield from (name for name, (low, high) in intervals.items() if low <= truth <= high)
    intervals = {
        "difference": percentile_interval(between, LEVEL),
        "difference BCa": bca_interval(between, first - second, without, LEVEL),
    }
    yield from (name for name, (low, high) in intervals.items() if low <= 0 <= high)

    tested = delong.compare(labels, *scores, patients, folds)
    defined = between[~np.isnan(between)]
    beyond = 1 + min((defined <= 0).sum(), (defined >= 0).sum())
    aucs = figures((folds == np.arange(FOLDS)[:, None]).astype(float))
    over_folds = aucs[:, 0] - aucs[:, 1]
    p = {
        "DeLong t": tested.p,
        "DeLong z": 2 * norm.sf(abs(tested.difference) / tested.standard_error) if tested.standard_error else 1,
        "bootstrap t": student(first - second, float(defined.var(ddof=1)), len(set(clusters)) - 1).p,
        "bootstrap": min(1, 2 * beyond / (len(defined) + 1)),
        "folds": corrected_resampled_t(over_folds[~np.isnan(over_folds)], 1 / (FOLDS - 1)).p,
    }
    yield from (name for name, value in p.items() if value < 1 - LEVEL)


def logit_interval(data: DataSet) -> tuple[float, float]:
    """Student's interval of the first method's AUC by DeLong's standard error, on the logit scale."""
    auc, added = delong.influences(data.labels, data.scores[0], data.folds)
    if not 0 < auc < 1:
        return auc, auc
    variance, degrees = delong.variance(added, data.labels, data.patients)
    reach = t.ppf((1 + LEVEL) / 2, degrees) * math.sqrt(variance) / (auc * (1 - auc))
    centre = math.log(auc / (1 - auc))
    return 1 / (1 + math.exp(reach - centre)), 1 / (1 + math.exp(-reach - centre))


def simulate(design: Design, runs: int, resamples: int) -> dict[str, float]:
    """Share of the data sets for each of `COVERED` and `FOUND`."""
    counts: Counter[str] = Counter()
    for run in range(runs):
        counts.update(judge(draw(design, np.random.default_rng(run)), design.auc, resamples, run))
    return {name: counts[name] / runs for name in (*COVERED, *FOUND)}


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="data sets of each design")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--patients", type=int, nargs="*", help="only designs of so many patients")
    arguments = parser.parse_args(argv)
    designs = [design for design in DESIGNS if design.patients in (arguments.patients or [design.patients])]
    print(f"{'':24s} covered %" + " " * 52 + "found %")
    print(f"{'patients classes share AUC':26s}", *(f"{name:>14s}" for name in (*COVERED, *FOUND)))
    with ProcessPoolExecutor(arguments.processes) as pool:
        job = partial(simulate, runs=arguments.runs, resamples=arguments.resamples)
        for design, shares in zip(designs, pool.map(job, designs), strict=True):
            said = f"{design.patients:8d} {design.classes:7d} {design.share:5.2f} {design.auc:.2f}"
            print(f"{said:26s}", *(f"{100 * share:14.1f}" for share in shares.values()), flush=True)


if __name__ == "__main__":
    main()
