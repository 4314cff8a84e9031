import csv
import json

import numpy as np
import pytest

import map_features
from tests.unit.figures.test_feature_map import write_features

SETTINGS = {"patches": 30, "neighbours": 5, "min_distance": 0.1, "seed": 1}


def run(tmp_path, labels):
    features = np.random.default_rng(0).normal(size=(len(labels), 4))
    path = write_features(tmp_path / "f.h5", features, labels, ["raw"] * len(labels))
    outputs = [tmp_path / "points.csv", tmp_path / "facts.json"]
    arguments = [f"--features={path}", f"--settings={json.dumps(SETTINGS)}"]
    map_features.main([*arguments, f"--points={outputs[0]}", f"--facts={outputs[1]}"])
    return [output.read_bytes() for output in outputs]


@pytest.mark.slow  # UMAP is compiled first
def test_the_same_features_give_the_same_bytes(tmp_path):
    labels = ['A "quoted", <b>', "$B$"] * 20
    points, facts = run(tmp_path, labels)
    assert run(tmp_path, labels) == [points, facts]
    rows = list(csv.DictReader(points.decode().splitlines()))
    assert len(rows) == 30 and {row["label"] for row in rows} == set(labels)
    assert json.loads(facts)["patches"] == 30


def test_one_class_is_a_reason_and_no_failure(tmp_path):
    points, facts = run(tmp_path, ["A"] * 20)
    assert points.decode() == "path,label,split,x,y\n"
    assert "one class" in json.loads(facts)["reason"]
