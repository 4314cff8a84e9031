import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from histossl.devices.lease import lease_devices, visible_devices

SCRIPTS = Path(__file__).parents[3] / "workflow/scripts"
HOLD = """
import sys, time
from pathlib import Path
from histossl.devices.lease import lease_devices
devices, locks = lease_devices(sys.argv[3].split(","), int(sys.argv[2]), Path(sys.argv[1]))
print(",".join(devices), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Start a process that leases devices and keeps them until its standard input is closed."""
    started = []

    def start(count, devices="0,1,2,3"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path / "leases"), str(count), devices],
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.__exit__(None, None, None)


def granted(process):
    return process.stdout.readline().strip().split(",")


def waits(process, seconds=1.0):
    """Whether a process is still without devices after some time."""
    os.set_blocking(process.stdout.fileno(), False)
    time.sleep(seconds)
    line = process.stdout.readline()
    os.set_blocking(process.stdout.fileno(), True)
    return line == "" and process.poll() is None


@pytest.mark.parametrize(
    ("stated", "devices"),
    [
        ("0,1,2,3", ["0", "1", "2", "3"]),
        (" 2 , 3 ", ["2", "3"]),
        ("GPU-ab,MIG-cd/1/0", ["GPU-ab", "MIG-cd/1/0"]),
        ("", []),
        ("-1", []),
        ("1,1", ["1"]),
    ],
)
def test_visible_devices_are_those_of_the_environment(stated, devices):
    assert visible_devices({"CUDA_VISIBLE_DEVICES": stated}) == devices


def test_without_the_variable_the_devices_of_the_machine_are_visible(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf 'GPU-aa\\nGPU-bb\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert visible_devices({}) == ["GPU-aa", "GPU-bb"]


def test_without_a_driver_there_is_no_device(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices({}) == []


def test_processes_at_the_same_time_get_different_devices(hold):
    processes = [hold(1) for _ in range(4)]
    assert sorted(device for process in processes for device in granted(process)) == ["0", "1", "2", "3"]


def test_a_killed_holder_frees_its_device(hold):
    first, second = hold(1, "0"), hold(1, "0")
    holder, waiting = (first, second) if not waits(first, 1.5) else (second, first)
    assert waits(waiting, 0.2)
    holder.send_signal(signal.SIGKILL)
    assert granted(waiting) == ["0"]


def test_several_devices_are_granted_together_and_are_distinct(hold):
    two = hold(2)
    assert len(set(granted(two))) == 2
    three = hold(3)
    assert waits(three)
    two.stdin.close()
    assert len(set(granted(three))) == 3


def test_a_job_that_wants_many_is_not_overtaken(hold):
    holder = hold(1, "0,1")
    granted(holder)
    many = hold(2, "0,1")
    assert waits(many)
    late = hold(1, "0,1")
    assert waits(late)
    holder.stdin.close()
    assert set(granted(many)) == {"0", "1"}
    many.stdin.close()
    assert len(granted(late)) == 1


def test_a_job_that_wants_more_than_there_are_gets_all(tmp_path):
    devices, locks = lease_devices(["0", "1"], 5, tmp_path / "leases")
    assert devices == ["0", "1"]
    for lock in locks:
        assert os.get_inheritable(lock)
        os.close(lock)


def test_names_with_slashes_can_be_leased(tmp_path):
    devices, locks = lease_devices(["MIG-ab/1/0"], 1, tmp_path / "leases")
    assert devices == ["MIG-ab/1/0"]
    os.close(locks[0])
