"""Two workflows of one user at once on two GPUs that are not there; jobs and a whole workflow are killed in between."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import REPOSITORY

pytestmark = pytest.mark.slow
UUIDS = ["GPU-aaaa-1111", "GPU-bbbb-2222"]
SNAKEFILE = """
rule all:
    input: expand("{i}.done", i=range(10))

rule hold:
    output: "{i}.done"
    resources: gpu=1
    retries: 9
    shell:
        "python {config[launch]:q} --gpus={resources.gpu} {config[job]:q} {config[shared]:q} {output:q}"
"""
# What holds a device locks a file of its own for as long as it lives: who finds it locked shares the device.
JOB = f"""
import fcntl, os, sys, time
from pathlib import Path
shared, output = map(Path, sys.argv[1:])
uuids = {UUIDS}
(device,) = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
device = uuids[int(device)] if device.isdecimal() else device
alive = (shared / f"{{device}}.alive").open("a")
try:
    fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    (shared / "collision").touch()
(shared / f"{{os.getpid()}}.job").write_text(device)
time.sleep(0.5)
(shared / f"{{os.getpid()}}.job").unlink()
output.touch()
"""


class Workflow:
    """A run of the Snakefile in a folder of its own, in a session of its own."""

    def __init__(self, shared: Path, folder: Path, environment: dict[str, str]) -> None:
        self.shared, self.folder = shared, folder
        folder.mkdir()
        (folder / "Snakefile").write_text(SNAKEFILE)
        inherited = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")}
        path = f"{shared}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**inherited, "PATH": path, "HISTOSSL_GPU_LOCKS": str(shared), **environment}
        self.start()

    def start(self, *arguments: str) -> None:
        launch = REPOSITORY / "workflow/scripts/launch.py"
        values = [f"launch={launch}", f"job={self.shared / 'job.py'}", f"shared={self.shared}"]
        command = [sys.executable, "-m", "snakemake", "--cores=4", "--resources", "gpu=2", "--config", *values]
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "said.txt").open("w"),
            start_new_session=True,
        )

    def said(self) -> str:
        return (self.folder / "said.txt").read_text()

    def done(self) -> int:
        return len(list(self.folder.glob("*.done")))


def alive(shared: Path) -> dict[int, str]:
    """Process ids of the jobs that hold a device now, and which."""
    found = {}
    for path in shared.glob("*.job"):
        with contextlib.suppress(FileNotFoundError):  # it has ended since the files were listed
            if Path(f"/proc/{path.stem}").exists() and (device := path.read_text()):
                found[int(path.stem)] = device
    return found


def test_no_two_live_jobs_hold_one_device_whatever_is_killed(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "job.py").write_text(JOB)
    (shared / "nvidia-smi").write_text("#!/bin/sh\nprintf '%s\\n' " + " ".join(UUIDS) + "\n")
    (shared / "nvidia-smi").chmod(0o755)
    # One names its devices by number, the other by UUID; and they have temporary folders of their own.
    numbers = Workflow(shared, tmp_path / "numbers", {"CUDA_VISIBLE_DEVICES": "0,1", "TMPDIR": str(tmp_path)})
    uuids = Workflow(shared, tmp_path / "uuids", {})
    draw, together, killed_jobs, killed_workflows = random.Random(1), 0, 0, 0
    deadline = time.monotonic() + 150
    try:
        while numbers.process.poll() is None or uuids.process.poll() is None:
            assert time.monotonic() < deadline
            assert not (shared / "collision").exists()
            jobs = alive(shared)
            together = max(together, len(set(jobs.values())))
            if jobs and killed_jobs < 5 and draw.random() < 0.1:
                os.kill(draw.choice(sorted(jobs)), signal.SIGKILL)
                killed_jobs += 1
            if killed_workflows < 2 and uuids.done() > 2 * killed_workflows and uuids.process.poll() is None:
                # First Snakemake alone, whose jobs live on and hold their devices; then it and all its jobs.
                (os.kill if killed_workflows == 0 else os.killpg)(uuids.process.pid, signal.SIGKILL)
                uuids.process.wait()
                killed_workflows += 1
                uuids.start("--nolock", "--rerun-incomplete")
            time.sleep(0.05)
    finally:
        for workflow in (numbers, uuids):
            if workflow.process.poll() is None:
                os.killpg(workflow.process.pid, signal.SIGKILL)
                workflow.process.wait()
    assert numbers.process.returncode == 0, numbers.said()
    assert uuids.process.returncode == 0, uuids.said()
    assert (numbers.done(), uuids.done()) == (10, 10)
    assert not (shared / "collision").exists()
    assert (together, killed_jobs, killed_workflows) == (2, 5, 2)
