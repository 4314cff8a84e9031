import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity

from histossl.errors import UserError
from histossl.probes.retrieval import average_precisions, majority, retrieval_figures


def test_figures_follow_the_ranking_by_cosine(train, test):
    found = retrieval_figures(train, test, threads=2)
    similarity = cosine_similarity(test.features.astype(float), train.features.astype(float))
    for row, own, label in zip(found, similarity, test.label, strict=True):
        right = train.label[np.argsort(-own)] == label
        assert row[:3].tolist() == [right[0], right[:3].any(), right[:5].any()]
        assert right[:5].sum() < 3 or row[3] == 1
        assert row[4] == pytest.approx(average_precision_score(train.label == label, own))
    assert ((found >= 0) & (found <= 1)).all()


def test_equal_similarities_share_a_place():
    points = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1], [1, 0]])
    labels, queries = np.array([0, 1, 0, 1, 1]), np.array([[1.0, 0], [0.6, 0.8]])
    found = average_precisions(points, queries, labels, np.array([0, 1]))
    expected = [average_precision_score(labels == own, queries[own] @ points.T) for own in (0, 1)]
    np.testing.assert_allclose(found, expected)


def test_of_equally_common_classes_the_nearer_wins():
    assert majority(np.array([[2, 1, 1, 2, 0], [0, 1, 1, 2, 1], [0, 1, 2, 3, 4]])).tolist() == [2, 1, 0]


def test_too_few_patches_to_retrieve_are_refused(train, test):
    few = train.where(np.isin(np.arange(160), [np.flatnonzero(train.label == name)[0] for name in set(train.label)]))
    with pytest.raises(UserError, match="3 training patches to retrieve from; 5 are needed"):
        retrieval_figures(few, test)


def test_equal_patches_share_a_place_wherever_they_stand():
    rng = np.random.default_rng(0)
    points = np.repeat(rng.normal(size=(60, 513)), 5, axis=0)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    labels, queries = rng.integers(0, 2, 300), rng.normal(size=(40, 513))
    order, asked = rng.permutation(300), np.arange(40) % 2
    found = average_precisions(points, queries, labels, asked)
    assert (average_precisions(points[order], queries, labels[order], asked) == found).all()
