import csv
import json

import h5py
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import train_mil
from histossl.errors import UserError
from histossl.mil.bags import Bag
from histossl.mil.settings import HeadSettings
from histossl.mil.training import cross_validate
from histossl.splits.folds import draw_splits
from histossl.splits.labels import LabelledSlide
from histossl.splits.split_file import write_splits

SETTINGS = {
    "model": "abmil",
    "epochs": 8,
    "learning_rate": 4e-3,
    "weight_decay": 1e-5,
    "hidden": 16,
    "attention": 8,
    "dropout": 0.25,
    "balanced": True,
    "standardise": False,
    "early_stopping": None,
}
SLIDES = [LabelledSlide(f"s{i:02d}", f"p{i // 2:02d}", "ab"[i // 2 % 2]) for i in range(48)]
MEMBERS = [m for fraction in (1.0, 0.5) for m in draw_splits(SLIDES, 3, fraction, validation=0.2, seed=0)]
CPU = torch.device("cpu")


def planted_bags(scale: float = 1.0, seed: int = 0) -> dict[str, Bag]:
    """A tenth of the patches of each slide carry its class, the first ones; the rest is noise."""
    rng = np.random.default_rng(seed)
    bags = {}
    for slide in SLIDES:
        features = rng.normal(size=(int(rng.integers(30, 60)), 12))
        features[: len(features) // 10] += np.where(np.arange(12) < 6, 4, 0) * (1 if slide.label == "a" else -1)
        bags[slide.slide] = Bag((scale * features).astype(np.float32), np.zeros((len(features), 2), np.int64))
    return bags


def judged(members=MEMBERS, bags=None, seeds=(1,), task="t", threads=1, **changes):
    bags = bags or planted_bags()
    settings = HeadSettings.from_config({**SETTINGS, **changes})
    return cross_validate(members, bags, settings, seeds, task, CPU, "test", threads)


def out_of_fold_auc(results, fraction=1.0):
    chosen = [t for t in results if t.member.fraction == fraction]
    return roc_auc_score([t.member.label == "b" for t in chosen], [t.probabilities[1] for t in chosen])


@pytest.fixture(scope="module")
def attentive(one_thread):
    return judged()


@pytest.mark.parametrize("model", ["abmil", "mean", "max"])
def test_a_planted_signal_is_found(model, attentive):
    results = attentive if model == "abmil" else judged(model=model)
    assert sorted(t.member.slide for t in results if t.member.fraction == 1.0) == [s.slide for s in SLIDES]
    assert out_of_fold_auc(results) > 0.95
    assert out_of_fold_auc(results, 0.5) > 0.9


def test_attention_lies_on_the_patches_that_carry_the_signal(attentive):
    for result in attentive:
        carriers = len(result.attention) // 10
        assert result.attention.sum() == pytest.approx(1, abs=1e-5)
        if result.member.fraction == 1.0:
            assert result.attention[:carriers].mean() > 2 * result.attention[carriers:].mean()


def test_no_signal_is_found_where_labels_are_shuffled():
    aucs = []
    for seed in range(5):
        patients = sorted({slide.patient for slide in SLIDES})
        drawn = dict(zip(patients, np.random.default_rng(seed).permutation(list("ab" * 12)), strict=True))
        members = draw_splits([s._replace(label=str(drawn[s.patient])) for s in SLIDES], 3, 1.0, 0.2, seed)
        aucs.append(out_of_fold_auc(judged(members, epochs=5)))
    # 24 patients: one AUC has a standard error of about 0.12, the mean of five about 0.055.
    assert abs(np.mean(aucs) - 0.5) < 0.15


def test_the_same_seed_gives_the_same_predictions_in_any_order_and_another_seed_others():
    by_slide = [
        {(t.member, t.seed): t.probabilities.tolist() for t in run}
        for run in (
            judged(seeds=(1, 2), epochs=2),
            judged(sorted(MEMBERS, key=lambda member: (member.fraction, -member.fold)), seeds=(2, 1), epochs=2),
        )
    ]
    assert by_slide[0] == by_slide[1]
    member = MEMBERS[[m.set for m in MEMBERS].index("test")]
    assert by_slide[0][member, 1] != by_slide[0][member, 2]


def probabilities(results):
    return {(t.member, t.seed): t.probabilities.tolist() for t in results}


@pytest.mark.parametrize("model", ["abmil", "mean"])
def test_heads_become_the_same_alone_together_and_shared_out_over_threads(model):
    settings = {"model": model, "epochs": 2, "standardise": True}
    together = probabilities(judged(**settings))
    assert probabilities(judged(**settings, threads=2)) == together
    alone = {}
    for run in {(m.fraction, m.fold) for m in MEMBERS}:
        alone |= probabilities(judged([m for m in MEMBERS if (m.fraction, m.fold) == run], **settings))
    assert alone == together


def test_a_loss_that_is_no_number_is_named_by_its_head():
    bags = planted_bags()
    bags["s07"].features[3, 3] = np.nan
    with pytest.raises(UserError, match=r"loss of abmil in fold \d of fraction .* is nan in epoch 1; lower"):
        judged(bags=bags, epochs=2, threads=2)


def test_the_test_labels_do_not_reach_the_head():
    flipped = [m._replace(label="ab"[m.label == "a"]) if m.set == "test" else m for m in MEMBERS]
    for one, other in zip(judged(epochs=2), judged(flipped, epochs=2), strict=True):
        assert one.probabilities.tolist() == other.probabilities.tolist()


def test_the_epoch_with_the_lowest_validation_loss_is_kept():
    # With a learning rate this high the head gets worse after its first epochs; without validation the last one stays.
    validated = judged(learning_rate=0.5, dropout=0.0, epochs=6)
    unvalidated = judged([m for m in MEMBERS if m.set != "val"], learning_rate=0.5, dropout=0.0, epochs=6)

    def loss(results):
        return -np.mean([np.log(max(t.probabilities["ab".index(t.member.label)], 1e-30)) for t in results])

    assert loss(validated) < loss(unvalidated)


def test_slides_without_patches_get_the_class_frequencies_of_training():
    bags = planted_bags() | {"s00": Bag(np.zeros((0, 12), np.float32), np.zeros((0, 2), np.int64))}
    guesses = [t for t in judged(bags=bags, epochs=1) if t.member.slide == "s00"]
    assert len(guesses) == 2
    for result in guesses:
        training = [
            m.label
            for m in MEMBERS
            if (m.fraction, m.fold, m.set) == (result.member.fraction, result.member.fold, "train")
        ]
        assert result.probabilities.tolist() == [training.count(label) / len(training) for label in "ab"]
        assert result.attention.shape == (0,)


def test_a_class_without_patches_in_training_is_named():
    empty = Bag(np.zeros((0, 12), np.float32), np.zeros((0, 2), np.int64))
    bags = {slide.slide: empty if slide.label == "b" else planted_bags()[slide.slide] for slide in SLIDES}
    with pytest.raises(UserError, match="no training slide of class 'b' has patches in fold 0"):
        judged(bags=bags)


def test_standardised_heads_do_not_depend_on_the_scale_of_the_features():
    small, large = (judged(bags=planted_bags(scale), standardise=True, epochs=3) for scale in (2.0**-10, 2.0**10))
    np.testing.assert_allclose([t.probabilities for t in small], [t.probabilities for t in large], rtol=1e-4, atol=1e-6)


def test_the_script_writes_the_same_bytes_twice_and_attention_beside_the_coordinates(tmp_path):
    write_splits(tmp_path / "splits.csv", [m for m in MEMBERS if m.fraction == 0.5])
    bags = planted_bags() | {"s05": Bag(np.zeros((0, 12), np.float32), np.zeros((0, 2), np.int64))}
    (tmp_path / "features").mkdir()
    for slide, bag in bags.items():
        with h5py.File(tmp_path / "features" / f"{slide}.h5", "w") as file:
            file["features"], file["coords"] = bag.features, np.arange(2 * len(bag.features)).reshape(-1, 2)
    for name in ("one", "two"):
        train_mil.main(
            [
                *("--splits", str(tmp_path / "splits.csv"), "--task", "t", "--encoder", "e", "--device", "cpu"),
                *("--features", str(tmp_path / "features")),
                *("--settings", json.dumps({**SETTINGS, "epochs": 1, "seeds": [1]})),
                *("--predictions", str(tmp_path / f"{name}.csv"), "--attention", str(tmp_path / f"{name}.h5")),
            ]
        )
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    with (tmp_path / "one.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["fraction"] for row in rows] == ["0.5"] * len(SLIDES)
    assert all(float(row["p_a"]) + float(row["p_b"]) == pytest.approx(1) for row in rows)
    with h5py.File(tmp_path / "one.h5") as file:
        assert sorted(file) == [slide.slide for slide in SLIDES]
        assert dict(file.attrs) == {"task": "t", "encoder": "e", "model": "abmil", "fraction": 0.5, "seed": 1}
        for slide, group in file.items():
            assert len(group["attention"]) == len(group["coords"]) == len(bags[slide].features)
