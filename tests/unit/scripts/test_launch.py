import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import launch
from histossl.devices import srun
from histossl.devices.machine import MARK, UNKNOWN
from histossl.errors import UserError

LAUNCH = Path(launch.__file__)
SHOW = "import os, sys; print(os.environ.get('CUDA_VISIBLE_DEVICES'), sys.argv[1:], flush=True); sys.stdin.read()"


@pytest.fixture
def start(tmp_path):
    """Launch a script that shows its devices and arguments, and stays until its standard input is closed."""
    script = tmp_path / "show it.py"
    script.write_text(SHOW)
    started = []

    def run(gpus, *arguments, **environment):
        inherited = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")}
        process = subprocess.Popen(
            [sys.executable, str(LAUNCH), f"--gpus={gpus}", str(script), *arguments],
            env={**inherited, "HISTOSSL_GPU_LOCKS": str(tmp_path), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.__exit__(None, None, None)


def shown(process):
    return process.stdout.readline().rstrip("\n")


def test_without_gpus_none_is_visible_and_arguments_pass_unchanged(start):
    process = start(0, "--name=a b", "-x", "--gpus=7", "", "$(x)", CUDA_VISIBLE_DEVICES="0,1")
    assert shown(process) == " ['--name=a b', '-x', '--gpus=7', '', '$(x)']"


def test_jobs_at_the_same_time_see_different_devices_and_free_them_when_killed(start):
    jobs = [start(1, CUDA_VISIBLE_DEVICES="0,1,2,3") for _ in range(4)]
    devices = [shown(job).split()[0] for job in jobs]
    assert sorted(devices) == ["0", "1", "2", "3"]
    jobs[2].kill()
    assert shown(start(1, CUDA_VISIBLE_DEVICES="0,1,2,3")).split()[0] == devices[2]


def test_where_no_gpu_is_visible_it_runs_on_the_cpu_and_says_so(start):
    process = start(2, CUDA_VISIBLE_DEVICES="")
    assert shown(process) == " []"
    process.stdin.close()
    assert "running on the CPU" in process.stderr.read()


def test_fewer_gpus_than_asked_for_are_used_and_it_says_so(executed, started, monkeypatch, capsys):
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "4,5")
    with pytest.raises(SystemExit):
        launch.main(["--gpus=4", "train.py"])
    assert (started[0][1], started[0][4]["CUDA_VISIBLE_DEVICES"]) == (2, "4,5")
    said, machine = capsys.readouterr().err.splitlines()
    assert said == "2 of 4 GPUs are visible here: running on what there is"
    assert json.loads(machine.removeprefix(MARK))["gpus"] == [UNKNOWN, UNKNOWN]


def test_locks_that_cannot_be_kept_are_one_sentence(start, tmp_path):
    process = start(1, CUDA_VISIBLE_DEVICES="0", HISTOSSL_GPU_LOCKS=str(tmp_path / "nowhere"))
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert said.startswith(f"error: {tmp_path}/nowhere/histossl-gpus-") and said.count("\n") == 1


def test_the_exit_code_is_the_scripts(tmp_path):
    script = tmp_path / "fail.py"
    script.write_text("raise SystemExit(7)")
    command = [sys.executable, str(LAUNCH), "--gpus=0", str(script)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 7


@pytest.fixture
def executed(monkeypatch, tmp_path):
    """What `main` would become, without becoming it."""
    calls = []
    monkeypatch.setattr(os, "execve", lambda program, command, environment: calls.append((command, environment)))
    monkeypatch.setenv("HISTOSSL_GPU_LOCKS", str(tmp_path))
    monkeypatch.setattr(launch, "machine_devices", list)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return calls


@pytest.fixture
def started(monkeypatch):
    """What torchrun would start, without starting it."""
    from histossl.devices import torchrun

    calls = []
    monkeypatch.setattr(torchrun, "start_processes", lambda *call: calls.append((*call, dict(os.environ))))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return calls


def test_several_devices_start_a_process_each(executed, started, monkeypatch):
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "4,5,6")
    with pytest.raises(SystemExit):
        launch.main(["--gpus=2", "train.py", "--x=1"])
    ((command, processes, nodes, _, environment),) = started
    assert (command, processes, nodes) == (["train.py", "--x=1"], 2, 1)
    assert environment["CUDA_VISIBLE_DEVICES"] == "4,5"
    assert not executed


def test_on_several_nodes_srun_starts_one_on_each(monkeypatch):
    called = []
    monkeypatch.setattr(os, "execvp", lambda program, command: called.append(command) or sys.exit())
    monkeypatch.setattr(srun.shutil, "which", lambda _: "/usr/bin/srun")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.delenv("SLURM_JOB_NUM_NODES", raising=False)
    with pytest.raises(SystemExit):
        launch.main(["--gpus=4", "--nodes=3", "train.py", "--x=1"])
    (command,) = called
    assert {"--nodes=3", "--ntasks=3", "--ntasks-per-node=1"} <= set(command)
    (meet,) = [argument for argument in command if argument.startswith("--meet=")]
    assert command[-4:] == ["--gpus=4", "--nodes=3", "train.py", "--x=1"]
    assert int(meet.rsplit(":", 1)[1]) > 0


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [({}, "within a Slurm job alone"), ({"SLURM_JOB_ID": "17", "SLURM_JOB_NUM_NODES": "1"}, "has 1 node")],
)
def test_nodes_that_are_not_there_are_one_sentence(monkeypatch, environment, sentence):
    monkeypatch.setattr(srun.shutil, "which", lambda _: "/usr/bin/srun")
    with pytest.raises(UserError, match=sentence):
        srun.srun_command(2, environment)


def test_each_of_several_nodes_must_have_a_gpu_where_they_are_asked_for(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UserError, match="no GPU is visible on"):
        launch.main(["--gpus=1", "--nodes=2", "--meet=a:1", "train.py"])


def test_one_process_on_each_of_two_nodes_is_torchruns_too(started, monkeypatch):
    with pytest.raises(SystemExit):
        launch.main(["--gpus=0", "--nodes=2", "--meet=a:1", "train.py"])
    assert started[0][:4] == (["train.py"], 1, 2, "a:1")


def test_every_slurm_job_leases_from_its_own_devices(executed, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    for job in ("17", "17", "18"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        launch.main(["--gpus=1", "train.py"])
    # Two tasks of one job share its devices out; another job's are its own, though they have the same numbers.
    assert [environment["CUDA_VISIBLE_DEVICES"] for _, environment in executed] == ["2", "3", "2"]
    assert all(command == [sys.executable, "train.py"] for command, _ in executed)
