"""Run what reads a slide in a process of its own, so that a damaged file cannot take more than that process down.

Decoders are written in C: a broken header may end in a crash, in an endless loop or in a request for all memory. The
child has limits of memory and processor time; whatever ends it becomes one sentence with the slide's name.
"""

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

from histossl.errors import UserError

Item = TypeVar("Item")
MEMORY_MB = 1500
"""What a child may take beyond what its parent has."""


def run_apart(function: Callable[..., Item], path: Path, *arguments: Any, seconds: int) -> Item:  # noqa: ANN401
    """Return `function(path, *arguments)`, computed in a forked child.

    Args:
        function: what it returns must be picklable.
        path: the slide, named in the error.
        *arguments: further arguments.
        seconds: limit of processor time; waiting for a slow disk does not count.

    Raises:
        UserError: what `function` raised as such, or a sentence on how the child ended.
        RuntimeError: another exception of the child, which is a defect of ours; holds its traceback.
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
) -> Iterator[Item]:
    """Yield what the generator `function(path, *arguments)` yields, computed in a forked child.

    Arguments and exceptions are those of `run_apart`. Leaving the loop early ends the child.
    """
    context = multiprocessing.get_context("fork")  # a fresh interpreter would import all libraries again, 0.3 s
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(receiver, sender, seconds, function, path, *arguments), daemon=True)
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
    if kind == "user":
        raise UserError(value)
    if kind == "defect":
        raise RuntimeError(value)
    if kind == "gone":
        raise UserError(f"{path}: {_explain(child.exitcode or 0, seconds)}; replace the file")


def _work(
    receiver: Connection,
    sender: Connection,
    seconds: int,
    function: Callable[..., Iterator[Any]],
    path: Path,
    *arguments: Any,  # noqa: ANN401
) -> None:
    receiver.close()  # else a send to a parent that is gone would wait for ever
    resource.setrlimit(resource.RLIMIT_AS, (_virtual_bytes() + MEMORY_MB * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for item in function(path, *arguments):
            sender.send(("item", item))
        last = ("done", None)
    except UserError as error:
        last = ("user", str(error))
    except BrokenPipeError:
        return
    except Exception as error:
        if isinstance(error, MemoryError) or getattr(error, "code", None) == cv2.Error.StsNoMem:
            last = ("user", f"{path}: reading it needs more than {MEMORY_MB} MB of memory; replace the file")
        else:
            last = ("defect", traceback.format_exc())
    sender.send(last)


def _virtual_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()


def _explain(exit_code: int, seconds: int) -> str:
    if exit_code == -signal.SIGXCPU:
        return f"reading it takes more than {seconds} s of processor time"
    if exit_code < 0:
        return f"the decoder crashed on it ({signal.Signals(-exit_code).name})"
    return f"the decoder ended the process on it (exit code {exit_code})"
