"""The processes that share a run's work: one, or those that torchrun started."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


@dataclass(frozen=True)
class Processes:
    """This process among all."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def mean(self, value: torch.Tensor) -> float:
        """Mean of a scalar over the processes; all must call it."""
        value = value.detach().clone()
        if self.count > 1:
            distributed.all_reduce(value)
        return float(value) / self.count

    def largest(self, number: int) -> int:
        """The largest of the processes' numbers; all must call it. It waits for them, but not for their devices."""
        if self.count == 1:
            return number
        value = torch.tensor(number)
        distributed.all_reduce(value, distributed.ReduceOp.MAX)
        return int(value)

    def from_main(self, text: str) -> str:
        """The main process's text; all must call it."""
        texts = [text]
        if self.count > 1:
            distributed.broadcast_object_list(texts, src=0, device=torch.device("cpu"))
        return texts[0]


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Join the other processes of this run, as torchrun's environment variables tell; leave them at the end.

    With GPUs, process i of a node uses the i-th that CUDA_VISIBLE_DEVICES shows.
    """
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True  # shapes stay the same from step to step
    if count > 1:
        # torchrun killed by SIGKILL ends nobody, and they would write beside the run that takes their place.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    yield Processes(rank, count, device)
    # Not where an exception ends this process: it would wait for the others, and they for it.
    if distributed.is_initialized():
        distributed.destroy_process_group()
