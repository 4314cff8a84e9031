import numpy as np
import pytest
from scipy import stats
from scipy.stats import norm

from histossl.statistics import metrics
from histossl.statistics.bootstrap import bca_interval, cluster_bootstrap, cluster_jackknife, percentile_interval


def test_a_cluster_is_drawn_whole():
    clusters = ["b", "a", "b", "c", "a"]
    drawn = cluster_bootstrap(lambda weights: weights, clusters, 50, 0)
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, 1] == drawn[:, 4]).all()
    assert (drawn[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert len(np.unique(drawn, axis=0)) > 5


def test_the_same_clusters_get_the_same_draws_in_any_order_and_chunking(monkeypatch):
    clusters = np.array([f"p{i % 7}" for i in range(30)])
    order = np.random.default_rng(0).permutation(30)
    drawn = cluster_bootstrap(lambda weights: weights, clusters, 40, 9)
    monkeypatch.setattr("histossl.statistics.bootstrap.CELLS_AT_ONCE", 90)
    assert (cluster_bootstrap(lambda weights: weights, clusters[order], 40, 9) == drawn[:, order]).all()
    assert (cluster_bootstrap(lambda weights: weights, clusters, 40, 10) != drawn).any()


def test_the_interval_holds_the_central_part_and_ignores_undefined_samples():
    samples = np.r_[np.arange(101.0), np.nan]
    assert percentile_interval(samples, 0.9) == pytest.approx((5, 95))
    assert np.isnan(percentile_interval(np.r_[samples[:3], [np.nan] * 4], 0.9)).all()


def test_the_jackknife_leaves_each_cluster_out_once_and_many_together(monkeypatch):
    clusters = ["b", "a", "b", "c", "a"]
    assert cluster_jackknife(lambda weights: weights, clusters).tolist() == [
        [1, 0, 1, 1, 0],
        [0, 1, 0, 1, 1],
        [1, 1, 1, 0, 1],
    ]
    monkeypatch.setattr("histossl.statistics.bootstrap.LEFT_OUT_AT_MOST", 2)
    assert cluster_jackknife(lambda weights: weights, clusters).tolist() == [[1, 0, 1, 0, 0], [0, 1, 0, 1, 1]]


def test_the_bca_interval_is_scipys():
    rng = np.random.default_rng(3)
    values = rng.exponential(size=40)

    def average(weights):
        return (weights @ values / weights.sum(axis=1))[:, None]

    clusters = [f"{row:02d}" for row in range(40)]
    samples, left_out = cluster_bootstrap(average, clusters, 20000, 0), cluster_jackknife(average, clusters)
    reference = stats.bootstrap((values,), np.mean, n_resamples=20000, rng=1, method="BCa", axis=-1)
    ours = bca_interval(samples[:, 0], values.mean(), left_out[:, 0], 0.95)
    assert ours == pytest.approx(tuple(reference.confidence_interval), rel=0.02)
    assert ours != pytest.approx(percentile_interval(samples[:, 0], 0.95), rel=0.02)


def test_the_bca_interval_of_a_figure_that_cannot_vary_is_a_point():
    assert bca_interval(np.ones(100), 1.0, np.ones(10), 0.95) == (1, 1)
    assert np.isnan(bca_interval(np.full(100, np.nan), 1.0, np.ones(10), 0.95)).all()
    undefined = np.r_[np.linspace(0, 1, 90), np.full(10, np.nan)]
    assert np.isfinite(bca_interval(undefined, 0.5, np.r_[np.nan, 0.4, 0.5, 0.6], 0.95)).all()


def covered(figures, truth, simulate, runs=300):
    """Share of simulated data sets whose 95% interval holds the truth."""
    hits = 0
    for run in range(runs):
        data, clusters = simulate(np.random.default_rng(run))
        samples = cluster_bootstrap(lambda weights, data=data: figures(data, weights)[:, None], clusters, 400, run)
        low, high = percentile_interval(samples[:, 0], 0.95)
        hits += low <= truth <= high
    return hits / runs


def test_intervals_cover_the_true_auc():
    def simulate(rng):
        positive = np.arange(120) % 2 == 0
        return (positive, rng.normal(size=120) + positive), [str(row) for row in range(120)]

    # 300 runs of a 95% interval: 91.2% is three standard errors below.
    coverage = covered(lambda data, weights: metrics.auc(*data, weights), norm.cdf(1 / np.sqrt(2)), simulate)
    assert 0.912 <= coverage <= 0.99


def test_intervals_cover_under_clustering_only_if_clusters_are_drawn():
    def simulate(rng, grouped=True):
        patient = np.repeat(np.arange(50), 4)
        error = rng.normal(size=50)[patient] + 0.3 * rng.normal(size=200)
        return (np.zeros(200), error), [str(p if grouped else row) for row, p in enumerate(patient)]

    def figure(data, weights):
        return metrics.mean_squared_error(*data, weights)

    assert covered(figure, 1.09, simulate) >= 0.90
    assert covered(figure, 1.09, lambda rng: simulate(rng, grouped=False)) < 0.75


def test_paired_differences_are_narrower_than_unpaired_ones():
    rng = np.random.default_rng(0)
    target, shared = rng.normal(size=80), rng.normal(size=80)
    first, second = (target + shared + 0.1 * rng.normal(size=80) for _ in range(2))
    clusters = [str(row) for row in range(80)]

    def samples(prediction, seed):
        return cluster_bootstrap(
            lambda weights: metrics.mean_squared_error(target, prediction, weights)[:, None], clusters, 500, seed
        )[:, 0]

    paired = samples(first, 1) - samples(second, 1)
    unpaired = samples(first, 1) - samples(second, 2)
    assert paired.std() < unpaired.std() / 2
    assert paired.mean() == pytest.approx(np.mean((target - first) ** 2 - (target - second) ** 2), abs=0.02)


def test_one_cluster_alone_tells_nothing():
    values = np.arange(4.0)
    samples = cluster_bootstrap(lambda weights: (weights @ values)[:, None], ["a"] * 4, 50, 1)
    assert samples.shape == (50, 1)
    assert np.isnan(bca_interval(samples[:, 0], 1.0, np.array([np.nan]), 0.95)).all()
