"""Every probe by its name in the configuration: what it writes for each test patch, and what it says."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from histossl.probes.knn import knn_probabilities, weighted_knn_probabilities
from histossl.probes.linear import linear_predictions, ridge_predictions
from histossl.probes.logistic import logistic_probabilities
from histossl.probes.patches import Patches
from histossl.probes.retrieval import FIGURES, retrieval_figures
from histossl.probes.simpleshot import simpleshot_votes
from histossl.tables.predictions import PROBABILITY

Floats = NDArray[np.float64]
Settings = Mapping[str, Any]


class Predicted(NamedTuple):
    """What a probe predicts of the test patches."""

    columns: list[str]
    """Names of the columns, after that of the truth."""
    values: dict[str, Floats]
    """(N, columns) by the probe's name in the tables."""
    said: list[str]
    """Sentences for the log."""


def predict(probe: str, settings: Settings, train: Patches, test: Patches, threads: int = 1) -> Predicted:
    """Fit a probe on the training patches and predict the test patches.

    Args:
        probe: one of `PROBES`.
        settings: its settings, as in the configuration.
        train: patches with labels, or targets for a regression.
        test: the same.
        threads: threads to compute with; no result depends on it.

    Raises:
        UserError: see the module of the probe.
    """
    return PROBES[probe](settings, train, test, threads)


def _knn(settings: Settings, train: Patches, test: Patches, threads: int) -> Predicted:
    return _classified("knn", *knn_probabilities(train, test, settings["k"], settings["metric"], threads))


def _knn_weighted(settings: Settings, train: Patches, test: Patches, threads: int) -> Predicted:
    k, temperature = settings["k"], settings["temperature"]
    return _classified("knn_weighted", *weighted_knn_probabilities(train, test, k, temperature, threads))


def _logistic(settings: Settings, train: Patches, test: Patches, threads: int) -> Predicted:
    fit = logistic_probabilities(train, test, **settings, threads=threads)
    said = [f"C = {fit.C:g}{_chosen(fit.C, fit.losses, 'log loss')}"]
    if not fit.converged:
        said.append(f"LBFGS had not converged after {settings['max_iterations']} iterations; raise max_iterations")
    return _classified("logistic", fit.classes, fit.probabilities, said)


def _simpleshot(settings: Settings, train: Patches, test: Patches, threads: int) -> Predicted:
    columns: list[str] = []
    values, said = {}, []
    for shots in settings["shots"]:
        drawn = simpleshot_votes(train, test, shots, settings["episodes"], settings["seed"])
        columns = [PROBABILITY + name for name in drawn.classes]
        name = f"simpleshot {shots}-shot"
        values[name] = drawn.votes
        found = drawn.balanced_accuracies
        spread = f", SD {found.std(ddof=1):.4f}" if len(found) > 1 else ""
        said.append(f"{name}: balanced accuracy {found.mean():.4f}{spread} over {len(found)} episodes")
    return Predicted(columns, values, said)


def _retrieval(settings: Settings, train: Patches, test: Patches, threads: int) -> Predicted:
    return Predicted(list(FIGURES), {"retrieval": retrieval_figures(train, test, threads)}, [])


def _linear(settings: Settings, train: Patches, test: Patches, threads: int) -> Predicted:
    return Predicted(["prediction"], {"linear": linear_predictions(train, test)[:, None]}, [])


def _ridge(settings: Settings, train: Patches, test: Patches, threads: int) -> Predicted:
    fit = ridge_predictions(train, test, **settings)
    said = [f"penalty = {fit.penalty:g}{_chosen(fit.penalty, fit.errors, 'mean squared error')}"]
    return Predicted(["prediction"], {"ridge": fit.predictions[:, None]}, said)


def _classified(probe: str, classes: list[str], probabilities: Floats, said: list[str] | None = None) -> Predicted:
    return Predicted([PROBABILITY + name for name in classes], {probe: probabilities}, said or [])


def _chosen(value: float, scores: Mapping[float, float], figure: str) -> str:
    if not scores:
        return ""
    low, high = min(scores), max(scores)
    edge = ", the end of the grid" if value in (low, high) else ""
    return f" of {low:g} to {high:g}{edge} (out-of-fold {figure} {scores[value]:.4f})"


PROBES: dict[str, Callable[[Settings, Patches, Patches, int], Predicted]] = {
    "knn": _knn,
    "knn_weighted": _knn_weighted,
    "logistic": _logistic,
    "simpleshot": _simpleshot,
    "retrieval": _retrieval,
    "linear": _linear,
    "ridge": _ridge,
}
REGRESSIONS = ("linear", "ridge")
"""Those that predict targets; the others need labels."""
