"""The training curve as TensorBoard shows it."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import scalar, text


class EventFiles:
    """Event files in a folder of their own, written anew from the curve whenever a run starts or goes on.

    The curve is what a kill and a resumed run leave right; files made from it hold no step twice and lack none.
    A TensorBoard that was open when a run went on may show steps of before the kill until it is started again.

    Records are written here, not by `SummaryWriter`, whose thread prints a traceback of its own on a full disk.
    """

    def __init__(self, folder: Path, lines: Iterable[Mapping[str, object]]) -> None:
        """Replace the event files in `folder` by one that holds `lines`, the curve so far."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self.file = (folder / f"events.out.tfevents.{time.time_ns()}.histossl").open("wb")
        self.records = RecordWriter(self.file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        for line in lines:
            self._add(line)
        self.records.flush()

    def add(self, line: Mapping[str, object]) -> None:
        """Add a line of the curve; it is on the disk when this returns.

        Raises:
            OSError: it can't be written.
        """
        self._add(line)
        self.records.flush()

    def _add(self, line: Mapping[str, object]) -> None:
        step = int(str(line["step"]))
        for name, value in line.items():
            if isinstance(value, str):
                self._write(Event(wall_time=time.time(), step=step, summary=text(name, value)))
            elif isinstance(value, int | float) and name != "step":
                self._write(Event(wall_time=time.time(), step=step, summary=scalar(name, value)))

    def _write(self, event: Event) -> None:
        self.records.write(event.SerializeToString())

    def close(self) -> None:
        """Close the file."""
        self.records.close()
