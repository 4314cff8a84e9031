"""The toy cluster as tests see it: its jobs, and a Snakemake that sends jobs to it."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml

from tests.slurm import cohort
from tests.workflow.conftest import REPOSITORY, Workplace

TOY = REPOSITORY / "tests/slurm/toy_slurm.sh"
ACCOUNT, JOBS_AT_ONCE = "lab", 2
"""An account and its quota: see toy_slurm.sh."""
SMALL = {
    "jobs": 20,
    "latency-wait": 10,
    "slurm-init-seconds-before-status-checks": 5,
    "slurm-keep-successful-logs": True,
    "group-components": {"slides": 4, "probes": 16},
    "resources": {"gpu": 16, "side_by_side": 2},
}
"""What the profile says differently here."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Job:
    """A job of Slurm's. `comment` is the rule and its wildcards, or the group; `limit` is its time, h:min:s."""

    number: str
    state: str
    node: str
    cores: int
    limit: str
    comment: str


def jobs_in(folder: Path, rule: str = "") -> list[Job]:
    """All jobs that were submitted from `folder` for a rule, those that have ended too, in the order of submission."""
    command = ["squeue", "--noheader", "--states=all", "--format=%i|%T|%N|%C|%l|%Z|%k"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = []
    for line in lines:
        number, state, node, cores, limit, place, comment = line.split("|", 6)
        if place == str(folder):
            found.append(Job(number, state, node, int(cores), limit, comment))
    return sorted((job for job in found if job.comment.startswith(f"rule_{rule}")), key=lambda job: int(job.number))


def accounted(folder: Path) -> list[tuple[str, str, str]]:
    """Account, start and end (ISO) of each job that has ended, as the accounting database has them."""
    command = ["sacct", "--allocations", "--noheader", "--parsable2", "--starttime=now-1days"]
    command += ["--format=Account,Start,End,WorkDir"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("|", 3) for line in lines]
    return [(account, start, end) for account, start, end, place in rows if place == str(folder) and end != "Unknown"]


def running(folder: Path, rule: str) -> list[Job]:
    return [job for job in jobs_in(folder, rule) if job.state == "RUNNING"]


def at_work(folder: Path) -> list[Job]:
    return [job for job in jobs_in(folder) if job.state in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")]


def wait_until(found: Callable[[], Found], seconds: float, what: str) -> Found:
    """What `found` returns as soon as it is true.

    Raises:
        AssertionError: it isn't in time.
    """
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.5)
    return value


@dataclass(frozen=True)
class SlurmPlace(Workplace):
    """A folder in which the workflow runs through profiles/slurm, with the tiny cohort."""

    def fill(self, config: dict, account: str = ACCOUNT, **pretrain: object) -> None:
        """Write the sheets, the configuration, and the profile with what is other here and for the rule `pretrain`."""
        self.write_config(config)
        self.write_sheet("slides.csv", cohort.slide_rows())
        self.write_sheet("phantom.csv", cohort.phantom_rows())
        profile = yaml.safe_load((REPOSITORY / "profiles/slurm/profile.yaml").read_text(encoding="utf-8"))
        profile |= SMALL
        profile["default-resources"]["slurm_account"] = account
        profile["set-resources"]["pretrain"] |= pretrain
        (self.folder / "profile").mkdir(exist_ok=True)
        (self.folder / "profile/profile.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")

    @contextmanager
    def head(self, *arguments: str) -> Iterator[subprocess.Popen]:
        """A Snakemake that runs in the background; what it says goes to head.log. Its jobs end with the test."""
        # Slurm's own programs, whatever else is called so on the PATH.
        folders = [
            Path(sys.executable).parent,
            Path(shutil.which("slurmctld", path="/usr/sbin:/sbin")).parent,
            "/usr/bin",
        ]
        path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        command += ["--configfile", "config.yaml", "--profile", "profile", *arguments]
        with (self.folder / "head.log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, "PATH": path}, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                    subprocess.run(["scancel", *(job.number for job in at_work(self.folder))], check=False)

    def said(self) -> str:
        return (self.folder / "head.log").read_text(errors="replace")

    def run(self, seconds: float, *arguments: str) -> int:
        """Run Snakemake to its end and return its exit code."""
        with self.head(*arguments) as process:
            return process.wait(seconds)

    def resumed_after(self, number: str) -> int:
        """The step after which a pretraining job says that it went on, 0 where it doesn't say so."""
        log = self.folder / f".snakemake/slurm_logs/rule_pretrain/dino/{number}.log"
        found = re.search(r"resuming after (\d+) of", log.read_text(errors="replace") if log.exists() else "")
        return int(found[1]) if found else 0

    def trained(self) -> int:
        """The last step in the working file of the pretraining that is under way, 0 where there is none."""
        steps = [0]
        for curve in self.folder.glob("results/checkpoints/*/*/curve.jsonl"):
            steps += [int(step) for step in re.findall(r'"step": (\d+)', curve.read_text())]
        return steps[-1]

    def saved(self) -> int:
        """The step of the newest checkpoint, 0 where there is none."""
        names = [path.stem for path in self.folder.glob("results/checkpoints/*/*/step-*.pt")]
        return max((int(name.removeprefix("step-")) for name in names), default=0)
