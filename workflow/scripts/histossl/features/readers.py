"""Processes that read patches ahead of the network, into memory that they share with it.

Processes, because one Python process decodes no more than a few thousand patches a second, and because a damaged file
may crash its decoder: then one run of patches is lost and a new process takes over. Pixels are never copied between
processes: each reader fills the slots of its own share of one block of memory in turn.
"""

import contextlib
import mmap
import multiprocessing
import os
import signal
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import cv2
import numpy as np

from histossl.errors import JobError, UserError
from histossl.slides.guard import MEMORY_MB, explain_end, explain_exception, limit_memory, limit_time

BATCH = 256
"""Patches that go through the network together."""
SLOT_BYTES = 16 * 2**20
"""A slot holds a power of two of patches, as many as fit, at least one and at most a batch."""
SLOTS = 3
"""Of each reader: one is filled, one waits, one is on its way to the network."""
TRIES = 2
"""A network disk has its hiccups: what could not be read is tried again when all else is done."""
AHEAD = 2
"""Runs that a reader is given at a time: one in work, one next."""


class Run(Protocol):
    """Patches of one file that are read one after the other, by one reader."""

    @property
    def path(self) -> Path:
        """The file, named in sentences."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, H, W, 3) of all its patches."""

    @property
    def prepared(self) -> bool:
        """Whether they come resized and cut to what the network takes."""

    @property
    def limit_s(self) -> int:
        """Processor time that reading them may take."""

    def read(self, start: int, out: np.ndarray) -> None:
        """Fill `out`, (n, H, W, 3) uint8 in C order, with the patches from `start` on."""


class Readers:
    """A number of readers. Use as a context manager; create it before CUDA is, for small and quick processes."""

    def __init__(self, count: int, patch_bytes: int) -> None:
        """Start `count` processes for patches of up to `patch_bytes` bytes."""
        # A job has the threads that the workflow gives it, and each of these is one.
        cv2.setNumThreads(0)
        page = mmap.PAGESIZE
        self.slot_bytes = -(-max(SLOT_BYTES, patch_bytes) // page) * page
        # Not of /dev/shm, which containers keep small.
        self.descriptor = os.memfd_create("patches")
        os.ftruncate(self.descriptor, count * SLOTS * self.slot_bytes)
        self.memory = mmap.mmap(self.descriptor, 0)
        self.readers: list[_Reader] = []
        for number in range(count):
            self.readers.append(self._start(number))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for reader in self.readers:
            reader.process.kill()
        for reader in self.readers:
            reader.process.join()
            reader.connection.close()
        with contextlib.suppress(BufferError):  # an array may still look at it
            self.memory.close()
        os.close(self.descriptor)

    def read(self, runs: Iterable[Run]) -> Iterator[tuple[Run, np.ndarray | UserError | None]]:
        """Read `runs`, several at a time.

        Yields:
            A run and some of its patches, (n, H, W, 3) uint8, in the run's order, while patches of other runs may come
            in between; they are valid until the next item is asked for. Then the run and None at its end, or the run
            and an error: nothing more comes of it.

        Raises:
            JobError: a reader was ended from outside, as the system short of memory does.
        """
        waiting = iter(runs)
        while True:
            while len((reader := min(self.readers, key=lambda one: len(one.runs))).runs) < AHEAD:
                run = next(waiting, None)
                if run is None:
                    break
                reader.give(run)
            busy = {reader.connection: reader for reader in self.readers if reader.runs}
            if not busy:
                return
            for connection in wait(list(busy)):
                reader = busy[connection]  # type: ignore[index]
                yield from self._receive(reader)

    def _receive(self, reader: "_Reader") -> Iterator[tuple[Run, np.ndarray | UserError | None]]:
        run = reader.runs[0]
        try:
            said = reader.connection.recv()
        except (EOFError, ConnectionResetError):
            reader.process.join()
            error = explain_end(run.path, reader.process.exitcode or 0, run.limit_s)
            if isinstance(error, JobError):
                raise error from None
            said = error
            number = self.readers.index(reader)
            reader.connection.close()
            self.readers[number] = successor = self._start(number)
            for other in list(reader.runs)[1:]:
                successor.give(other)
        if isinstance(said, tuple):
            slot, rows = said
            yield run, self._slot(reader.number, slot)[: rows * _bytes(run)].reshape(rows, *run.shape[1:])
            with contextlib.suppress(BrokenPipeError):  # why it ended is found out when it is next listened to
                reader.connection.send(slot)
            return
        reader.runs.popleft()
        yield run, said

    def _slot(self, number: int, slot: int) -> np.ndarray:
        start = (number * SLOTS + slot) * self.slot_bytes
        return np.frombuffer(self.memory, np.uint8, self.slot_bytes, start)

    def _start(self, number: int) -> "_Reader":
        context = multiprocessing.get_context("fork")  # a fresh interpreter would import all libraries again, 0.3 s
        here, there = context.Pipe()
        # Were an end of ours open in another reader, this one would not see that we are gone.
        ours = [here, *(reader.connection for reader in self.readers)]
        place = (number * SLOTS * self.slot_bytes, self.slot_bytes)
        process = context.Process(target=_work, args=(there, ours, self.descriptor, *place), daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 warns of threads, which OpenBLAS starts at import; it survives a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        there.close()
        return _Reader(number, process, here)


class _Reader:
    """A process as the others see it."""

    def __init__(self, number: int, process: multiprocessing.Process, connection: Connection) -> None:
        self.number, self.process, self.connection = number, process, connection
        self.runs: deque[Run] = deque()

    def give(self, run: Run) -> None:
        self.runs.append(run)
        with contextlib.suppress(BrokenPipeError):
            self.connection.send(run)


def _bytes(run: Run) -> int:
    height, width, channels = run.shape[1:]
    return height * width * channels


def _fitting(run: Run, slot_bytes: int) -> int:
    fitting = min(BATCH, slot_bytes // _bytes(run))
    return 1 << (fitting.bit_length() - 1)


def _work(connection: Connection, ours: list[Connection], descriptor: int, start: int, slot_bytes: int) -> None:
    """A reader's life: take runs and free slots, say which slot holds which patches."""
    for other in ours:
        other.close()
    # Ctrl-C reaches all processes of a terminal; the one that writes decides, and its end ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    pixels = np.frombuffer(mmap.mmap(descriptor, SLOTS * slot_bytes, offset=start), np.uint8)
    slots = pixels.reshape(SLOTS, slot_bytes)
    free, runs = deque(range(SLOTS)), deque()
    limit_memory(MEMORY_MB)

    def receive() -> None:
        said = connection.recv()
        (free if isinstance(said, int) else runs).append(said)

    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # nobody is there any more
        while True:
            while not runs:
                receive()
            run = runs.popleft()
            limit_time(run.limit_s)
            count, step = run.shape[0], _fitting(run, slot_bytes)
            last = None
            for first in range(0, count, step):
                while not free:
                    receive()
                slot, rows = free.popleft(), min(step, count - first)
                out = slots[slot, : rows * _bytes(run)].reshape(rows, *run.shape[1:])
                try:
                    run.read(first, out)
                except Exception as error:
                    free.append(slot)
                    last = explain_exception(run.path, error, MEMORY_MB)
                    break
                connection.send((slot, rows))
            connection.send(last)
