"""What each stage cost: Snakemake's benchmark files, and the GPUs that a job's log names."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from histossl.devices.machine import read_machines
from histossl.errors import UserError

GPU_STAGES = ("pretrain", "embed_slides", "embed_patches", "train_mil")
"""Stages whose jobs `launch.py` starts; the others use no GPU."""
CAPTION = (
    "Of each job below results/benchmarks its last attempt that came to an end, also of encoders and tasks that the "
    "configuration no longer names. A job that ran again and found its files valid has replaced the figures of the one "
    "that made them. hours: on the clock, added up over jobs that may have run side by side. cpu_hours: processor time "
    "of the job and its children on the node where it was started, sampled by Snakemake, which misses most of a job of "
    "a second or two. gpu_hours: hours times the GPUs that the job was granted, by its log; empty where a log does not "
    "say. peak_gb: of the largest job. Attempts that failed or were killed, and energy, were not measured."
)


def summarise_costs(benchmarks: Path, logs: Path, stages: Sequence[str]) -> list[dict[str, Any]]:
    """One row a stage, the first in the order of `stages`; the last adds them up.

    Args:
        benchmarks: folder of `{stage}/....tsv` or `{stage}.tsv`.
        logs: folder with a log of the same name for each.
        stages: the rules in the order of the pipeline; others come after them.

    Raises:
        UserError: a benchmark file is damaged.
    """
    jobs: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        name = path.relative_to(benchmarks)
        stage = name.parts[0].removesuffix(".tsv")
        log = logs / name.with_name(name.name.removesuffix(".tsv") + ".log")
        jobs.setdefault(stage, []).append(read_benchmark(path) | _gpus(stage, log))
    order = [*(stage for stage in stages if stage in jobs), *sorted(set(jobs) - set(stages))]
    rows = [{"stage": stage, **_add_up(jobs[stage])} for stage in order]
    return [*rows, {"stage": "all", **_add_up([job for stage in order for job in jobs[stage]])}]


def read_benchmark(path: Path) -> dict[str, float | None]:
    """A job's seconds, processor seconds and peak memory (MB); None where Snakemake could not measure.

    Raises:
        UserError: it is damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file, delimiter="\t")
        return {"s": float(row["s"]), "cpu_s": _measured(row["cpu_time"]), "rss_mb": _measured(row["max_rss"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a readable benchmark ({error}); delete it and rerun") from error


def _measured(text: str) -> float | None:
    """Jobs of less than a second have NA or a dash."""
    try:
        return float(text)
    except ValueError:
        return None


def _gpus(stage: str, log: Path) -> dict[str, Any]:
    """How many GPUs a job had, and what they are called."""
    if stage not in GPU_STAGES:
        return {"gpus": 0, "names": []}
    machines = read_machines(log)
    names = [name for machine in machines for name in machine["gpus"]]
    return {"gpus": len(names) if machines else None, "names": names}


def _add_up(jobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    gpu_s = [job["gpus"] and job["s"] * job["gpus"] for job in jobs]
    peak_mb = max((job["rss_mb"] for job in jobs if job["rss_mb"] is not None), default=None)
    return {
        "jobs": len(jobs),
        "hours": _hours(job["s"] for job in jobs),
        "cpu_hours": _hours(job["cpu_s"] for job in jobs),
        "gpu_hours": None if None in gpu_s else _hours(gpu_s),
        "longest_job_hours": _hours([max((job["s"] for job in jobs), default=0)]),
        "peak_gb": None if peak_mb is None else round(peak_mb * 2**20 / 1e9, 3),
        "gpus": "; ".join(sorted({name for job in jobs for name in job["names"]})),
    }


def _hours(seconds: Iterable[float | None]) -> float | None:
    """Their sum; None where none was measured. Those that were not are jobs of a second or two."""
    measured = [each for each in seconds if each is not None]
    return round(sum(measured) / 3600, 4) if measured else None
