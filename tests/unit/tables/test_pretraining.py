import pytest

from histossl.errors import UserError
from histossl.tables.pretraining import read_lines, summarise_training

CARD = {"method": "dino", "model": "vit_small_patch16_224", "slides": ["a", "b"], "training": {"batch": 64}}
EXAMINED = {"eval_feature_std": 0.5, "rankme": 20.0, "verdict": "healthy"}
START = {"step": 0, "loss": 9.0, "patches": 900, "eval_feature_std": 0.1, "rankme": 3.0, "verdict": "healthy"}
COMMON = {"damaged_patches": 2, "teacher_entropy_share": 0.4}


def line(step, rate, waiting, **more):
    return {
        "step": step,
        "loss": 5.0,
        "images_per_s": rate,
        "waiting_share": waiting,
        "hours": step / 100,
        **COMMON,
        **more,
    }


def test_a_row_tells_the_end_against_the_start():
    row = summarise_training("mine", CARD, [START, line(10, 100.0, 0.0), line(20, 100.0, 0.2, **EXAMINED)])
    assert row == {
        "encoder": "mine",
        "method": "dino",
        "model": "vit_small_patch16_224",
        "slides": 2,
        "patches": 900,
        "batch": 64,
        "steps": 20,
        "loss": 5.0,
        "feature_std": 0.5,
        "feature_std_start": 0.1,
        "rankme": 20.0,
        "rankme_start": 3.0,
        "teacher_entropy": 0.4,
        "knn": None,
        "knn_start": None,
        "images_per_s": pytest.approx(100.0),
        "waiting_share": pytest.approx(0.1),
        "damaged_patches": 2,
        "hours": 0.2,
        "verdict": "healthy",
    }


def test_speed_is_that_of_all_images_together():
    # 10 steps in 1 s and 10 in 3 s, of which 1.5 waited.
    row = summarise_training("mine", CARD, [START, line(10, 640.0, 0.0), line(20, 640 / 3, 0.5, **EXAMINED)])
    assert row["images_per_s"] == pytest.approx(1280 / 4)
    assert row["waiting_share"] == pytest.approx(1.5 / 4)


def test_a_collapse_that_was_let_go_on_stands_in_the_row():
    collapse = {**EXAMINED, "verdict": "constant output: output_std is 0"}
    curve = [START, line(10, 1.0, 0.0, **collapse), line(20, 1.0, 0.0, **EXAMINED)]
    assert summarise_training("mine", CARD, curve)["verdict"] == "constant output: output_std is 0 (step 10)"


@pytest.mark.parametrize("text", ["", "{", '{"step": 10, "loss": 1}\n', '{"step": 0}\n{"step": 10}\n'])
def test_a_curve_that_is_not_whole_is_refused(tmp_path, text):
    (tmp_path / "training.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"training.jsonl: not .* delete it and rerun"):
        read_lines(tmp_path / "training.jsonl")
