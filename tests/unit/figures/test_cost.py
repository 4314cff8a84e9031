import io
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from histossl.errors import UserError
from histossl.figures.cost import Cost, embedding_rate, read_costs, training_hours, write_costs
from histossl.progress import Progress

SOURCES = Path(__file__).resolve().parents[3] / "workflow/scripts/histossl"


def test_hours_are_those_of_all_processes_and_starts(tmp_path):
    curve, log = tmp_path / "training.jsonl", tmp_path / "net.log"
    curve.write_text('{"step": 0, "hours": 0.1}\n{"step": 9, "hours": 1.5}\n')
    log.write_text("[net] resuming after 3 of 9 steps of 64 patches, 4 process(es) on cuda\n[net] 9/9 steps\n")
    assert training_hours(curve, log) == (6.0, "cuda")
    assert training_hours(curve, tmp_path / "none.log") == (None, None)
    log.write_text("killed")
    assert training_hours(curve, log) == (None, None)


def test_the_training_log_still_says_so():
    text = (SOURCES / "ssl/training_log.py").read_text(encoding="utf-8")
    assert '{processes.count} process(es) on {processes.device.type}"' in text


def test_a_damaged_curve_is_named(tmp_path):
    (tmp_path / "net.log").write_text("[net] training for 9 steps of 4 patches, 1 process(es) on cpu\n")
    (tmp_path / "training.jsonl").write_text("{")
    with pytest.raises(UserError, match="not a readable training curve"):
        training_hours(tmp_path / "training.jsonl", tmp_path / "net.log")


def test_the_rate_is_the_median_of_what_jobs_said_last(tmp_path):
    said = io.StringIO()
    with redirect_stderr(said):  # the line as it is written today
        progress = Progress("embed net", 2, "slides", every_s=0)
        progress.started -= 10
        progress.advance(1, images=300)
        progress.advance(1, images=1000)
    texts = [
        said.getvalue(),
        "[embed n] 9/9 patches, 300 images/s, took 0:02\n",
        "[embed n] 9/9 patches, 5 images/s, took 0:02",
    ]
    for index, text in enumerate([*texts, "nothing embedded", "[embed n] 3/9 slides, 7 images/s, 0:03 left"]):
        (tmp_path / f"{index}.log").write_text(text)
    logs = sorted(tmp_path.iterdir())
    assert embedding_rate(logs[:1]) == pytest.approx(100, abs=1)
    assert embedding_rate(logs) == pytest.approx(100, abs=1)
    assert embedding_rate(logs[3:]) is None and embedding_rate([]) is None


def test_costs_are_read_as_they_were_written(tmp_path):
    costs = [Cost("a", 10, 1.5, "cuda", 100.0), Cost("b")]
    write_costs(tmp_path / "cost.csv", costs)
    assert list(read_costs(tmp_path / "cost.csv").values()) == costs
    (tmp_path / "cost.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="not a readable table of costs"):
        read_costs(tmp_path / "cost.csv")
