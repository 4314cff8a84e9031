from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import NearestCentroid

from histossl.errors import UserError
from histossl.probes.simpleshot import simpleshot_votes
from tests.unit.probes.conftest import LABELS


def test_an_episode_is_the_nearest_class_mean_of_centred_features_of_length_one(train, test):
    random = np.random.default_rng([3, 4])
    centre = train.features.astype(float).mean(0)
    votes, accuracies = np.zeros((60, 3)), []
    for _ in range(40):
        drawn = np.concatenate(
            [random.choice(np.flatnonzero(train.label == name), 4, replace=False) for name in LABELS]
        )
        support, queries = (
            rows / np.linalg.norm(rows, axis=1)[:, None]
            for rows in (train.features[drawn] - centre, test.features - centre)
        )
        predicted = NearestCentroid().fit(support, train.label[drawn]).predict(queries)
        votes += predicted[:, None] == np.array(LABELS)
        accuracies.append(balanced_accuracy_score(test.label, predicted))
    found = simpleshot_votes(train, test, 4, 40, 3)
    assert found.classes == LABELS
    np.testing.assert_allclose(found.votes, votes / 40)
    np.testing.assert_allclose(found.balanced_accuracies, accuracies)


def test_the_share_of_right_votes_is_the_mean_balanced_accuracy(train, test):
    found = simpleshot_votes(train, test, 2, 25, 1)
    right = found.votes[np.arange(60), np.searchsorted(LABELS, test.label)]
    means = [right[test.label == name].mean() for name in LABELS]
    assert np.mean(means) == pytest.approx(found.balanced_accuracies.mean())


def test_more_shots_tell_more(train, test):
    one, many = (simpleshot_votes(train, test, shots, 200, 1).balanced_accuracies.mean() for shots in (1, 16))
    assert many > one + 0.05


def test_features_that_are_all_alike_go_to_the_first_class(train, test):
    found = simpleshot_votes(
        replace(train, features=np.ones((160, 9), np.float32)),
        replace(test, features=np.ones((60, 9), np.float32)),
        1,
        3,
        1,
    )
    assert (found.votes[:, 0] == 1).all()


def test_a_class_with_fewer_patches_than_shots_is_named(train, test):
    few = train.where((train.label != LABELS[1]) | (np.arange(160) < 20))
    count = (few.label == LABELS[1]).sum()
    with pytest.raises(UserError, match=f"class 'stroma' has {count} training patches, fewer than 16 shots"):
        simpleshot_votes(few, test, 16, 3, 1)
