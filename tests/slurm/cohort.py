"""The tiny cohort of tests/workflow made smaller still: a Slurm job takes seconds to start, whatever it does."""

import copy

from tests.workflow import tiny

GPUS_ARE_PRETENDED = {"pretrain_gpus": 0, "embed_gpus": 0}
SLIDES = ("P02-1", "P04-1", tiny.QUOTED.replace("It's", "P"), tiny.STARRED)
"""Two patients of each class. Names still hold $(...), `...`, ; and &, but no quote, which Slurm's jobs can't take."""


def config(steps: int, **compute: int) -> dict:
    """One encoder, trained for so many steps, and a task of each kind."""
    small = copy.deepcopy(tiny.CONFIG)
    small["encoders"] = {"dino": small["encoders"]["dino"]}
    small["encoders"]["dino"]["pretrain"]["steps"] = steps
    small["features"]["slides_per_job"] = 2
    task = small["slide_tasks"]["subtype"]
    task["fractions"], task["models"] = [1.0], {"abmil": task["models"]["abmil"]}
    small["patch_tasks"] = {"tissue": small["patch_tasks"]["tissue"]}
    small["compute"] |= GPUS_ARE_PRETENDED | compute
    return small


def slide_rows() -> list[dict[str, str]]:
    """The lines of slides.csv."""
    return _chosen(tiny.slide_rows())


def phantom_rows() -> list[dict[str, str]]:
    """The lines of phantom.csv."""
    return _chosen(tiny.phantom_rows())


def _chosen(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    renamed = [{key: value.replace("It's", "P") for key, value in row.items()} for row in rows]
    return [row for row in renamed if row["slide"] in SLIDES]
