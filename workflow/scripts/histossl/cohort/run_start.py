"""What is looked at before the first job is sent to Slurm. Read at each start of the workflow: nothing heavy here."""

import json
import re
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from histossl.config.sheets import SlideRow
from histossl.errors import UserError
from histossl.files import write_text_whole

if TYPE_CHECKING:
    from snakemake.jobs import Job
    from snakemake.workflow import Workflow

SQUEUE = ["squeue", "--me", "--noheader", "--format=%i|%Z|%k"]
"""Each job's id, folder and comment. The Slurm plugin's comments name the rule."""
UNKNOWN_PLACE = re.compile(r"invalid (partition|account)", re.IGNORECASE)
"""What sbatch says of a partition or an account that isn't there."""
FOR_SHELL, FOR_SNAKEMAKE = "'", ","
"""What a name passed to a job may not hold: the job's shell would run a part of it; the list of names ends there."""


def check_slurm_run(slides: Mapping[str, SlideRow], folder: Path) -> None:
    """Look at what would go wrong within jobs, or make two jobs write the same file.

    Args:
        slides: the rows of the slide sheet, by id.
        folder: the one that Snakemake runs in.

    Raises:
        UserError: a name can't be passed to a job, jobs of another run are at work here, or Slurm gives no answer.
    """
    for row in slides.values():
        refused = {row.slide: FOR_SHELL + FOR_SNAKEMAKE, row.path: FOR_SHELL, row.tissue_path: FOR_SHELL}
        for name, characters in refused.items():
            if found := set(name) & set(characters):
                raise UserError(f"{name}: a name with {min(found)} can't be passed to a Slurm job; rename it")
    if jobs := jobs_at_work(folder):
        raise UserError(
            f"{len(jobs)} Slurm job(s) of another run are still at work in {folder}; start again when they have ended, "
            f"or end them with `scancel {' '.join(jobs)}`"
        )


def check_places(workflow: "Workflow") -> None:
    """Ask Slurm whether it knows the partitions and accounts that jobs of this run will name.

    Snakemake, whose submission fails for that, may wait for ever for jobs that were never sent.

    Args:
        workflow: after it has found out what is to be done.

    Raises:
        UserError: Slurm doesn't know one. Its other answers count for nothing: the question lacks a job's time, memory
            and GPUs.
    """
    asked = [job.resources for job in workflow.dag.needrun_jobs() if not job.is_local]
    places = {(each.get("slurm_partition"), each.get("slurm_account")) for each in asked}
    for partition, accounts in sorted(places, key=str):
        account = str(accounts).split(",")[0].strip() if accounts else ""  # the plugin takes the first
        options = [f"--partition={partition}"] * bool(partition) + [f"--account={account}"] * bool(account)
        question = ["sbatch", "--test-only", *options, "--wrap=true"]
        try:
            answer = subprocess.run(question, capture_output=True, text=True, check=False, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if answer.returncode and UNKNOWN_PLACE.search(answer.stderr):
            reason = "; ".join(answer.stderr.strip().splitlines())
            raise UserError(f"Slurm refuses {' '.join(options)} ({reason}); correct it in the profile")


def jobs_at_work(folder: Path) -> list[str]:
    """The ids of this user's Slurm jobs, waiting or running, that a Snakemake in `folder` has submitted.

    Raises:
        UserError: Slurm gives no answer.
    """
    try:
        answer = subprocess.run(SQUEUE, capture_output=True, text=True, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        raise UserError(f"squeue can't say which jobs are at work ({reason}); start again when it answers") from error
    jobs = []
    for line in answer.stdout.splitlines():
        number, _, rest = line.partition("|")
        its_folder, is_ours, _ = rest.partition("|rule_")
        if is_ours and Path(its_folder).resolve() == folder.resolve():
            jobs.append(number)
    return jobs


def record_unwatched(workflow: "Workflow") -> None:
    """Write down with which settings results were made that ended while no Snakemake was there to do so.

    Without such a record, which only the Snakemake that submits jobs writes, a changed setting would rerun nothing.
    What each job is asked to make is kept beside Snakemake's own records from the start of a run on, so that settings
    that were edited before the next start are not taken for those of results that an earlier run had asked for.

    Args:
        workflow: after it has found out what is to be done.

    Raises:
        UserError: settings have changed since such results were asked for.
    """
    file = workflow.persistence.path / "histossl_asked.json"
    asked = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    jobs = [job for job in workflow.dag.jobs if job.output]
    unwatched = [job for job in jobs if not workflow.dag.needrun(job) and not workflow.persistence.has_metadata(job)]
    # Results that no run here has asked for were copied from elsewhere: nobody knows their settings.
    unwatched = [job for job in unwatched if job.output[0] in asked]
    if changed := [job for job in unwatched if asked[job.output[0]] != _describe(workflow, job)]:
        rules = " ".join(sorted({job.rule.name for job in changed}))
        raise UserError(
            f"{len(changed)} result(s), such as {changed[0].output[0]}, were finished while no Snakemake was there, "
            f"with settings that have changed since; set them back, or start once with `--forcerun {rules}`"
        )
    for job in unwatched:
        workflow.async_run(workflow.persistence.finished(job))
    now = {job.output[0]: _describe(workflow, job) for job in jobs if workflow.dag.needrun(job)}
    write_text_whole(file, json.dumps(asked | now))


def _describe(workflow: "Workflow", job: "Job") -> int:
    """Fingerprint of what Snakemake compares to tell whether a job has changed: its parameters, inputs and command."""
    kept = workflow.persistence
    return zlib.crc32(repr((kept._params(job), kept._input(job), kept._code(job.rule))).encode())
