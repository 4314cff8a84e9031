"""Dry runs in a fraction of the time: Snakemake is imported once, and each dry run is a fork of that process.

`snakemake -n` of its own takes seconds to import what it needs. Here the same command line goes to the same functions
of Snakemake; the jobs are read from the records that it logs for its own output.
"""

import contextlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml

from tests.workflow.conftest import REPOSITORY

SIDE_BY_SIDE = 2
IMPORTED = [
    *("snakemake.cli", "snakemake.profiles", "snakemake.report.html_reporter", "snakemake.scheduling.job_scheduler"),
    *("smart_open", "jsonschema", "cv2", "torchstain", "pytest"),
]
"""What each dry run needs and no test edits: never a module of the library."""
FIGURES = set(re.findall(r"^rule (\w+):", (REPOSITORY / "rules/figures.smk").read_text(encoding="utf-8"), re.MULTILINE))
PAGES = {"show_table", "summarise_costs", "show_runs"}
"""The report's, which follow from whatever runs."""


@dataclass(frozen=True, order=True)
class Job:
    """A job that a dry run would start."""

    rule: str
    wildcards: tuple[tuple[str, str], ...]
    output: tuple[str, ...] = field(compare=False)

    def __getitem__(self, wildcard: str) -> str:
        return dict(self.wildcards)[wildcard]

    def __str__(self) -> str:
        return f"{self.rule}({', '.join(value for _, value in self.wildcards)})"


def rules(jobs: Iterable[Job]) -> set[str]:
    """The rules that have a job."""
    return {job.rule for job in jobs}


def computing(jobs: Iterable[Job]) -> set[str]:
    """The rules that have a job, but for those of figures, which follow from what they draw."""
    return rules(jobs) - FIGURES


def wildcards(jobs: Iterable[Job], rule: str, *names: str) -> set:
    """What the jobs of a rule are of: the values of a wildcard, or of several as tuples."""
    found = {tuple(job[name] for name in names) for job in jobs if job.rule == rule}
    return found if len(names) > 1 else {value for (value,) in found}


@contextlib.contextmanager
def start_dry_runs() -> Iterator["DryRuns"]:
    """Start the process that forks; it ends with the block."""
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    pool = ProcessPoolExecutor(SIDE_BY_SIDE, mp_context=context, max_tasks_per_child=1)
    try:
        yield DryRuns(pool)
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class DryRuns:
    """Dry runs, two at a time."""

    pool: ProcessPoolExecutor

    def start(
        self, folder: Path, config: Mapping[str, Any], repository: Path = REPOSITORY, pages: bool = False
    ) -> Future[list[Job]]:
        """Begin a dry run in `folder`; its result is that of `plan`."""
        return self.pool.submit(_plan_jobs, repository / "Snakefile", folder, config, pages)

    def plan(
        self, folder: Path, config: Mapping[str, Any], repository: Path = REPOSITORY, pages: bool = False
    ) -> list[Job]:
        """The jobs that would run in `folder`, `all` left out, and pages of the report where anything else runs.

        Args:
            folder: of the results.
            config: the configuration.
            repository: of the workflow.
            pages: leave out none of them.

        Raises:
            RuntimeError: Snakemake ends with an error; it says with which.
        """
        return self.start(folder, config, repository, pages).result()


def _plan_jobs(snakefile: Path, folder: Path, config: Mapping[str, Any], pages: bool) -> list[Job]:
    """For a process of its own, which it leaves changed."""
    from snakemake.cli import args_to_api, parse_args
    from snakemake.logging import logger

    jobs: list[Job] = []

    def note(record: logging.LogRecord) -> bool:
        if getattr(record, "event", None) == "job_info" and record.rule_name != "all":
            wildcards = tuple(sorted(record.wildcards.items()))
            jobs.append(Job(record.rule_name, wildcards, tuple(map(str, record.output))))
        return True

    logger.addFilter(note)  # not a handler: Snakemake takes those away when it starts
    with tempfile.TemporaryDirectory() as place, (Path(place) / "said.txt").open("w+", encoding="utf-8") as said:
        file = Path(place) / "config.yaml"
        file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
        command = ["--snakefile", str(snakefile), "--directory", str(folder), "--configfile", str(file)]
        try:
            parser, arguments = parse_args([*command, "--cores", "2", "--dry-run", "--nolock"])
            done = args_to_api(arguments, parser)
        except SystemExit:  # the end that the Snakefile makes of a mistake in the config
            done = False
        sys.stdout.flush()
        sys.stderr.flush()
        if not done:
            said.seek(0)
            raise RuntimeError(said.read())
    results = [job for job in jobs if job.rule not in PAGES]
    return jobs if pages or not results else results
