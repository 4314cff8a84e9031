"""Several processes of a script on this node, through torchrun: signals reach them, and why they ended is said once."""

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

SAVE_S = 120
"""How long the processes may take to end their step and write a checkpoint after a signal."""
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)


def start_processes(command: list[str], count: int, nodes: int = 1, meet: str = "") -> int:
    """Run `command` (a script and its arguments) as `count` processes, on each of `nodes` nodes, until all have ended.

    A signal is passed on to the processes. When one of them fails, the others are ended.

    Args:
        command: the script and its arguments.
        count: processes on this node.
        nodes: on how many nodes the same is called, by srun.
        meet: HOST:PORT of the first node, where there are several.

    Returns:
        The exit code: 0, 128 + the signal that ended it, 1 where a process failed.
    """
    # torchrun reports each process's end in a page of its own, below which the reason would not be seen.
    logging.disable(logging.ERROR)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # scripts set torch's threads themselves
    os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = str(SAVE_S)
    where = ["--standalone"]
    if nodes > 1:
        host, port = meet.rsplit(":", 1)
        rank = os.environ["SLURM_NODEID"]
        where = [f"--nnodes={nodes}", f"--node-rank={rank}", f"--master-addr={host}", f"--master-port={port}"]
    # Until torchrun, which leaves SIGUSR1 alone, has started the processes.
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _raise)
    with TemporaryDirectory(prefix="histossl-") as folder:
        arguments = torchrun.parse_args([*where, f"--nproc-per-node={count}", f"--log-dir={folder}", *command])
        try:
            torchrun.run(arguments)
            return 0
        except SignalException as ended:
            _wait_for_children()
            _explain(Path(folder), {})
            return 128 + ended.sigval
        except ChildFailedError as failed:
            explained = _explain(Path(folder), failed.failures)
            return 1 if explained else max(failure.exitcode for failure in failed.failures.values())


def _raise(number: int, _: FrameType | None) -> None:
    raise SignalException("a signal came", signal.Signals(number))


def _wait_for_children() -> None:
    """Let the processes end in their own time, however many more signals come: they may be writing a checkpoint."""
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    deadline = time.monotonic() + SAVE_S
    try:
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.1)
    except ChildProcessError:  # none is left
        pass


def _explain(folder: Path, failures: dict[int, ProcessFailure]) -> bool:
    """Print why the processes ended: what the user can mend, else who was killed, else the first traceback.

    Returns:
        Whether anything is known of it; after a signal, processes that have saved end without a word.
    """
    said = sorted((json.loads(path.read_text("utf-8")) for path in folder.rglob("error.json")), key=lambda d: d["time"])
    sentences = [report["message"] for report in said if report["expected"]]
    killed = [
        f"error: process {rank} was ended by {failure.signal_name()}; rerun, it goes on from the last checkpoint"
        for rank, failure in failures.items()
        if failure.exitcode < 0 and -failure.exitcode not in PASSED_ON
    ]
    tracebacks = [report["message"] for report in said]
    reasons = sentences or killed or tracebacks[:1]
    for line in dict.fromkeys(reasons):
        print(line, file=sys.stderr)
    return bool(reasons)
