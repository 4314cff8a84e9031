"""The training curve as TensorBoard shows it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


class EventFiles:
    """Event files in a folder of their own, written anew from the curve whenever a run starts or goes on.

    The curve is what a kill and a resumed run leave right; files made from it hold no step twice and lack none.
    A TensorBoard that was open when a run went on may show steps of before the kill until it is started again.
    """

    def __init__(self, folder: Path, lines: Iterable[Mapping[str, object]]) -> None:
        """Replace the event files in `folder` by one that holds `lines`, the curve so far."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self.writer = SummaryWriter(str(folder))
        for line in lines:
            self._add(line)
        self.writer.flush()

    def add(self, line: Mapping[str, object]) -> None:
        """Add a line of the curve; it is on the disk when this returns."""
        self._add(line)
        self.writer.flush()

    def _add(self, line: Mapping[str, object]) -> None:
        step = int(str(line["step"]))
        for name, value in line.items():
            if isinstance(value, str):
                self.writer.add_text(name, value, step)
            elif isinstance(value, int | float) and name != "step":
                self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the file."""
        self.writer.close()
