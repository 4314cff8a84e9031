import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import launch
from histossl.devices.machine import MARK

LAUNCH = Path(launch.__file__)
HEAD = """
import os, signal, sys, time
from pathlib import Path
from histossl.cli import run
from histossl.errors import UserError
rank, folder = int(os.environ["RANK"]), Path(sys.argv[1])
(folder / f"{rank}.tmp").write_text(str(os.getpid()))
(folder / f"{rank}.tmp").rename(folder / f"{rank}.pid")
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def start(tmp_path):
    """Launch a body as `main` of a script in two processes; each tells its process id in a file of its rank."""
    started = []

    def run(body):
        script = tmp_path / "script.py"
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        script.write_text(f"{HEAD}\ndef main():\n{lines}\nrun(main)\n")
        environment = {**os.environ, "PYTHONPATH": str(LAUNCH.parent), "TMPDIR": str(tmp_path)}
        command = [sys.executable, str(LAUNCH), "--gpus=0", "--processes=2", str(script), str(tmp_path)]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def wait_for_ranks(folder):
    """Process ids of both, once they are there."""
    paths = [folder / f"{rank}.pid" for rank in range(2)]
    deadline = time.monotonic() + 60
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [int(path.read_text()) for path in paths]


def words_of(process, timeout_s):
    """What it has said at its end, but for the line on the machine."""
    machine, _, words = process.communicate(timeout=timeout_s)[1].partition("\n")
    assert machine.startswith(MARK)
    return words


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_success_is_silent_and_nothing_is_left(start, tmp_path):
    process = start("print(os.environ['WORLD_SIZE'], os.environ['CUDA_VISIBLE_DEVICES'], file=sys.stderr)")
    said = words_of(process, 60)
    assert process.returncode == 0
    assert said == "2 \n2 \n"
    assert not list(tmp_path.glob("histossl-*"))


def test_what_all_processes_say_is_printed_once(start):
    process = start("raise UserError('a.csv: has no slide; add one')")
    assert words_of(process, 60) == "error: a.csv: has no slide; add one\n"
    assert process.returncode == 1


def test_a_sentence_of_one_process_comes_before_tracebacks_of_the_others(start):
    process = start("if rank: raise UserError('slide B')\nraise RuntimeError('connection closed')")
    assert words_of(process, 60) == "error: slide B\n"
    assert process.returncode == 1


def test_of_defects_the_first_traceback_is_printed(start):
    process = start("time.sleep(rank)\nraise KeyError(f'key of {rank}')")
    said = words_of(process, 60)
    assert said.count("Traceback") == 1
    assert "KeyError: 'key of 0'" in said
    assert process.returncode == 1


def test_when_a_process_is_killed_the_other_ends_too_and_the_kill_is_named(start, tmp_path):
    process = start("time.sleep(300)")
    ranks = wait_for_ranks(tmp_path)
    os.kill(ranks[1], signal.SIGKILL)
    assert words_of(process, 20) == (
        "error: process 1 was ended by SIGKILL; rerun, it goes on from the last checkpoint\n"
    )
    assert process.returncode == 1
    assert not any(is_alive(rank) for rank in ranks)


SAVES = """
ended = []
for number in (signal.SIGTERM, signal.SIGUSR1): signal.signal(number, lambda number, _: ended.append(number))
(folder / f"ready{rank}").touch()
while not ended: time.sleep(0.05)
time.sleep(2)
(folder / f"saved{rank}").touch()
sys.exit(128 + ended[0])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("times", [1, 4])
def test_a_signal_reaches_the_processes_and_more_of_them_do_not_cut_off_the_save(start, tmp_path, number, times):
    process = start(SAVES)
    ranks = wait_for_ranks(tmp_path)
    while not all((tmp_path / f"ready{rank}").exists() for rank in range(2)):
        time.sleep(0.05)
    for _ in range(times):
        os.kill(process.pid, number)
        time.sleep(0.2)
    assert words_of(process, 60) == ""
    assert process.returncode == 128 + number
    assert all((tmp_path / f"saved{rank}").exists() for rank in range(2))
    assert not any(is_alive(rank) for rank in ranks)


def test_reports_of_a_script_without_torchrun_are_its_own(tmp_path, monkeypatch, capsys):
    from histossl.cli import report

    report("error: a", expected=True)
    assert capsys.readouterr().err == "error: a\n"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    report("error: b", expected=True)
    assert capsys.readouterr().err == ""
    told = json.loads((tmp_path / "error.json").read_text())
    assert (told["message"], told["expected"]) == ("error: b", True)
