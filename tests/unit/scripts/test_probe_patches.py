import csv
import json

import pytest

import probe_patches
from tests.unit.probes.conftest import LABELS, sheet, write  # noqa: F401 (fixtures)

SHOWN = {
    "knn": ({"k": 5, "metric": "euclidean"}, ["label", "p_stroma", "p_" + LABELS[2]]),
    "knn_weighted": ({"k": 5, "temperature": 0.07}, ["label", "p_stroma", "p_" + LABELS[2]]),
    "logistic": (
        {"C": [0.1, 1.0], "folds": 2, "max_iterations": 100, "seed": 1},
        ["label", "p_stroma", "p_" + LABELS[2]],
    ),
    "simpleshot": ({"shots": [1, 2], "episodes": 4, "seed": 1}, ["label", "p_stroma", "p_" + LABELS[2]]),
    "retrieval": ({}, ["label", "hit_1", "hit_3", "hit_5", "majority_5", "average_precision"]),
    "linear": ({}, ["target", "prediction"]),
    "ridge": ({"penalties": [1.0, 10.0], "folds": 2, "seed": 1}, ["target", "prediction"]),
}


@pytest.fixture
def probe(sheet, write, tmp_path):  # noqa: F811
    """Run the script; `task` goes into the settings."""
    path = write(sheet)

    def run(name, task, tested):
        output = tmp_path / "predictions.csv"
        settings = {"task": {"merge": {"muscle": "stroma"}, "exclude": [], **task}, "probe": SHOWN[name][0]}
        files = ["--train", str(path), "--test", *([str(path)] if tested else [])]
        names = ["--task", "t", "--encoder", "e", "--probe", name]
        probe_patches.main([*files, *names, "--settings", json.dumps(settings), "--predictions", str(output)])
        with output.open(newline="") as file:
            return list(csv.DictReader(file))

    return run


@pytest.mark.parametrize("name", SHOWN)
def test_a_row_for_each_test_patch(sheet, probe, name, capsys):  # noqa: F811
    rows = probe(name, {"train_split": "train", "test_split": "test"}, tested=True)
    assert list(rows[0]) == ["task", "encoder", "probe", "fold", "path", "group", *SHOWN[name][1]]
    probes = list(dict.fromkeys(row["probe"] for row in rows))
    assert probes == (["simpleshot 1-shot", "simpleshot 2-shot"] if name == "simpleshot" else [name])
    for one in probes:
        assert [row["path"] for row in rows if row["probe"] == one] == sheet["path"][40:]
        assert [row["group"] for row in rows if row["probe"] == one] == sheet["group"][40:]
    assert {row["fold"] for row in rows} == {"0"}
    assert "40 patches, without 0 that have no" in capsys.readouterr().err


@pytest.mark.parametrize("name", SHOWN)
def test_without_a_test_set_each_patch_is_predicted_out_of_fold(sheet, probe, name):  # noqa: F811
    rows = probe(name, {"train_split": "", "folds": 3, "seed": 1}, tested=False)
    last = rows[-1]["probe"]
    mine = [row for row in rows if row["probe"] == last]
    assert sorted(row["path"] for row in mine) == sorted(sheet["path"])
    folds = {row["group"]: set() for row in mine}
    for row in mine:
        folds[row["group"]].add(row["fold"])
    assert all(len(fold) == 1 for fold in folds.values())
    assert {row["fold"] for row in mine} == {"0", "1", "2"}
