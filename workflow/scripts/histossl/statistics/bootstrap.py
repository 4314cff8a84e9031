"""Cluster bootstrap: whole patients are drawn, because slides and patches of one patient are not independent."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from histossl.statistics.metrics import Floats, Integers

CELLS_AT_ONCE = 4_000_000  # weights held in memory at a time: 32 MB
LEFT_OUT_AT_MOST = 200  # parts of a jackknife


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
        (R, m) figures, NaN where there is one cluster alone, which tells nothing of how others differ.
    """
    names, of_row = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) < 2:
        return np.full((resamples, figures(np.ones((1, len(of_row)))).shape[1]), np.nan)
    generator, even = np.random.default_rng(seed), np.full(len(names), 1 / len(names))
    # Drawn a piece at a time, which gives what one call would: all at once grow with resamples times clusters.
    pieces = (generator.multinomial(len(names), even, size=size) for size in piece_sizes(resamples, len(of_row)))
    return in_pieces(figures, pieces, of_row)


def cluster_jackknife(figures: Callable[[Floats], Floats], clusters: Sequence[str]) -> Floats:
    """Recompute figures without one cluster each, (clusters, m).

    Of more than 200 clusters, every 200th is left out together: their skewness is told as well by 200 sums, and many
    thousands of figures are saved.

    Args:
        figures: as for `cluster_bootstrap`.
        clusters: (n,) cluster of each row.
    """
    names, of_row = np.unique(np.asarray(clusters), return_inverse=True)
    parts = min(len(names), LEFT_OUT_AT_MOST)
    part_of = np.arange(len(names)) % parts
    ends = np.cumsum(piece_sizes(parts, len(of_row)))
    pieces = (part_of != some[:, None] for some in np.split(np.arange(parts), ends[:-1]))
    return in_pieces(figures, pieces, of_row)


def piece_sizes(resamples: int, rows: int) -> list[int]:
    """How many of the resamples of so many rows are held in memory at a time."""
    step = max(1, CELLS_AT_ONCE // rows)
    return [min(step, resamples - start) for start in range(0, resamples, step)]


def in_pieces(figures: Callable[[Floats], Floats], pieces: Iterable[NDArray[np.generic]], of_row: Integers) -> Floats:
    """Figures (R, m) of how often each cluster was drawn, pieces of (r, clusters); `of_row` is each row's cluster."""
    return np.concatenate([figures(piece[:, of_row].astype(float)) for piece in pieces])


def bca_interval(samples: Floats, value: float, left_out: Floats, level: float) -> tuple[float, float]:
    """The bias-corrected and accelerated interval of Efron (1987), for figures with a bound such as an AUC.

    Its ends are percentiles of the samples, moved by how far `value` lies from their median and by how the standard
    error changes with the figure, which the skewness of the jackknife tells. NaN samples are set aside.

    Args:
        samples: (R,) the figure of each resample.
        value: the figure itself.
        left_out: the figure without each cluster.
        level: such as 0.95.

    Returns:
        Both ends; (NaN, NaN) where fewer than half of the samples are defined.
    """
    defined = samples[~np.isnan(samples)]
    if 2 * len(defined) < len(samples) or not len(defined):
        return float("nan"), float("nan")
    below = (defined < value).mean() + (defined == value).mean() / 2
    shift = norm.ppf(np.clip(below, 1 / len(defined), 1 - 1 / len(defined)))
    pull = np.nanmean(left_out) - left_out[~np.isnan(left_out)] if not np.isnan(left_out).all() else np.zeros(1)
    squares = (pull**2).sum()
    skewness = (pull**3).sum() / (6 * squares**1.5) if squares else 0.0
    ends = shift + norm.ppf([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(defined, norm.cdf(shift + ends / (1 - skewness * ends)))
    return float(low), float(high)


def percentile_interval(samples: Floats, level: float) -> tuple[float, float]:
    """The central `level` of the samples, NaN samples aside; (NaN, NaN) where fewer than half are defined."""
    defined = samples[~np.isnan(samples)]
    if 2 * len(defined) < len(samples) or not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
