"""Cluster bootstrap: whole patients are drawn, because slides and patches of one patient are not independent."""

from collections.abc import Callable, Sequence

import numpy as np

from histossl.statistics.metrics import Floats

CELLS_AT_ONCE = 4_000_000  # weights held in memory at a time: 32 MB


def cluster_bootstrap(
    figures: Callable[[Floats], Floats], clusters: Sequence[str], resamples: int, seed: int
) -> Floats:
    """Recompute figures on resamples of the clusters, drawn with replacement (Field and Welsh 2007).

    The draws depend on the seed and on the number of clusters alone, and clusters are taken in the order of their
    names: two calls over the same clusters see the same resamples, so the difference of their results is paired.

    Args:
        figures: maps weights (r, n), how often each row was drawn, to figures (r, m).
        clusters: (n,) cluster of each row.
        resamples: number of resamples R.
        seed: same seed, same draws.

    Returns:
        (R, m) figures.
    """
    names, of_row = np.unique(np.asarray(clusters), return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    step = max(1, CELLS_AT_ONCE // len(of_row))
    return np.concatenate(
        [figures(draws[start : start + step][:, of_row].astype(float)) for start in range(0, resamples, step)]
    )


def percentile_interval(samples: Floats, level: float) -> tuple[float, float]:
    """The central `level` of the samples, NaN samples aside; (NaN, NaN) where fewer than half are defined."""
    defined = samples[~np.isnan(samples)]
    if 2 * len(defined) < len(samples) or not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
