"""Run what reads a slide in a process of its own, so that a damaged file cannot take more than that process down.

Decoders are written in C: a broken header may end in a crash, in an endless loop or in a request for all memory. The
child has limits of memory and processor time; whatever ends it becomes one sentence with the slide's name. What ends it
from outside, as the system short of memory does, fails the job instead: that is not the slide's fault.
"""

import contextlib
import multiprocessing
import resource
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import cv2

from histossl.errors import JobError, UserError

Item = TypeVar("Item")
MEMORY_MB = 1500
"""What a child may take beyond what its parent has, if nothing else is said."""
FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS)
"""How a decoder crashes."""
START_S, PATCH_S = 60, 0.2
"""Limits of processor time to read a slide and each of its patches: many times what a sound slide takes."""


def patches_limit_s(patches: int) -> int:
    """Limit of processor time for so many patches of a slide."""
    return START_S + int(PATCH_S * patches)


def run_apart(function: Callable[..., Item], path: Path, *arguments: Any, seconds: int) -> Item:  # noqa: ANN401
    """Return `function(path, *arguments)`, computed in a forked child.

    Args:
        function: what it returns must be picklable.
        path: the slide, named in the error.
        *arguments: further arguments.
        seconds: limit of processor time; waiting for a slow disk does not count.

    Raises:
        UserError: what `function` raised, or a sentence on how the child ended. The traceback of an exception that is
            a defect of ours goes to standard error; one odd slide must not end a run over thousands.
        JobError: the child was ended from outside.
    """

    def once(path: Path) -> Iterator[Item]:
        yield function(path, *arguments)

    (result,) = iterate_apart(once, path, seconds=seconds)
    return result


def iterate_apart(
    function: Callable[..., Iterator[Item]],
    path: Path,
    *arguments: Any,  # noqa: ANN401
    seconds: int,
    memory_mb: int = MEMORY_MB,
) -> Iterator[Item]:
    """Yield what the generator `function(path, *arguments)` yields, computed in a forked child.

    Arguments and exceptions are those of `run_apart`; `memory_mb` is what the child may take beyond what its parent
    has. Leaving the loop early ends the child.
    """
    # A job has the threads that the workflow gives it; and OpenCV's would not live on in the child, or, started there
    # one a core, not fit its memory.
    cv2.setNumThreads(0)
    context = multiprocessing.get_context("fork")  # a fresh interpreter would import all libraries again, 0.3 s
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(
        target=_work, args=(receiver, sender, seconds, memory_mb, function, path, *arguments), daemon=True
    )
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, which OpenBLAS starts at import; it survives a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    sender.close()
    try:
        kind = "item"
        while kind == "item":
            try:
                kind, value = receiver.recv()
            except EOFError:
                kind = "gone"
            if kind == "item":
                yield value
    finally:
        receiver.close()
        if kind == "item":
            child.kill()
        child.join()
    if kind == "failed":
        raise value
    if kind == "gone":
        raise explain_end(path, child.exitcode or 0, seconds)


def _work(
    receiver: Connection,
    sender: Connection,
    seconds: int,
    memory_mb: int,
    function: Callable[..., Iterator[Any]],
    path: Path,
    *arguments: Any,  # noqa: ANN401
) -> None:
    receiver.close()  # else a send to a parent that is gone would wait for ever
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    limit_memory(memory_mb)
    limit_time(seconds)
    last: tuple[str, Any] = ("done", None)
    try:
        for item in function(path, *arguments):
            sender.send(("item", item))
    except BrokenPipeError:
        return
    except Exception as error:
        last = ("failed", explain_exception(path, error, memory_mb))
    with contextlib.suppress(BrokenPipeError):
        sender.send(last)


def limit_memory(memory_mb: int) -> None:
    """Let this process take no more than `memory_mb` beyond what it has, and leave no core file."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    resource.setrlimit(resource.RLIMIT_AS, (int(pages) * resource.getpagesize() + memory_mb * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_time(seconds: int) -> None:
    """End this process with SIGXCPU after so many further seconds of processor time, unless called again."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit, hard = int(used.ru_utime + used.ru_stime) + seconds + 1, resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def explain_exception(path: Path, error: Exception, memory_mb: int) -> UserError:
    """The sentence for what was raised while `path` was read; the traceback of a defect of ours is printed."""
    if isinstance(error, UserError):
        return UserError(str(error))
    if isinstance(error, MemoryError) or getattr(error, "code", None) == cv2.Error.StsNoMem:
        return UserError(f"{path}: reading it needs more than {memory_mb} MB of memory; replace the file")
    traceback.print_exception(error)
    said = " ".join(traceback.format_exception_only(error)[-1].split())
    return UserError(f"{path}: unexpected error ({said}); please report it, with the slide's format")


def explain_end(path: Path, exit_code: int, seconds: int) -> UserError | JobError:
    """The error for a process that ended without a word while it read `path`."""
    number = -exit_code
    if number in FAULTS:
        return UserError(f"{path}: the decoder crashed on it ({signal.Signals(number).name}); replace the file")
    if number == signal.SIGXCPU:
        return UserError(f"{path}: reading it takes more than {seconds} s of processor time; replace the file")
    if number > 0:
        return JobError(
            f"{path}: the process that reads it was ended from outside ({signal.Signals(number).name}); run again, "
            "with more memory if that ran out"
        )
    return UserError(f"{path}: the decoder ended the process on it (exit code {exit_code}); replace the file")
