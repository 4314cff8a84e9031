import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from histossl.errors import JobError, UserError
from histossl.features.readers import AHEAD, BATCH, SLOT_BYTES, SLOTS, Readers

SIDE = 512
PATCH_BYTES = SIDE * SIDE * 3
IN_A_SLOT = 16  # of 21 that would fit
SCRIPTS = Path(__file__).parents[3] / "workflow/scripts"


@dataclass(frozen=True)
class Numbers:
    """Patches that are all of one number each, counted from `first`."""

    path: Path
    first: int
    count: int
    trouble: str = ""
    note: Path | None = None
    limit_s: int = 20
    prepared: bool = True

    @property
    def shape(self):
        return self.count, SIDE, SIDE, 3

    def read(self, start, out):
        if self.note:
            with self.note.open("a") as file:
                file.write(f"{os.getpid()}\n")
        if self.trouble == "refuse":
            raise UserError(f"{self.path}: damaged; replace it")
        if self.trouble == "refuse late" and start:
            raise UserError(f"{self.path}: damaged further on; replace it")
        if self.trouble == "crash":
            ctypes.string_at(0)
        if self.trouble == "exit":
            os._exit(3)
        if self.trouble == "defect":
            raise IndexError("oh")
        if self.trouble == "spin":
            while True:
                pass
        if self.trouble == "memory":
            np.ones((4000, 2**20), np.uint8)
        if self.trouble == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        numbers = np.arange(self.first + start, self.first + start + len(out)) % 256
        out[:] = numbers[:, None, None, None]


class Slow(Numbers):
    def read(self, start, out):
        until = time.process_time() + 0.7
        while time.process_time() < until:
            pass


class Large(Numbers):
    @property
    def shape(self):
        return self.count, 8 * SIDE, 8 * SIDE, 3


def read(runs, count=2):
    """What came of each run, by its file: the numbers of its patches in the order they came, and how it ended."""
    numbers, ends = defaultdict(list), {}
    with Readers(count, PATCH_BYTES) as readers:
        for run, said in readers.read(runs):
            assert run.path not in ends
            if isinstance(said, np.ndarray):
                assert (said == said[:, :1, :1, :1]).all()
                numbers[run.path].extend(said[:, 0, 0, 0].tolist())
            else:
                ends[run.path] = said
    return numbers, ends


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_patch_comes_once_and_in_the_order_of_its_run(count):
    runs = [Numbers(Path(str(i)), 10 * i, i) for i in (1, 3 * IN_A_SLOT + 1, 7, 2 * IN_A_SLOT, 2)]
    numbers, ends = read(runs, count)
    for run in runs:
        assert numbers[run.path] == [(run.first + i) % 256 for i in range(run.count)]
    assert ends == {run.path: None for run in runs}


def test_no_run_is_no_work():
    assert read([]) == ({}, {})


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("refuse", "bad.svs: damaged; replace it"),
        ("crash", "bad.svs: the decoder crashed on it (SIGSEGV)"),
        ("exit", "bad.svs: the decoder ended the process on it (exit code 3)"),
        ("defect", "bad.svs: unexpected error (IndexError: oh)"),
        ("memory", "bad.svs: reading it needs more than"),
    ],
)
def test_a_bad_file_costs_its_own_run_alone(trouble, said, capfd):
    runs = [Numbers(Path("a"), 1, 3), Numbers(Path("bad.svs"), 0, 9, trouble), Numbers(Path("c"), 5, 4)]
    runs += [Numbers(Path(f"d{i}"), i, 2) for i in range(6)]
    numbers, ends = read(runs)
    assert isinstance(ends[Path("bad.svs")], UserError)
    assert said in str(ends[Path("bad.svs")])
    assert [path for path, end in ends.items() if end is not None] == [Path("bad.svs")]
    assert numbers[Path("c")] == [5, 6, 7, 8]
    assert all(numbers[Path(f"d{i}")] == [i, i + 1] for i in range(6))
    assert ("Traceback" in capfd.readouterr().err) == (trouble == "defect")


def test_a_file_that_is_damaged_further_on_ends_there():
    numbers, ends = read([Numbers(Path("bad"), 0, 2 * IN_A_SLOT, "refuse late"), Numbers(Path("a"), 1, 1)])
    assert numbers[Path("bad")] == list(range(IN_A_SLOT))
    assert "further on" in str(ends[Path("bad")])
    assert ends[Path("a")] is None


def test_an_endless_loop_is_ended():
    _, ends = read([Numbers(Path("bad.svs"), 0, 1, "spin", limit_s=1), Numbers(Path("a"), 1, 1)])
    assert "bad.svs: reading it takes more than 1 s of processor time" in str(ends[Path("bad.svs")])
    assert ends[Path("a")] is None


def test_the_limit_is_of_each_run_and_not_of_the_process():
    _, ends = read([Slow(Path(str(i)), 0, 1, limit_s=1) for i in range(5)], count=1)
    assert set(ends.values()) == {None}


def test_what_ends_a_reader_from_outside_is_not_blamed_on_the_file():
    with pytest.raises(JobError, match=r"a\.svs: the process that reads it was ended from outside \(SIGKILL\)"):
        read([Numbers(Path("a.svs"), 0, 1, "killed")])


def test_readers_do_not_run_far_ahead(tmp_path):
    asked = []

    def runs():
        for i in range(40):
            asked.append(i)
            yield Numbers(Path(str(i)), 0, 4 * IN_A_SLOT, note=tmp_path / "note")

    with Readers(2, PATCH_BYTES) as readers:
        items = readers.read(runs())
        next(items)
        time.sleep(0.5)
        assert len(asked) == 2 * AHEAD
        assert len((tmp_path / "note").read_text().split()) <= 2 * (SLOTS + 1)


def test_short_work_is_shared_out(tmp_path):
    read([Numbers(Path(str(i)), 0, IN_A_SLOT, note=tmp_path / "note") for i in range(4)], count=4)
    assert len(set((tmp_path / "note").read_text().split())) == 4


def test_leaving_early_ends_the_readers():
    with Readers(3, PATCH_BYTES) as readers:
        next(readers.read(Numbers(Path(str(i)), 0, 9) for i in range(9)))
        processes = [reader.process.pid for reader in readers.readers]
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_readers_end_when_the_process_that_started_them_is_killed():
    code = (
        "import time\nfrom histossl.features.readers import Readers\n"
        "readers = Readers(3, 1000)\nprint(*[one.process.pid for one in readers.readers], flush=True)\ntime.sleep(60)\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SCRIPTS)}, stdout=subprocess.PIPE, text=True
    )
    with started:
        processes = [int(text) for text in started.stdout.readline().split()]
        started.kill()
    deadline = time.monotonic() + 10
    while (alive := [one for one in processes if Path(f"/proc/{one}/cmdline").exists() and not _is_zombie(one)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert alive == []


def _is_zombie(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_pieces_are_powers_of_two_so_that_they_make_up_batches():
    with Readers(1, PATCH_BYTES) as readers:
        sizes = [len(said) for _, said in readers.read([Numbers(Path("a"), 0, 40)]) if said is not None]
    assert SLOT_BYTES // PATCH_BYTES == 21
    assert sizes == [16, 16, 8]
    assert BATCH % 16 == 0


def test_a_patch_larger_than_a_slot_makes_the_slots_larger():
    with Readers(1, 64 * PATCH_BYTES) as readers:
        pieces = [said[:, 0, 0, 0].tolist() for _, said in readers.read([Large(Path("a"), 3, 2)]) if said is not None]
    assert pieces == [[3], [4]]
