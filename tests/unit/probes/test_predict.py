from pathlib import Path

import yaml

from histossl.config.plan import PROBES as KINDS
from histossl.probes.predict import PROBES, REGRESSIONS, predict

SCHEMA = Path(__file__).resolve().parents[3] / "config/schemas/config.schema.yaml"


def test_plan_schema_and_library_know_the_same_probes():
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    task = schema["properties"]["patch_tasks"]["additionalProperties"]["properties"]
    assert set(PROBES) == set(task["probes"]["properties"]) == {name for names in KINDS.values() for name in names}
    assert set(REGRESSIONS) == set(KINDS["regression"])


def test_what_was_chosen_is_said(train, test):
    logistic = {"C": [0.01, 0.1, 1.0], "folds": 3, "max_iterations": 500, "seed": 1}
    (said,) = predict("logistic", logistic, train, test).said
    assert said.startswith("C = ") and "of 0.01 to 1" in said and "log loss" in said
    (said,) = predict("ridge", {"penalties": [1e9, 1e10], "folds": 3, "seed": 1}, train, test).said
    assert said.startswith("penalty = 1e+09 of 1e+09 to 1e+10, the end of the grid (out-of-fold mean squared error")
    _, said = predict("logistic", {**logistic, "max_iterations": 1}, train, test).said
    assert said == "LBFGS had not converged after 1 iterations; raise max_iterations"


def test_each_number_of_shots_is_a_probe_of_its_own(train, test):
    found = predict("simpleshot", {"shots": [1, 4], "episodes": 8, "seed": 1}, train, test)
    assert list(found.values) == ["simpleshot 1-shot", "simpleshot 4-shot"]
    assert "simpleshot 4-shot: balanced accuracy" in found.said[1] and "SD" in found.said[1]
