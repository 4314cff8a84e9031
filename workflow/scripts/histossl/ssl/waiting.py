"""How long the device has waited for data."""

import time
from types import TracebackType
from typing import Self

import torch


class WaitingClock:
    """Sums the time in which the device had nothing to do because a batch was not there yet.

    `with clock: batch = next(batches)`. On a GPU the host runs ahead of the device: that it waits does not mean that
    the device does, so that the time between two marks in the device's own queue is taken.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.seconds = 0.0
        self.marks: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def __enter__(self) -> Self:
        self.began = self.mark() if self.on_gpu else time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.on_gpu:
            self.marks.append((self.began, self.mark()))
        else:
            self.seconds += time.monotonic() - self.began

    def mark(self) -> "torch.cuda.Event":
        """A mark in the device's queue."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def take(self) -> float:
        """Seconds waited since this was last called; on a GPU it waits for the device."""
        if self.marks:
            self.marks[-1][1].synchronize()
            self.seconds = sum(began.elapsed_time(ended) for began, ended in self.marks) / 1000
            self.marks = []
        seconds, self.seconds = self.seconds, 0.0
        return seconds
