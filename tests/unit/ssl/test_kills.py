"""Runs that kills cut into pieces end where the undivided run ends; benchmarks/kill_pretraining.py makes more."""

import random
import subprocess

import pytest
from benchmarks.kill_pretraining import Run, cut, draw_shards, equal, train_whole

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("processes", "kills", "seed"), [(1, 3, 5), (2, 2, 5)])
def test_a_run_that_was_killed_at_random_moments_ends_in_the_same_weights(tmp_path, processes, kills, seed):
    shards, slides = draw_shards(tmp_path)
    whole, pieces = (Run(tmp_path / name, shards, slides, steps=60) for name in ("whole", "pieces"))
    training_s = train_whole(whole, processes)
    fates = list(cut(pieces, [processes], kills, training_s, random.Random(seed)))
    assert [piece.broken for piece in fates] == [""] * len(fates)
    assert sum(bool(piece.blow) for piece in fates) == kills
    assert equal(whole, pieces, exactly=True) == "yes, bit for bit"


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own, 5 MB large; it grows when it is mounted anew."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size, *more):
        options = ",".join([f"size={size}", *more])
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)

    try:
        mounted = mount("5m")
    except FileNotFoundError:
        pytest.skip("there is no `mount` here")
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder, lambda: mount("50m", "remount")
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_space(tmp_path, small_disk):
    disk, grow = small_disk
    shards, slides = draw_shards(tmp_path)
    whole, run = Run(tmp_path / "whole", shards, slides, steps=60), Run(disk / "run", shards, slides, steps=60)
    train_whole(whole, 1)
    # Two checkpoints of 2.2 MB are kept while the third is written.
    assert run.start(1).wait() == 1
    said = run.said.read_text()
    last = said.splitlines()[-1]
    assert last.startswith("error: ")
    assert "the checkpoint can't be written (No space left on device)" in last
    assert "Traceback" not in said
    assert len(run.checkpoints()) == 2
    assert not run.saving()
    saved = run.saved()
    assert grow().returncode == 0
    assert run.start(1).wait() == 0
    assert run.began_after() == saved
    assert equal(whole, run, exactly=True) == "yes, bit for bit"
