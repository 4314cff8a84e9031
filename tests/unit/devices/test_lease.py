import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from histossl.devices import lease
from histossl.devices.lease import lease_devices, lease_folder, machine_devices, visible_devices
from histossl.errors import UserError

SCRIPTS = Path(__file__).parents[3] / "workflow/scripts"
HOLD = """
import sys, time
from pathlib import Path
from histossl.devices.lease import lease_devices
machine = sys.argv[4].split(",") if sys.argv[4] else []
devices, locks = lease_devices(sys.argv[3].split(","), int(sys.argv[2]), Path(sys.argv[1]), machine)
print(",".join(devices), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Start a process that leases devices and keeps them until its standard input is closed."""
    started = []

    def start(count, devices="0,1,2,3", machine=""):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path / "leases"), str(count), devices, machine],
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
        # As CUDA reads the list: up to the first that is none.
        ("0,-1,1", ["0"]),
        ("NoDevFiles", []),
        ("2,,1", ["2"]),
    ],
)
@pytest.mark.parametrize("slurm", [{}, {"SLURM_JOB_ID": "17"}])
def test_visible_devices_are_those_of_the_environment(stated, devices, slurm):
    assert visible_devices({"CUDA_VISIBLE_DEVICES": stated, **slurm}, []) == devices


def test_a_number_beyond_the_machines_devices_is_none():
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "1,2,0"}, ["GPU-a", "GPU-b"]) == ["1"]


def test_without_the_variable_the_devices_of_the_machine_are_visible_but_in_slurm_none():
    assert visible_devices({}, ["GPU-a", "GPU-b"]) == ["GPU-a", "GPU-b"]
    assert visible_devices({"SLURM_JOB_ID": "17"}, ["GPU-a", "GPU-b"]) == []


@pytest.mark.parametrize(
    ("answer", "devices"),
    [
        ("printf 'GPU-aa\\nGPU-bb\\n'", ["GPU-aa", "GPU-bb"]),
        ("echo 'No devices were found'; exit 6", []),
    ],
)
def test_the_driver_names_the_machines_devices(monkeypatch, tmp_path, answer, devices):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert machine_devices() == devices


def test_without_a_driver_there_is_no_device(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine_devices() == []
    (tmp_path / "nvidia-smi").touch(0o644)
    assert machine_devices() == []


def test_where_the_locks_lie():
    own = f"histossl-gpus-{os.getuid()}"
    assert lease_folder({"TMPDIR": "/scratch"}) == Path("/tmp") / own
    assert lease_folder({"SLURM_JOB_ID": "17"}) == Path(tempfile.gettempdir()) / f"{own}-17"
    assert lease_folder({"HISTOSSL_GPU_LOCKS": "/a"}) == Path("/a") / own


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
    assert len(locks) == 3  # and the folder
    for lock in locks:
        assert os.get_inheritable(lock)
        os.close(lock)


def test_names_with_slashes_can_be_leased(tmp_path):
    devices, locks = lease_devices(["MIG-ab/1/0"], 1, tmp_path / "leases")
    assert devices == ["MIG-ab/1/0"]
    for lock in locks:
        os.close(lock)


def test_a_number_and_both_forms_of_a_uuid_are_one_device(hold):
    """One workflow runs with CUDA_VISIBLE_DEVICES=1, another without: they must not meet on a device."""
    machine = "GPU-aa-11,GPU-bb-22"
    number = hold(1, "1", machine)
    assert granted(number) == ["1"]
    whole, start = hold(1, "GPU-bb-22", machine), hold(1, "GPU-bb", machine)
    assert granted(hold(1, "GPU-aa-11,GPU-bb-22", machine)) == ["GPU-aa-11"]
    assert waits(whole) and waits(start, 0)
    number.kill()
    got = whole if not waits(whole, 1.0) else start
    got.kill()
    assert granted(start if got is whole else whole)[0].startswith("GPU-bb")


def test_the_same_device_by_two_names_is_leased_once(tmp_path):
    devices, _ = lease_devices(["0", "GPU-a", "1"], 3, tmp_path / "leases", ["GPU-aa", "GPU-bb"])
    assert devices == ["0", "1"]


def test_jobs_without_a_device_in_common_do_not_wait_for_each_other(hold):
    first = hold(1, "0")
    granted(first)
    assert waits(hold(1, "0"))
    assert granted(hold(1, "1")) == ["1"]


def test_overlapping_lists_do_not_block_each_other_for_ever(hold):
    lists = ["0,1", "1,2", "2,0", "2,1,0"]
    jobs = [hold(2, devices) for devices in lists]
    finished = 0
    deadline = time.monotonic() + 20
    while finished < len(jobs):
        assert time.monotonic() < deadline
        for job in [job for job in jobs if job.poll() is None and not waits(job, 0.05)]:
            job.kill()
            job.wait()
            finished += 1


def test_a_device_that_no_earlier_job_names_is_not_left_idle(hold):
    granted(hold(1, "1"))
    assert waits(hold(1, "1"))
    assert granted(hold(1, "0,1")) == ["0"]


def test_the_ticket_of_a_killed_job_holds_nobody_up(hold, tmp_path):
    first = hold(1, "0")
    granted(first)
    waiting = hold(1, "0")
    assert waits(waiting)
    waiting.kill()
    late = hold(1, "0")
    assert waits(late)
    first.kill()
    assert granted(late) == ["0"]
    assert not list((tmp_path / "leases").glob("*.ticket"))


def test_jobs_are_served_in_the_order_they_came(hold):
    first = hold(1, "0")
    granted(first)
    jobs = []
    for _ in range(3):
        jobs.append(hold(1, "0"))
        assert waits(jobs[-1], 0.6)
    for before, after in zip([first, *jobs], jobs, strict=False):
        before.kill()
        assert granted(after) == ["0"]


def test_who_waits_says_so(hold, capfd):
    granted(hold(1, "0"))
    assert waits(hold(1, "0"), 1.5)
    assert capfd.readouterr().err == "waiting for a free GPU\n"


def test_a_fork_that_outlives_its_job_keeps_the_device_and_a_program_started_anew_does_not(tmp_path, hold):
    leave = f"""
import os, subprocess, sys, time
from pathlib import Path
from histossl.devices.lease import lease_devices
lease_devices(["0"], 1, Path({str(tmp_path / "leases")!r}))
if sys.argv[1] == "fork":
    child = os.fork() or time.sleep(60)
else:
    child = subprocess.Popen(["sleep", "60"]).pid
print(child, flush=True)
os._exit(0)
"""
    for how, kept in (("popen", False), ("fork", True)):
        environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
        job = subprocess.Popen([sys.executable, "-c", leave, how], env=environment, stdout=subprocess.PIPE, text=True)
        child = int(job.stdout.readline())
        job.stdout.close()
        assert job.wait() == 0
        late = hold(1, "0")
        try:
            assert waits(late) == kept
        finally:
            os.kill(child, signal.SIGKILL)
        if kept:
            assert granted(late) == ["0"]
        late.kill()


def test_a_folder_of_another_user_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "leases").mkdir()
    monkeypatch.setattr(lease.os, "getuid", lambda: 12345)
    with pytest.raises(UserError, match=r"leases: the locks .* \(it belongs to another user\); .*HISTOSSL_GPU_LOCKS"):
        lease_devices(["0"], 1, tmp_path / "leases")


@pytest.mark.parametrize(
    ("folder", "why"), [("nowhere/leases", "No such file"), ("a file", "File exists"), ("leases", "Is a directory")]
)
def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path, folder, why):
    (tmp_path / "a file").touch()
    (tmp_path / "leases/0.lock").mkdir(parents=True)
    with pytest.raises(UserError, match=f"the locks of GPUs cannot be kept there .*{why}"):
        lease_devices(["0"], 1, tmp_path / folder)


def test_a_folder_in_use_is_locked_against_the_cleaning_of_old_files(tmp_path):
    _, locks = lease_devices(["0"], 1, tmp_path / "leases")
    folder = os.open(tmp_path / "leases", os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for lock in locks:
        os.close(lock)
    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(folder)
