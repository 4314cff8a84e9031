"""The chain through profiles/slurm on a real Slurm, and what goes wrong on clusters."""

import json
import re
import shutil
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.slurm import cohort
from tests.slurm.cluster import ACCOUNT, JOBS_AT_ONCE, TOY, SlurmPlace, accounted, at_work, jobs_in, running, wait_until
from tests.workflow.conftest import read_table

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm"), pytest.mark.timeout(1200)]
ENCODER = "results/encoders/dino/encoder.pt"
STEPS = 300


@pytest.fixture(scope="module")
def chain(slurm, tmp_path_factory) -> SlurmPlace:
    """The finished chain. Its Snakemake was killed while the encoder was trained, and started again."""
    place = SlurmPlace(tmp_path_factory.mktemp("chain"))
    place.fill(cohort.config(STEPS))
    with place.head() as head:
        wait_until(lambda: head.poll() is not None or running(place.folder, "pretrain"), 300, "pretraining")
        assert head.poll() is None, place.said()[-8000:]
        head.kill()
        head.wait(10)
    submitted = jobs_in(place.folder)
    assert place.run(60, "--unlock") == 0, place.said()
    assert place.run(60) == 1, "a second run began while jobs of the first were at work"
    assert re.search(r"error: \d+ Slurm job\(s\) of another run .* end them with `scancel [\d ]+`", place.said())
    assert [job.number for job in jobs_in(place.folder)] == [job.number for job in submitted]
    wait_until(lambda: not at_work(place.folder), 180, "the end of the first run's jobs")
    place.write_config(cohort.config(STEPS + 1))
    assert place.run(60) == 1, "results of other settings were taken for those of these"
    assert re.search(
        r"error: 1 result\(s\), such as results/encoders/dino/\S+, .* start once with `--forcerun pretrain`",
        place.said(),
    )
    place.write_config(cohort.config(STEPS))
    before = finished_files(place.folder)
    assert place.run(400) == 0, place.said()[-8000:]
    assert place.folder / ENCODER in before
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was finished was made again"
    return place


def finished_files(folder: Path) -> dict[Path, int]:
    """The times of change of what Slurm's jobs make. Tables and pictures are made by Snakemake's own processes."""
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in files if not {"logs", "tables", "figures"} & set(path.parts)}


def test_the_chain_ends_with_its_tables(chain):
    tables = chain.folder / "results/tables"
    assert [row["encoder"] for row in read_table(tables / "slide.csv")] == ["dino"]
    assert {row["encoder"] for row in read_table(tables / "classification.csv")} == {"dino"}
    assert {row["slide"] for row in read_table(tables / "cohort.csv")} == set(cohort.SLIDES)
    assert not list(chain.folder.rglob("owned"))  # no shell ran what a name holds


def test_each_job_is_submitted_once_and_small_ones_travel_together(chain):
    jobs = jobs_in(chain.folder)
    assert len({job.comment for job in jobs}) == len(jobs)
    rules = Counter(re.match(r"rule_(slides|probes|heatmaps|pretrain|[a-z]+_[a-z]+)", job.comment)[1] for job in jobs)
    assert rules == {
        "slides": 1,
        "draw_patches": 1,
        "split_patients": 1,
        "pretrain": 1,
        "embed_patches": 1,
        "embed_slides": 1,
        "train_mil": 1,
        "record_attention": 1,
        "probes": 1,
        "heatmaps": 1,
    }
    # Four slides, two at once: 2 × (10 + 15 + 60 + 30) min.
    (slides,) = jobs_in(chain.folder, "slides")
    assert (slides.cores, slides.limit) == (2, "3:50:00")


def test_jobs_are_on_the_account_and_keep_to_its_quota(chain):
    jobs = accounted(chain.folder)
    assert len(jobs) == len(jobs_in(chain.folder))
    assert {account for account, *_ in jobs} == {ACCOUNT}
    at_once = [sum(start <= begin < end for _, start, end in jobs) for _, begin, end in jobs if end > begin]
    assert max(at_once) == JOBS_AT_ONCE  # slides, patches and splits are ready together: one has waited


@pytest.mark.parametrize(
    ("account", "pretrain", "refused"),
    [
        ("nobodys", {}, "--partition=cpu --account=nobodys .*Invalid account"),
        ("lab", {"slurm_partition": "a100"}, "--partition=a100 --account=lab .*[Ii]nvalid partition"),
    ],
)
def test_what_slurm_does_not_know_ends_the_run_before_the_first_job(tmp_path, account, pretrain, refused):
    place = SlurmPlace(tmp_path)
    place.fill(cohort.config(STEPS), account, **pretrain)
    assert place.run(60) == 1
    assert re.search(f"error: Slurm refuses {refused}", place.said()), place.said()
    assert not jobs_in(place.folder)


def test_a_setting_of_what_ended_unwatched_still_counts(chain):
    assert chain.run(120, "--dry-run", ENCODER) == 0
    assert "Nothing to be done" in chain.said()
    chain.write_config(cohort.config(STEPS + 1))
    assert chain.run(120, "--dry-run", ENCODER) == 0
    chain.write_config(cohort.config(STEPS))
    assert "rule pretrain:" in chain.said()


@pytest.fixture
def trained_again(chain, tmp_path) -> SlurmPlace:
    """A copy of the chain's slides and shards, to train an encoder on."""
    place = SlurmPlace(tmp_path / "place")
    shutil.copytree(chain.folder, place.folder)
    return place


def steps_in(place: SlurmPlace, seconds: float) -> int:
    """How many steps are at least so long, by the fastest ten steps of the finished training."""
    curve = read_curve(place)
    hours = min(after["hours"] - before["hours"] for before, after in pairwise(curve))
    return round(10 * seconds / (hours * 3600))


def read_curve(place: SlurmPlace) -> list[dict]:
    with (place.folder / "results/encoders/dino/training.jsonl").open() as lines:
        return [json.loads(line) for line in lines]


def test_training_goes_on_after_a_time_limit_a_preemption_scancel_and_a_crash_of_its_node(chain, trained_again):
    place = trained_again
    steps = steps_in(chain, 100)
    # The profile's SIGTERM comes 2 min before the limit, or up to 30 s earlier.
    place.fill(cohort.config(steps), runtime="attempt * 3")
    with place.head(ENCODER) as head:
        first = next_job(place, 120)
        second = next_job(place, 240, first)
        assert 0 < place.saved() < steps
        saved = resumed(place, second)

        urgent = ["sbatch", "--partition=gpu_urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true"]
        subprocess.run(urgent, check=True)
        wait_until(lambda: not running(place.folder, "pretrain"), 60, "the preemption")
        assert next_job(place, 120) == second  # put back into the queue: it costs no retry
        assert place.saved() > saved
        saved = resumed(place, second)

        subprocess.run(["scancel", second], check=True)
        third = next_job(place, 120, first, second)
        assert place.saved() > saved
        saved = resumed(place, third)

        (node,) = {job.node for job in running(place.folder, "pretrain")}
        subprocess.run([TOY, "crash", node], check=True)
        wait_until(
            lambda: [job for job in running(place.folder, "pretrain") if job.node != node], 120, "the other node"
        )
        assert next_job(place, 10) == third
        assert resumed(place, third) == saved
        assert head.wait(300) == 0, place.said()[-8000:]
    curve = [line["step"] for line in read_curve(place)]
    assert curve == sorted(set(curve))
    assert curve[-1] == steps
    states = {job.number: job.state for job in jobs_in(place.folder, "pretrain")}
    assert states == {first: "FAILED", second: "CANCELLED", third: "COMPLETED"}
    subprocess.run([TOY, "up"], check=True)


def next_job(place: SlurmPlace, seconds: float, *before: str) -> str:
    """The pretraining job that runs and is none of those before, as soon as there is one."""

    def others() -> list[str]:
        return [job.number for job in running(place.folder, "pretrain") if job.number not in before]

    (number,) = wait_until(others, seconds, "a pretraining job")
    return number


def resumed(place: SlurmPlace, number: str) -> int:
    """The step of the newest checkpoint, when a job has gone on from it and has made ten steps more."""
    saved = place.saved()
    wait_until(
        lambda: place.resumed_after(number) == saved and place.trained() > saved + 10,
        120,
        f"job {number} to go on from step {saved}",
    )
    return saved


def test_an_encoder_is_trained_on_two_nodes(trained_again):
    place = trained_again
    place.fill(cohort.config(10, pretrain_nodes=2))
    assert place.run(240, ENCODER) == 0, place.said()[-8000:]
    (job,) = jobs_in(place.folder, "pretrain")
    assert job.node == "n[1-2]"
    assert "2 process(es) on cpu" in (place.folder / "results/logs/pretrain/dino.log").read_text()


def test_a_name_that_a_job_cannot_take_ends_the_run_at_its_start(tmp_path):
    place = SlurmPlace(tmp_path)
    place.fill(cohort.config(STEPS))
    for sheet in ("slides.csv", "phantom.csv"):
        path = place.folder / sheet
        path.write_text(path.read_text().replace("P02-1", "P02's"))
    assert place.run(60) == 1
    assert "a name with ' can't be passed to a Slurm job; rename it" in place.said()
    assert not jobs_in(place.folder)
