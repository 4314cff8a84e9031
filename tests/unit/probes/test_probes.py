import csv
import json

import h5py
import numpy as np
import pytest

import probe_patches
from histossl.errors import UserError
from histossl.probes.patches import check_separate, read_patches, with_classes, with_target
from histossl.probes.probes import knn_probabilities, linear_predictions

LABELS = ["muscle", "stroma", 'tumour, "a"']


@pytest.fixture
def sheet():
    """Columns of a data set of sixty patches: forty for training in eight groups, twenty for test in four."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 60)
    return {
        "features": (rng.normal(size=(60, 9)) + 1.2 * classes[:, None]).astype(np.float32),
        "target": classes + rng.normal(size=60),
        "path": [f"{row}.png" for row in range(60)],
        "label": [LABELS[index] for index in classes],
        "split": ["train"] * 40 + ["test"] * 20,
        "group": [f"g{row // 5}" for row in range(60)],
    }


@pytest.fixture
def write(tmp_path):
    def write_features(sheet, name="set"):
        path = tmp_path / f"{name}.h5"
        with h5py.File(path, "w") as file:
            for column, values in sheet.items():
                file.create_dataset(
                    column, data=values, dtype=None if column in ("features", "target") else h5py.string_dtype()
                )
        return path

    return write_features


def test_knn_gives_the_share_of_each_class_among_the_nearest_patches(sheet, write):
    path = write(sheet)
    train, test = read_patches(path, "train"), read_patches(path, "test")
    classes, probabilities = knn_probabilities(train, test, 5, "euclidean")
    assert classes == LABELS
    distances = np.linalg.norm(test.features[:, None].astype(float) - train.features[None].astype(float), axis=2)
    for row, nearest in zip(probabilities, np.argsort(distances, axis=1)[:, :5], strict=True):
        assert row.tolist() == [np.mean(train.label[nearest] == name) for name in LABELS]


def test_linear_predictions_solve_the_normal_equations(sheet, write):
    path = write(sheet)
    train, test = read_patches(path, "train"), read_patches(path, "test")
    design = np.column_stack([np.ones(40), train.features.astype(float)])
    weights = np.linalg.solve(design.T @ design, design.T @ train.target)
    expected = np.column_stack([np.ones(20), test.features.astype(float)]) @ weights
    np.testing.assert_allclose(linear_predictions(train, test, 0), expected, rtol=1e-8)


def test_ridge_penalises_the_weights_but_not_the_mean(sheet, write):
    path = write(sheet)
    train, test = read_patches(path, "train"), read_patches(path, "test")
    np.testing.assert_allclose(linear_predictions(train, test, 1e12), np.full(20, train.target.mean()), rtol=1e-6)


def test_classes_are_merged_then_excluded_and_empty_labels_dropped(sheet, write):
    sheet["label"][:2] = ["", ""]
    patches, dropped = with_classes(read_patches(write(sheet)), {"muscle": "stroma"}, [LABELS[2]])
    assert set(patches.label) == {"stroma"}
    assert dropped == 2 + sheet["label"].count(LABELS[2])
    assert len(patches.features) == 60 - dropped


def test_patches_without_a_target_are_dropped_and_counted(sheet, write):
    sheet["target"][[3, 7]] = np.nan, np.inf
    patches, dropped = with_target(read_patches(write(sheet)))
    assert dropped == 2
    assert np.isfinite(patches.target).all()
    sheet["target"][:] = np.nan
    with pytest.raises(UserError, match="no patch has a target"):
        with_target(read_patches(write(sheet)))


def test_a_group_on_both_sides_is_named(sheet, write):
    sheet["group"][50] = "g3"
    path = write(sheet)
    with pytest.raises(UserError, match=r"group 'g3' is in training .* 1 group in all"):
        check_separate(read_patches(path, "train"), read_patches(path, "test"))


def test_patches_cannot_test_what_they_trained(sheet, write):
    sheet["group"] = [""] * 60
    path, other = write(sheet), write(sheet, "other")
    with pytest.raises(UserError, match=r"patch '0\.png' is in training"):
        check_separate(read_patches(path), read_patches(path, "train"))
    check_separate(read_patches(path), read_patches(other))
    check_separate(read_patches(path, "train"), read_patches(path, "test"))


def test_nor_where_they_are_of_another_entry_for_the_same_data_set(sheet, write):
    sheet["group"] = [""] * 60
    raw, normalised, other = write(sheet), write(sheet, "normalised"), write(sheet, "other")
    for path, source in ((raw, "data/crc"), (normalised, "data/crc"), (other, "data/val")):
        with h5py.File(path, "a") as file:
            file.attrs["source"] = source
    with pytest.raises(UserError, match=r"patch '0\.png' is in training"):
        check_separate(read_patches(raw), read_patches(normalised))
    check_separate(read_patches(raw, "train"), read_patches(normalised, "test"))
    check_separate(read_patches(raw), read_patches(other))


def test_an_unknown_split_is_named_with_those_there_are(sheet, write):
    with pytest.raises(UserError, match=r"no patches in split 'val' \(splits: test, train\)"):
        read_patches(write(sheet), "val")


def test_bad_labels_and_k_are_refused(sheet, write):
    path = write(sheet)
    train, test = read_patches(path, "train"), read_patches(path, "test")
    one, _ = with_classes(train, {}, LABELS[1:])
    with pytest.raises(UserError, match="two are needed"):
        knn_probabilities(one, test, 5, "euclidean")
    two, _ = with_classes(train, {}, ["muscle"])
    with pytest.raises(UserError, match="label 'muscle' is not among the training labels"):
        knn_probabilities(two, test, 5, "euclidean")
    with pytest.raises(UserError, match="40 training patches for k = 41 neighbours"):
        knn_probabilities(train, test, 41, "euclidean")


@pytest.mark.parametrize(
    ("settings", "columns"),
    [
        (
            {"probe": "knn", "k": 5, "metric": "euclidean", "merge": {"muscle": "stroma"}, "exclude": []},
            ["label", "p_stroma", "p_" + LABELS[2]],
        ),
        ({"probe": "linear", "ridge": 0}, ["target", "prediction"]),
    ],
)
def test_the_script_writes_a_row_for_each_test_patch(sheet, write, tmp_path, settings, columns):
    sheet["target"][0] = np.nan
    path = write(sheet)
    output = tmp_path / "predictions.csv"
    splits = {"train_split": "train", "test_split": "test"}
    probe_patches.main(
        [
            *("--train", str(path), "--test", str(path), "--settings", json.dumps({**settings, **splits})),
            *("--task", "t", "--encoder", "e", "--predictions", str(output)),
        ]
    )
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["task", "encoder", "probe", "path", "group", *columns]
    assert [row["path"] for row in rows] == sheet["path"][40:]
    assert [row["group"] for row in rows] == sheet["group"][40:]
