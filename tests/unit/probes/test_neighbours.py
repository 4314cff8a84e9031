import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from histossl.probes import neighbours
from histossl.probes.neighbours import nearest


def exact(points, queries, k, metric):
    """Neighbours by float64 distances, all of them, equal ones in the order of the points."""
    points, queries = points.astype(np.float64), queries.astype(np.float64)
    if metric == "cosine":
        lengths = [np.sqrt((side**2).sum(1)) for side in (queries, points)]
        inverse = [np.divide(1, length, out=np.zeros_like(length), where=length > 0) for length in lengths]
        distances = 1 - np.einsum("qd,nd->qn", queries, points) * inverse[0][:, None] * inverse[1]
    else:
        distances = np.sqrt(((queries[:, None] - points) ** 2).sum(2))
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


def draw(kind, count, features, rng):
    features = rng.normal(size=(count, features))
    if kind == "alike":  # a collapsed encoder: all features within a thousandth of each other
        return (100 + features * 0.1).astype(np.float32)
    if kind == "outlier":
        features[0] *= 1e4
    return features.astype(np.float32)


@pytest.fixture(params=[(2048, 2048), (7, 16)], ids=["whole", "pieces"])
def blocks(request, monkeypatch):
    monkeypatch.setattr(neighbours, "QUERIES", request.param[0])
    monkeypatch.setattr(neighbours, "POINTS", request.param[1])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("kind", ["spread", "alike", "outlier"])
@pytest.mark.parametrize("k", [1, 5, 20, 83])
def test_neighbours_are_those_of_float64(blocks, metric, kind, k):
    rng = np.random.default_rng(k)
    points, queries = draw(kind, 83, 33, rng), draw(kind, 29, 33, rng)
    index, distance = nearest(points, queries, k, metric)
    expected, distances = exact(points, queries, k, metric)
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_allclose(distance, distances, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_they_are_scikit_learns(metric):
    rng = np.random.default_rng(0)
    points, queries = draw("spread", 5000, 64, rng), draw("spread", 500, 64, rng)
    index, distance = nearest(points, queries, 20, metric)
    search = NearestNeighbors(n_neighbors=20, metric=metric, algorithm="brute").fit(points.astype(np.float64))
    distances, expected = search.kneighbors(queries.astype(np.float64))
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_allclose(distance, distances, atol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_of_equal_points_the_first_are_taken(blocks, metric, monkeypatch):
    monkeypatch.setattr(neighbours, "MOST_CANDIDATES", 50)
    points = np.repeat(np.eye(3, dtype=np.float32), 40, axis=0)[np.random.default_rng(1).permutation(120)]
    index, distance = nearest(points, np.eye(3, dtype=np.float32), 4, metric)
    assert index.tolist() == [np.flatnonzero(points[:, axis])[:4].tolist() for axis in range(3)]
    np.testing.assert_allclose(distance, 0, atol=1e-12)
    index, _ = nearest(np.ones((90, 3), np.float32), np.ones((20, 3), np.float32), 4, metric)
    assert index.tolist() == [[0, 1, 2, 3]] * 20


def test_vectors_of_length_zero_are_at_a_right_angle_to_all(blocks):
    points = np.array([[1, 0], [0, 0], [-1, 0.1], [0.2, 1]], np.float32)
    index, distance = nearest(points, np.array([[1, 0], [0, 0]], np.float32), 4, "cosine")
    assert index.tolist() == [[0, 3, 1, 2], [0, 1, 2, 3]]
    np.testing.assert_allclose(distance[:, 2], 1)


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(neighbours, "QUERIES", 16)
    rng = np.random.default_rng(0)
    points, queries = draw("spread", 300, 20, rng), draw("spread", 100, 20, rng)
    one, several = (nearest(points, queries, 5, "euclidean", threads) for threads in (1, 3))
    for a, b in zip(one, several, strict=True):
        np.testing.assert_array_equal(a, b)
