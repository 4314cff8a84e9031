"""Finished results whose configuration has every key, and dry runs on them.

The tiny cohort is run; what its configuration lacks is beside it as empty files that Snakemake takes for results.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.conftest import REPOSITORY, Workplace
from tests.workflow.reruns.dry_runs import DryRuns, start_dry_runs
from tests.workflow.reruns.every_key import every_key, furnish

SOURCES = ("Snakefile", "rules", "workflow", "config", "envs", "profiles", "report")


@pytest.fixture(scope="session")
def dry() -> Iterator[DryRuns]:
    with start_dry_runs() as started:
        yield started


@pytest.fixture(scope="session")
def complete(finished: Workplace, dry: DryRuns, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Finished results of `every_key`, which no test changes."""
    place = Workplace(tmp_path_factory.mktemp("complete") / "place")
    shutil.copytree(finished.folder, place.folder)  # with times of change
    furnish(place)
    place.write_config(every_key())
    made = [file for job in dry.plan(place.folder, every_key(), pages=True) for file in job.output]
    for file in map(place.folder.joinpath, made):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch() if file.suffix else file.mkdir(exist_ok=True)
    # `--force`, because a job without input would be taken for done by its file, and nothing noted of its parameters.
    run = place.snakemake("--touch", "--cores", "2", "--force", *made)
    assert run.returncode == 0, (run.stdout + run.stderr)[-8000:]
    return place


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources elsewhere and of today, with one more published study."""
    folder = copy_sources(tmp_path_factory.mktemp("clone"))
    studies = folder / "config/published"
    shutil.copyfile(studies / "chen_krishnan_2022.yaml", studies / "another_study.yaml")
    return folder


def copy_sources(folder: Path) -> Path:
    """Copy what the workflow is made of to `folder`, without the times of change."""
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored, copy_function=shutil.copyfile)
        else:
            folder.mkdir(exist_ok=True)
            shutil.copyfile(REPOSITORY / name, folder / name)
    return folder
