import re

import pytest

from histossl.progress import Progress, clock


@pytest.fixture
def clocked(monkeypatch):
    """A clock that the test moves."""
    now = [100.0]
    monkeypatch.setattr("histossl.progress.time.monotonic", lambda: now[0])
    return now


def test_first_and_last_are_printed_and_those_between_are_spaced(clocked, capsys):
    progress = Progress("embed", 100, "slides", every_s=5.0)
    for _ in range(100):
        clocked[0] += 0.1
        progress.advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("[embed] 1/100 slides")
    assert lines[-1].startswith("[embed] 100/100 slides")
    assert len(lines) == 3


def test_time_left_and_rate_follow_from_what_this_run_did(clocked, capsys):
    progress = Progress("dino", 100, "steps", done=50)
    clocked[0] += 20
    progress.advance(10, images=400, loss=4.1234567)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "[dino] 60/100 steps, loss 4.123, 20 images/s, 1:20 left"


def test_the_last_line_says_what_it_took(clocked, capsys):
    progress = Progress("dino", 2, "steps")
    clocked[0] += 3
    progress.advance(2)
    assert capsys.readouterr().err.endswith("took 0:03\n")


def test_nothing_goes_to_standard_output(capsys):
    Progress("a", 1, "steps").advance()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("seconds", [0, 0.4, 59, 59.6, 60, 3599.6, 3600, 36061])
def test_clock_reads_back_as_the_same_seconds(seconds):
    text = clock(seconds)
    assert re.fullmatch(r"\d+(:\d\d)+", text)
    value = 0
    for part in text.split(":"):
        value = value * 60 + int(part)
    assert abs(value - seconds) <= 0.5
