import json
import math

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from histossl.ssl.method import Horizon
from histossl.ssl.methods import METHODS
from histossl.ssl.processes import Processes
from histossl.ssl.settings import read_settings
from histossl.ssl.training_log import TrainingLog

ALONE = Processes(0, 1, torch.device("cpu"))
FIGURES = {"loss": torch.tensor(2.0)}


@pytest.fixture
def start(dino_values, tmp_path):
    settings = read_settings(dino_values, METHODS)

    def make(step=0, damaged=0):
        return TrainingLog(
            "small", settings, Horizon(40, 4), step, ALONE, tmp_path / "curve.jsonl", tmp_path / "events", 32, damaged
        )

    return make


def curve(tmp_path):
    return [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]


def seen(tmp_path):
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    return [event.step for event in events.Scalars("loss")]


def test_a_line_holds_figures_speed_and_damage(start, tmp_path):
    log = start()
    log.write(0, FIGURES, 1e-4, {"eval_feature_std": 0.3})
    log.waited(0.001)
    log.name_damaged(["a.h5: patch 3 of the set is damaged"])
    log.write(10, FIGURES, 1e-3)
    first, second = curve(tmp_path)
    assert (first["step"], first["patches"], first["verdict"]) == (0, 32, "healthy")
    assert "images_per_s" not in first
    assert second["images_per_s"] > 0
    assert 0 < second["waiting_share"] < 1
    assert (second["damaged_patches"], second["learning_rate"]) == (1, 1e-3)
    assert "verdict" not in second
    assert "gpu_memory_gb" not in second
    assert seen(tmp_path) == [0, 10]


def test_entropies_stand_against_the_uniform_output(start, tmp_path):
    entropies = {"teacher_entropy": torch.tensor(1.0), "mean_teacher_entropy": torch.tensor(2.0)}
    start().write(10, FIGURES | entropies, 1e-3)
    (line,) = curve(tmp_path)
    assert line["teacher_entropy_share"] == pytest.approx(1 / math.log(32), rel=1e-5)
    assert line["mean_teacher_entropy_share"] == pytest.approx(2 / math.log(32), rel=1e-5)
    assert line["output_difference"] == 1.0


def test_a_resumed_run_goes_on_counting(start, tmp_path, capsys):
    log = start()
    log.write(0, FIGURES, 1e-4)
    log.name_damaged(["one", "two"])
    log.write(10, FIGURES, 1e-3)
    log.name_damaged(["three"])  # after the last line, before the checkpoint of step 12
    kept = log.unwritten_damaged
    log.name_damaged(["lost with the steps that are done again"])
    log.write(20, FIGURES, 1e-3)
    before = curve(tmp_path)

    resumed = start(12, kept)
    assert [line["step"] for line in curve(tmp_path)] == seen(tmp_path) == [0, 10]
    assert resumed.start == before[0]
    resumed.write(20, FIGURES, 1e-3)
    assert curve(tmp_path)[-1]["damaged_patches"] == 3
    assert curve(tmp_path)[-1]["hours"] >= before[1]["hours"]
    assert seen(tmp_path) == [0, 10, 20]
    capsys.readouterr()
    resumed.finish(tmp_path / "encoder.pt", tmp_path / "training.jsonl")
    assert "warning: 3 times a damaged patch was replaced" in capsys.readouterr().err
    assert (tmp_path / "training.jsonl").read_text() == (tmp_path / "curve.jsonl").read_text()


def test_what_a_kill_or_a_power_cut_left_of_lines_is_passed_over(start, tmp_path):
    start().write(10, FIGURES, 1e-3)
    with (tmp_path / "curve.jsonl").open("ab") as file:
        file.write(b"\0" * 40 + b"\xff\n" + b'{"step": 12, "lo')
    start(12)
    assert [line["step"] for line in curve(tmp_path)] == seen(tmp_path) == [10]


def test_a_run_from_the_start_leaves_nothing_of_the_one_before(start, tmp_path):
    start().write(0, FIGURES, 1e-4)
    start().write(0, FIGURES, 1e-4)
    assert [line["step"] for line in curve(tmp_path)] == seen(tmp_path) == [0]


def test_a_pause_is_not_counted_in_the_speed(start, tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    log = start()
    now = 10.0
    with log.paused():
        now = 1000.0
    log.write(10, FIGURES, 1e-3)
    assert curve(tmp_path)[0]["images_per_s"] == 10 * 8 / 10
    assert curve(tmp_path)[0]["hours"] == pytest.approx(1000 / 3600, rel=1e-5)
