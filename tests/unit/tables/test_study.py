import csv
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, roc_auc_score

from histossl.errors import UserError
from histossl.statistics import metrics
from histossl.tables.predictions import write_predictions
from histossl.tables.published import read_published
from histossl.tables.render import WIDTH, markdown_table
from histossl.tables.study import (
    Cell,
    compute_results,
    difference,
    inside,
    read_folds,
    released_tau,
    study_notes,
    study_records,
    study_sections,
)

REPOSITORY = Path(__file__).parents[3]
FOLDS = REPOSITORY.parent / "shared/data/tcga_brca/published_folds.csv"
PUBLISHED = read_published(REPOSITORY / "config/published/chen_krishnan_2022.yaml")
CRC = ["ADI", "BACK", "DEB", "LYM", "MUC", "NORM", "STR", "TUM"]
STUDY = {
    "published": "chen_krishnan_2022",
    "methods": {"imagenet": "published", "dino": "dino_ours"},
    "tables": {
        "slide": {"task": "idc_ilc", "model": "clam_sb"},
        "crc100k_raw": {"task": "crc", "probe": "knn"},
        "breastpathq": {"task": "cells", "probe": "linear"},
    },
}


def slide_rows(encoder, fractions=("1.0", "0.5"), folds=5, model="clam_sb"):
    rng = np.random.default_rng(1)
    for fraction in fractions:
        for fold in range(folds):
            for patient in range(12):
                score = float(rng.random() * 0.7 + 0.3 * (patient % 2))
                fixed = ("idc_ilc", encoder, model, fraction, 0, fold, 1, f"s{fold}-{patient}", f"p{fold}-{patient}")
                yield *fixed, ["IDC", "ILC"][patient % 2], 0, 1 - score, score


def write_slides(path, encoder, **changes):
    columns = ["task", "encoder", "model", "fraction", "repeat", "fold", "seed", "slide", "patient", "label", "leaked"]
    write_predictions(path, [*columns, "p_IDC", "p_ILC"], list(slide_rows(encoder, **changes)))
    return path


def write_patches(path, encoder, classes=CRC):
    rng = np.random.default_rng(2)
    rows = []
    for i in range(160):
        label = i % len(classes)
        scores = rng.dirichlet(1 + 3 * np.eye(len(classes))[label])
        rows.append(("crc", encoder, "knn", 0, f"{i}.tif", "", classes[label], *scores.tolist()))
    columns = ["task", "encoder", "probe", "fold", "path", "group", "label", *(f"p_{name}" for name in classes)]
    write_predictions(path, columns, rows)
    return path


def write_regression(path, encoder):
    rng = np.random.default_rng(3)
    target = np.round(rng.random(60), 1)
    rows = [
        ("cells", encoder, "linear", 0, f"{i}.png", "", float(t), float(t + 0.2 * rng.normal()))
        for i, t in enumerate(target)
    ]
    write_predictions(path, ["task", "encoder", "probe", "fold", "path", "group", "target", "prediction"], rows)
    return path


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def predictions(tmp_path):
    return {
        "slide": [
            write_slides(tmp_path / "s.csv", "dino_ours"),
            write_slides(tmp_path / "a.csv", "dino_ours", model="abmil", folds=2),
        ],
        "classification": [write_patches(tmp_path / "c.csv", "dino_ours")],
        "regression": [write_regression(tmp_path / "r.csv", "dino_ours")],
    }


def test_slide_cells_are_the_mean_and_sd_of_the_folds(predictions):
    ours = compute_results(PUBLISHED, STUDY, predictions)["slide", "dino"]
    rows = read(predictions["slide"][0])
    for heading, fraction in (("100%", "1.0"), ("50%", "0.5")):
        aucs = [
            roc_auc_score(
                [row["label"] == "ILC" for row in rows if (row["fraction"], row["fold"]) == (fraction, fold)],
                [float(row["p_ILC"]) for row in rows if (row["fraction"], row["fold"]) == (fraction, fold)],
            )
            for fold in "01234"
        ]
        assert ours.cells[heading] == pytest.approx((np.mean(aucs), np.std(aucs, ddof=1)))
    assert math.isnan(ours.cells["75%"].value)


def test_patch_cells_equal_scikit_learn(predictions):
    results = compute_results(PUBLISHED, STUDY, predictions)
    rows = read(predictions["classification"][0])
    scores = np.array([[float(row[f"p_{name}"]) for name in CRC] for row in rows])
    labels = np.array([CRC.index(row["label"]) for row in rows])
    cells = results["crc100k_raw", "dino"].cells
    assert cells["all"].value == pytest.approx(
        roc_auc_score(labels, scores / scores.sum(1, keepdims=True), multi_class="ovr")
    )
    for index, name in enumerate(CRC):
        assert cells[name].value == pytest.approx(roc_auc_score(labels == index, scores[:, index]))
    rows = read(predictions["regression"][0])
    target, prediction = (np.array([float(row[side]) for row in rows]) for side in ("target", "prediction"))
    cells = results["breastpathq", "dino"].cells
    assert cells["MSE"].value == pytest.approx(mean_squared_error(target, prediction))
    assert cells["P_K"].value == pytest.approx(2 - 1 / cells["tau"].value)  # no two predictions are equal


def test_what_was_not_computed_stays_empty(predictions):
    results = compute_results(PUBLISHED, STUDY, predictions)
    assert {method for _, method in results} == {"dino"}
    records = {(r["table"], r["method"], r["column"]): r for r in study_records(PUBLISHED, results)}
    assert len(records) == 12 + 27 + 27 + 9 + 3
    empty = records["bcss", "dino", "all"]
    assert (empty["published"], empty["ours"], empty["difference"], empty["inside_published_sd"]) == (
        "0.593000",
        "",
        "",
        "",
    )
    full = records["slide", "dino", "50%"]
    assert float(full["difference"]) == pytest.approx(float(full["ours"]) - 0.862, abs=1e-6)
    assert full["inside_published_sd"] == str(abs(float(full["difference"])) <= 0.052).lower()
    assert records["crc100k_raw", "dino", "ADI"]["inside_published_sd"] == ""


def test_the_page_has_the_layout_of_the_study(predictions):
    slide, crc, regression, bcss = study_sections(PUBLISHED, compute_results(PUBLISHED, STUDY, predictions))
    assert slide.columns == ["method", "figures", "100%", "75%", "50%", "25%"]
    assert [row[:2] for row in slide.rows[-3:]] == [
        ["DINO", "published"],
        ["DINO", "dino_ours"],
        ["DINO", "difference"],
    ]
    assert slide.rows[-3][2] == "0.886 ± 0.059"
    assert crc.columns == ["method", "SN", "figures", *CRC, "all"]
    assert [(row[1], row[2]) for row in crc.rows] == [
        *[("yes", "published")] * 3,
        *[("no", "published")] * 3,
        ("no", "dino_ours"),
        ("no", "difference"),
    ]
    assert max(map(len, markdown_table(crc).splitlines())) <= WIDTH
    assert regression.columns == ["method", "figures", "MSE", "tau", "P_K"]
    assert bcss.rows[0] == ["ImageNet", "published", "0.599"]


def test_other_classes_than_the_published_are_noted(tmp_path):
    nine = write_patches(tmp_path / "9.csv", "dino_ours", [*CRC, "MUS"])
    results = compute_results(PUBLISHED, STUDY, {"classification": [nine]})
    assert any("in one of them alone: MUS" in note for note in study_notes(PUBLISHED, STUDY, results))
    eight = write_patches(tmp_path / "8.csv", "dino_ours")
    results = compute_results(PUBLISHED, STUDY, {"classification": [eight]})
    notes = study_notes(PUBLISHED, STUDY, results)
    assert not any("in one of them alone" in note for note in notes)
    assert any(note.endswith("SN no: compared with crc by knn.") for note in notes)


def test_inside_is_within_one_published_sd():
    assert inside(Cell(0.84), Cell(0.80, 0.05)) is True
    assert inside(Cell(0.74), Cell(0.80, 0.05)) is False
    assert inside(Cell(0.84), Cell(0.80)) is None
    assert inside(Cell(math.nan), Cell(0.80, 0.05)) is None
    assert difference(Cell(0.74), Cell(0.80, 0.05)) == "-0.060 outside"
    assert difference(Cell(0.79999), Cell(0.80, 0.05)) == "+0.000 inside"


def pairs(target, prediction):
    """Concordant, discordant, and tied in the prediction whatever the target, by going through all pairs."""
    concordant = discordant = tied = 0
    for i in range(len(target)):
        for j in range(i):
            sign = (target[i] - target[j]) * (prediction[i] - prediction[j])
            concordant, discordant = concordant + (sign > 0), discordant + (sign < 0)
            tied += prediction[i] == prediction[j]
    return concordant, discordant, tied


@pytest.mark.parametrize("decimals", [1, 9])
def test_the_released_tau_is_that_of_its_helper(decimals):
    rng = np.random.default_rng(5)
    target = np.round(rng.random(40), 1)
    prediction = np.round(target + 0.3 * rng.normal(size=40), decimals)
    c, d, t = pairs(target, prediction)
    assert released_tau(target, prediction) == pytest.approx((c + d + t / 2) / (c + d + d + t))


def test_the_released_tau_of_a_guess_is_two_thirds_and_no_prediction_probability():
    rng = np.random.default_rng(6)
    target, guess = rng.random(1500), rng.random(1500)
    assert released_tau(target, guess) == pytest.approx(2 / 3, abs=0.01)
    assert released_tau(target, target) == 1
    assert released_tau(target, -target) == 0.5
    one = metrics.ones(len(target))
    ours = metrics.prediction_probability(target, one, metrics.concordance(target, guess, one))[0]
    assert ours == pytest.approx(0.5, abs=0.02)
    assert released_tau(target, guess) == pytest.approx(1 / (2 - ours))


def test_ties_of_our_prediction_probability_are_those_of_the_prediction_alone():
    """A pair with equal targets tells nothing of the prediction: where both are equal, the helper counts one half."""
    target, prediction = np.array([1.0, 1.0, 2.0]), np.array([5.0, 5.0, 6.0])
    one = metrics.ones(3)
    assert metrics.prediction_probability(target, one, metrics.concordance(target, prediction, one))[0] == 1
    assert released_tau(target, prediction) == pytest.approx(2.5 / 3)
    target, prediction = np.array([1.0, 2.0, 3.0]), np.array([5.0, 5.0, 6.0])
    assert metrics.prediction_probability(target, one, metrics.concordance(target, prediction, one))[
        0
    ] == pytest.approx((2 + 0.5) / 3)


@pytest.mark.skipif(not FOLDS.is_file(), reason=f"the published folds are not in {FOLDS.parent}")
def test_all_twelve_cells_of_table_1_come_out_of_the_published_folds():
    results, table = read_folds(FOLDS, PUBLISHED), PUBLISHED.tables["slide"]
    printed = {
        (method, heading): (round(cell.value, 3), round(cell.sd, 3))
        for (_, method), ours in results.items()
        for heading, cell in ours.cells.items()
    }
    published = {
        (method, heading): pair
        for method in table.values
        for heading, pair in zip(table.columns, zip(table.values[method], table.sd[method], strict=True), strict=True)
    }
    assert len(printed) == 12
    assert printed == published


def test_folds_are_read_by_the_names_of_the_released_files(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text(
        "encoder,train_fraction,fold,test_auc,test_acc\n"
        + "".join(f"vits_tcga_brca_dino,0.25,{fold},{auc},0.9\n" for fold, auc in enumerate([0.8, 0.9, 0.7]))
    )
    cells = read_folds(path, PUBLISHED)["slide", "dino"].cells
    assert cells["25%"] == pytest.approx((0.8, 0.1))
    assert math.isnan(cells["100%"].value)


@pytest.mark.parametrize("text", ["encoder,fold\nx,1\n", "encoder,train_fraction,fold,test_auc\nx,1.0,0,high\n", None])
def test_files_that_are_no_folds_are_explained(tmp_path, text):
    path = tmp_path / "folds.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=r"not the results of folds .* give a CSV with encoder,train_fraction"):
        read_folds(path, PUBLISHED)
