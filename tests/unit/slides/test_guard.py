import ctypes
import os
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from histossl.errors import JobError, UserError
from histossl.slides.guard import MEMORY_MB, iterate_apart, run_apart

SLIDE = Path("broken.svs")


def test_the_result_comes_back_from_another_process():
    process, squares = run_apart(lambda path, n: (os.getpid(), np.arange(n) ** 2), SLIDE, 4, seconds=5)
    assert process != os.getpid()
    np.testing.assert_array_equal(squares, [0, 1, 4, 9])


def test_items_come_one_after_the_other_and_the_child_does_not_run_far_ahead(tmp_path):
    def count(path, folder):
        for i in range(50):
            (folder / str(i)).touch()
            yield np.full(1_000_000, i, np.uint8)

    items = iterate_apart(count, SLIDE, tmp_path, seconds=5)
    assert next(items)[0] == 0
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) <= 2
    assert [item[0] for item in items] == list(range(1, 50))


def test_leaving_early_ends_the_child():
    def name_itself(path):
        while True:
            yield os.getpid()

    items = iterate_apart(name_itself, SLIDE, seconds=5)
    child = next(items)
    items.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def refuse(path):
    raise UserError(f"{path}: not a slide; replace it")


def crash(path):
    ctypes.string_at(0)


def take_all_memory(path):
    return np.ones((2 * MEMORY_MB, 2**20), np.uint8).sum()


def enlarge_beyond_all_memory(path):
    return cv2.resize(np.ones((64, 64), np.uint8), (60_000, 60_000)).sum()


def spin(path):
    while True:
        pass


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (refuse, "broken.svs: not a slide; replace it"),
        (crash, "broken.svs: the decoder crashed on it (SIGSEGV); replace the file"),
        (lambda path: os._exit(3), "broken.svs: the decoder ended the process on it (exit code 3); replace the file"),
        (take_all_memory, f"broken.svs: reading it needs more than {MEMORY_MB} MB of memory; replace the file"),
        (
            enlarge_beyond_all_memory,
            f"broken.svs: reading it needs more than {MEMORY_MB} MB of memory; replace the file",
        ),
        (spin, "broken.svs: reading it takes more than 1 s of processor time; replace the file"),
    ],
)
def test_however_it_ends_there_is_one_sentence(function, sentence):
    with pytest.raises(UserError) as caught:
        run_apart(function, SLIDE, seconds=1)
    assert str(caught.value) == sentence


def test_a_defect_of_ours_is_one_slide_lost_and_keeps_its_traceback(capfd):
    with pytest.raises(UserError, match=r"broken\.svs: unexpected error \(ZeroDivisionError.*please report it"):
        run_apart(lambda path: 1 / 0, SLIDE, seconds=5)
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ended_from_outside_is_not_the_slides_fault(number):
    with pytest.raises(JobError, match=rf"broken\.svs: .* ended from outside \({number.name}\)"):
        run_apart(lambda path: os.kill(os.getpid(), number), SLIDE, seconds=5)


def test_more_memory_may_be_granted():
    def take(path):
        yield np.ones((MEMORY_MB + 200, 2**20), np.uint8).nbytes

    with pytest.raises(UserError, match="needs more than"):
        list(iterate_apart(take, SLIDE, seconds=20))
    assert list(iterate_apart(take, SLIDE, seconds=20, memory_mb=MEMORY_MB + 400)) == [(MEMORY_MB + 200) * 2**20]


def test_opencv_starts_no_threads_in_the_child():
    cv2.setNumThreads(2)
    assert run_apart(lambda path: cv2.getNumThreads(), SLIDE, seconds=5) == 1
