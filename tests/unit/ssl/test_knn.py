import cv2
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from histossl.errors import UserError
from histossl.ssl.knn import knn_accuracy, read_labelled_pictures


def test_without_groups_it_is_scikit_learns_leave_one_out():
    random = np.random.default_rng(0)
    features = random.normal(size=(90, 6)).astype(np.float32)
    labels = random.integers(0, 2, 90)
    features[labels == 1, 0] += 1
    found = []
    for index in range(90):
        rest = np.arange(90) != index
        probe = KNeighborsClassifier(5, metric="cosine").fit(features[rest], labels[rest])
        found.append(probe.predict(features[[index]])[0])
    figures = knn_accuracy(features, labels, np.arange(90))
    assert figures["knn_accuracy"] == pytest.approx(np.mean(found == labels))
    assert figures["knn_balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, found))
    assert 0.55 < figures["knn_accuracy"] < 0.95


def test_neighbours_of_the_same_group_do_not_count():
    # Patches of a patient are alike, whatever their label; it is the second number that tells labels.
    patients = np.repeat(np.arange(10), 4)
    labels = np.tile([0, 0, 1, 1], 10)
    features = np.concatenate([np.eye(10)[patients], 0.3 * np.eye(2)[labels]], axis=1)
    by_patient = knn_accuracy(features, labels, np.arange(40), neighbours=3)
    assert by_patient["knn_accuracy"] == 0  # of three others of the patient, two have the other label
    assert knn_accuracy(features, labels, patients, neighbours=3)["knn_accuracy"] == 1


def test_of_labels_with_as_many_votes_the_nearer_one_wins():
    angles = np.radians([0, 10, 12, 40, 42])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.array([1, 1, 1, 0, 0])
    # Each of the first three has two neighbours of each label among four, and its own are nearer; the others do not.
    assert knn_accuracy(features, labels, np.arange(5), 4)["knn_accuracy"] == pytest.approx(0.6)


def test_features_all_alike_give_a_number():
    figures = knn_accuracy(np.zeros((6, 3), np.float32), np.array([0, 0, 0, 1, 1, 1]), np.arange(6))
    assert 0 <= figures["knn_accuracy"] <= 1


@pytest.fixture
def sheet(tmp_path):
    lines = ["path,label,split,group"]
    for index in range(12):
        picture = np.full((20, 20, 3), 20 * index, np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
        lines.append(f"{index}.png,{'ab'[index % 2]},{'train' if index < 8 else 'test'},{'p1' if index < 2 else ''}")
    (tmp_path / "patches.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "patches.csv"


def test_pictures_are_read_at_the_size_of_the_encoder(sheet):
    read = read_labelled_pictures(sheet, "train", 100, 1, 16)
    assert read.pictures.shape == (8, 3, 16, 16)
    assert [int(picture[0, 0, 0]) for picture in read.pictures] == [20 * index for index in range(8)]
    assert read.labels.tolist() == [0, 1] * 4
    assert read.groups[0] == read.groups[1]
    assert len(set(read.groups.tolist())) == 7


def test_a_limit_draws_the_same_patches_each_time(sheet):
    first, again, other = (read_labelled_pictures(sheet, "", 5, seed, 16).pictures for seed in (1, 1, 2))
    assert len(first) == 5
    assert first.equal(again)
    assert not first.equal(other)


def test_patches_of_one_group_are_refused(sheet):
    sheet.write_text("path,label,group\n0.png,a,p\n1.png,b,p\n")
    with pytest.raises(UserError, match="all of one group"):
        read_labelled_pictures(sheet, "", 5, 1, 16)


def test_a_published_data_set_is_read_by_its_layout(tmp_path):
    names = ("MHIST_aaa.png", "MHIST_aab.png")
    (tmp_path / "images").mkdir()
    for index, name in enumerate(names):
        cv2.imwrite(str(tmp_path / "images" / name), np.full((16, 16, 3), 50 * (index + 1), np.uint8))
    rows = f"{names[0]},HP,train\n{names[1]},SSA,train\n"
    (tmp_path / "annotations.csv").write_text(f"Image Name,Majority Vote Label,Partition\n{rows}")
    read = read_labelled_pictures(tmp_path, "train", 5, 1, 16, "mhist")
    assert [int(picture[0, 0, 0]) for picture in read.pictures] == [50, 100]
    assert read.labels.tolist() == [0, 1]


def test_pictures_are_normalised_before_they_are_resized(sheet):
    seen = []

    def darker(patches):
        seen.append(patches.shape)
        return patches // 2

    plain, normalised = (read_labelled_pictures(sheet, "", 99, 1, 10, stain=stain) for stain in (None, darker))
    assert set(seen) == {(1, 20, 20, 3)}
    assert (normalised.pictures == plain.pictures // 2).all()
