import itertools

import numpy as np
import pytest

from histossl.errors import UserError
from histossl.statistics import delong
from histossl.statistics.holm import holm
from histossl.tables.comparison import Resampling, judge
from histossl.tables.pairs import compare_encoders, ratio_tested_to_trained, verdicts
from histossl.tables.predictions import write_predictions

RESAMPLING = Resampling(resamples=300, seed=1, level=0.95)


def write_slides(path, encoder, strength, fractions=("1.0",), patients=60, folds=5, head="abmil"):
    columns = ["task", "encoder", "model", "fraction", "repeat", "fold", "seed", "slide", "patient", "label", "leaked"]
    rng = np.random.default_rng(abs(int(10 * strength)))
    rows = []
    for fraction, patient in itertools.product(fractions, range(patients)):
        score = 1 / (1 + np.exp(-(rng.normal() + strength * (patient // folds % 2))))
        fixed = ("t", encoder, head, fraction, 0, patient % folds, 1, f"s{patient}", f"p{patient}")
        rows.append((*fixed, "ab"[patient // folds % 2], 0, 1 - score, score))
    write_predictions(path, [*columns, "p_a", "p_b"], rows)
    return path


def write_regression(path, encoder, noise):
    rng = np.random.default_rng(7)
    target, error = rng.random(80), np.random.default_rng(len(encoder)).normal(size=80)
    rows = [
        ("t", encoder, "ridge", i % 4, f"{i}.png", f"g{i // 4}", float(x), float(x + noise * e))
        for i, (x, e) in enumerate(zip(target, error, strict=True))
    ]
    write_predictions(path, ["task", "encoder", "probe", "fold", "path", "group", "target", "prediction"], rows)
    return path


@pytest.fixture
def judged(tmp_path):
    strengths = {"good": 2.5, "close": 2.3, "bad": 0.1}
    files = [write_slides(tmp_path / f"{name}.csv", name, strength) for name, strength in strengths.items()]
    return judge(files, "slide", {}, RESAMPLING)


def arrays(method):
    rows = method.measured.rows
    labels = np.array([row["label"] == "b" for row in rows]) * 1
    folds = np.array([int(row["fold"]) for row in rows])
    patients = np.array([int(row["patient"][1:]) for row in rows])
    return labels, np.array([[float(row["p_a"]), float(row["p_b"])] for row in rows]), patients, folds


def test_every_pair_of_a_family_is_tested_by_delong_and_corrected(judged):
    pairs = compare_encoders(judged, "slide", RESAMPLING)
    assert [(pair.first, pair.second) for pair in pairs] == [("good", "close"), ("good", "bad"), ("close", "bad")]
    for pair, (one, other) in zip(pairs, itertools.combinations(judged, 2), strict=True):
        labels, first, patients, folds = arrays(one)
        tested = delong.compare(labels, first, arrays(other)[1], patients, folds, factor=2)
        assert (pair.test, pair.figure) == ("DeLong", "auc")
        assert pair.p == pytest.approx(tested.p)
        assert pair.difference.value == pytest.approx(tested.difference)
        assert pair.difference.low < tested.difference < pair.difference.high
        assert pair.folds == 5
        assert 0 < pair.resampled < 1
    assert [pair.adjusted for pair in pairs] == pytest.approx(holm(np.array([pair.p for pair in pairs])))


def test_what_cannot_be_told_from_the_best_is_marked(judged):
    pairs = compare_encoders(judged, "slide", RESAMPLING)
    found = dict(zip([m.encoder for m in judged], verdicts(judged, pairs, 0.95), strict=True))
    assert sorted(found.values()) == ["best", "n.s.", "worse"]
    assert found["bad"] == "worse"


def test_families_are_apart(tmp_path):
    files = [write_slides(tmp_path / f"{n}.csv", n, s, ("1.0", "0.5")) for n, s in (("good", 2.5), ("bad", 0.1))]
    files.append(write_slides(tmp_path / "mean.csv", "good", 1.0, head="mean"))
    judged = judge(files, "slide", {}, RESAMPLING)
    pairs = compare_encoders(judged, "slide", RESAMPLING)
    assert [(pair.head, pair.fraction) for pair in pairs] == [("abmil", "1.0"), ("abmil", "0.5")]
    assert all(pair.adjusted == pair.p for pair in pairs)
    standing = {m.family: v for m, v in zip(judged, verdicts(judged, pairs, 0.95), strict=True) if m.encoder == "good"}
    assert standing == {("t", "abmil", "1.0"): "best", ("t", "abmil", "0.5"): "best", ("t", "mean", "1.0"): ""}


def test_encoders_on_other_slides_are_refused(tmp_path, judged):
    fewer = judge([write_slides(tmp_path / "x.csv", "fewer", 1.0, patients=50)], "slide", {}, RESAMPLING)
    with pytest.raises(UserError, match=r"'t good abmil 1\.0' and 't fewer abmil 1\.0' were not tested on the same"):
        compare_encoders([judged[0], *fewer], "slide", RESAMPLING)


def test_errors_of_regression_are_tested_by_the_bootstrap_and_smaller_is_better(tmp_path):
    files = [write_regression(tmp_path / f"{name}.csv", name, noise) for name, noise in (("bad", 0.6), ("good", 0.1))]
    judged = judge(files, "regression", {}, RESAMPLING)
    (pair,) = compare_encoders(judged, "regression", RESAMPLING)
    assert (pair.test, pair.figure, pair.folds) == ("bootstrap", "mse", 4)
    assert pair.difference.low > 0
    assert pair.p < 0.01
    assert verdicts(judged, [pair], 0.95) == ["worse", "best"]


def test_where_too_few_patients_tell_nothing_methods_are_untested(tmp_path):
    files = [write_slides(tmp_path / f"{n}.csv", n, s, patients=2, folds=1) for n, s in (("x", 9.0), ("y", -9.0))]
    judged = judge(files, "slide", {}, RESAMPLING)
    pairs = compare_encoders(judged, "slide", RESAMPLING)
    assert np.isnan(pairs[0].p)
    assert sorted(verdicts(judged, pairs, 0.95)) == ["best", "untested"]


def test_folds_and_fraction_tell_how_many_are_tested_for_each_trained_on(tmp_path):
    method = judge([write_slides(tmp_path / "1.csv", "e", 1.0, ("0.5",))], "slide", {}, RESAMPLING)[0]
    assert ratio_tested_to_trained(method) == pytest.approx([12 / (0.5 * 48)] * 5)


def test_twins_are_alike(tmp_path):
    files = [write_slides(tmp_path / f"{name}.csv", name, 1.0) for name in ("twin_a", "twin_b")]
    judged = judge(files, "slide", {}, RESAMPLING)
    (pair,) = compare_encoders(judged, "slide", RESAMPLING)
    assert (pair.difference.value, pair.p, pair.adjusted, pair.resampled) == (0, 1, 1, 1)
    assert verdicts(judged, [pair], 0.95) == ["best", "n.s."]
