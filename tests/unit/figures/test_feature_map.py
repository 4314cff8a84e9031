import h5py
import numpy as np
import pytest
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from histossl.figures.feature_map import MapSettings, describe, map_features, neighbour_purity, sample_strata
from histossl.hdf5 import create_hdf5, write_array

SETTINGS = MapSettings(40, 5, 0.1, 1)


def write_features(path, features, label, split):
    count = len(features)
    with create_hdf5(path) as file:
        write_array(file, "features", features.astype(np.float32))
        for name, values in {"label": label, "split": split}.items():
            write_array(file, name, list(values))
        write_array(file, "path", [f"{index}.png" for index in range(count)])
        write_array(file, "group", [""] * count)
        write_array(file, "target", np.full(count, np.nan))
    return path


@pytest.fixture
def features_file(tmp_path):
    """60 labelled patches of two classes and two splits, class B far from A; and 20 without a label."""
    random = np.random.default_rng(0)
    label = np.array(["A", "B"] * 30 + [""] * 20)
    features = random.normal(size=(80, 8)) + 20 * (label == "B")[:, None]
    split = np.array((["raw"] * 30 + ["test"] * 30) + ["cells"] * 20)
    return write_features(tmp_path / "f.h5", features, label, split)


def test_purity_is_that_of_scikit_learns_neighbours():
    random = np.random.default_rng(3)
    features, groups = random.normal(size=(70, 5)).astype(np.float32), random.choice(["a", "b", "c"], 70)
    index = NearestNeighbors(n_neighbors=7).fit(features.astype(float)).kneighbors(return_distance=False)
    assert neighbour_purity(features, groups, 7) == pytest.approx((groups[index] == groups[:, None]).mean())
    assert describe(features, groups, 7)["silhouette"] == pytest.approx(silhouette_score(features, groups), abs=1e-6)


def test_equal_features_leave_each_patch_itself_out():
    features = np.zeros((6, 3), np.float32)
    groups = np.array(["a", "a", "a", "b", "b", "b"])
    # Rows 0 to 2 see two others of a, rows 3 to 5 the first three: equal distances go by the order.
    assert neighbour_purity(features, groups, 2) == pytest.approx((3 * 1 + 3 * 0) / 6)


def test_chance_is_the_purity_of_shuffled_groups():
    random = np.random.default_rng(0)
    features, groups = random.normal(size=(300, 3)).astype(np.float32), np.repeat(["a", "b"], [200, 100])
    shuffled = [neighbour_purity(features, random.permutation(groups), 10) for _ in range(20)]
    assert describe(features, groups, 10)["chance"] == pytest.approx(np.mean(shuffled), abs=0.01)


def test_one_group_or_only_single_ones_have_no_figures():
    features = np.eye(4, dtype=np.float32)
    for groups in (np.array(["a"] * 4), np.array(list("abcd"))):
        assert describe(features, groups, 2) == {"silhouette": None, "purity": None, "chance": None}


def test_a_sample_is_stratified_and_follows_the_seed():
    strata = np.repeat(["a", "b", "c"], [600, 300, 100])
    chosen = sample_strata(strata, 100, 1)
    assert dict(zip(*np.unique(strata[chosen], return_counts=True), strict=True)) == {"a": 60, "b": 30, "c": 10}
    assert (np.diff(chosen) > 0).all()
    assert (chosen == sample_strata(strata, 100, 1)).all() and (chosen != sample_strata(strata, 100, 2)).any()
    assert (sample_strata(strata, 5000, 1) == np.arange(1000)).all()


@pytest.mark.slow  # UMAP is compiled first
def test_a_map_is_of_labelled_patches_and_the_same_each_time(features_file):
    rows, facts = map_features(features_file, SETTINGS)
    assert (rows, facts) == map_features(features_file, SETTINGS)
    assert facts["reason"] == "" and (facts["patches"], facts["patches_labelled"]) == (40, 60)
    assert facts["by"]["label"]["purity"] == 1 and facts["by"]["label"]["silhouette"] > 0.8
    assert facts["by"]["split"]["purity"] == pytest.approx(facts["by"]["split"]["chance"], abs=0.15)
    with h5py.File(features_file) as file:
        label = dict(zip(file["path"].asstr()[:], file["label"].asstr()[:], strict=True))
    assert [row[1] for row in rows] == [label[row[0]] for row in rows]
    points, classes = np.array([row[3:] for row in rows], float), np.array([row[1] for row in rows])
    assert silhouette_score(points, classes) > 0.5  # far classes stay apart


@pytest.mark.parametrize(
    ("labels", "words"),
    [(["A"] * 20, "one class, 'A'"), ([""] * 20, "no classes"), (["A", "B", *[""] * 18], "2 labelled patches")],
)
def test_too_little_to_map_is_a_reason(tmp_path, labels, words):
    random = np.random.default_rng(0)
    path = write_features(tmp_path / "f.h5", random.normal(size=(20, 4)), labels, ["s"] * 20)
    rows, facts = map_features(path, SETTINGS)
    assert rows == [] and words in facts["reason"]


@pytest.mark.slow  # UMAP is compiled first
def test_the_fewest_patches_and_equal_features_are_mapped(tmp_path):
    labels = ["A", "B", "A", "B", "A", "B"]
    for features in (np.random.default_rng(0).normal(size=(6, 4)), np.ones((6, 4))):
        rows, _ = map_features(write_features(tmp_path / "f.h5", features, labels, [""] * 6), SETTINGS)
        assert len(rows) == 6 and np.isfinite(np.array([row[3:] for row in rows], float)).all()
