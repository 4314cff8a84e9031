import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from histossl.errors import UserError
from histossl.probes.knn import knn_probabilities, weighted_knn_probabilities
from tests.unit.probes.conftest import LABELS


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_knn_equals_scikit_learns(train, test, metric):
    classes, probabilities = knn_probabilities(train, test, 5, metric)
    probe = KNeighborsClassifier(5, metric=metric).fit(train.features.astype(float), train.label)
    assert classes == probe.classes_.tolist() == LABELS
    np.testing.assert_array_equal(probabilities, probe.predict_proba(test.features.astype(float)))


def test_weighted_knn_is_dinos_formula(train, test):
    classes, probabilities = weighted_knn_probabilities(train, test, 20, 0.07)
    rows, asked = (side.features.astype(np.float64) for side in (train, test))
    cosine = (asked / np.linalg.norm(asked, axis=1)[:, None]) @ (rows / np.linalg.norm(rows, axis=1)[:, None]).T
    for found, own in zip(probabilities, cosine, strict=True):
        nearest = np.argsort(-own)[:20]
        votes = [np.exp(own[nearest] / 0.07)[train.label[nearest] == name].sum() for name in classes]
        np.testing.assert_allclose(found, np.array(votes) / np.sum(votes), rtol=1e-10)


def test_a_low_temperature_leaves_the_nearest_neighbour(train, test):
    _, weighted = weighted_knn_probabilities(train, test, 20, 1e-9)
    _, single = knn_probabilities(train, test, 1, "cosine")
    np.testing.assert_allclose(weighted, single, atol=1e-12)


@pytest.mark.parametrize("probe", [knn_probabilities, weighted_knn_probabilities])
def test_more_neighbours_than_patches_are_refused(train, test, probe):
    with pytest.raises(UserError, match="160 training patches for k = 161 neighbours"):
        probe(train, test, 161, "euclidean" if probe is knn_probabilities else 0.07)
