"""What a run tells while it lasts: lines on the terminal and the training curve."""

import json
import math
import sys
import time
from pathlib import Path

import torch

from histossl.errors import UserError
from histossl.files import write_text_whole
from histossl.progress import Progress, clock
from histossl.ssl.method import Horizon
from histossl.ssl.processes import Processes
from histossl.ssl.settings import PretrainSettings


class TrainingLog:
    """Figures by step, printed and appended to a working file, one JSON object a line, so that one can watch them."""

    def __init__(
        self,
        name: str,
        settings: PretrainSettings,
        horizon: Horizon,
        step: int,
        processes: Processes,
        working_file: Path,
    ) -> None:
        """Go on after `step` steps: lines of a broken-off run beyond that are dropped from `working_file`."""
        self.name, self.batch, self.learning_rate = name, settings.batch, settings.learning_rate
        self.processes, self.working_file = processes, working_file
        self.first_step = self.step = step
        self.started = self.logged_at = time.monotonic()
        self.waiting_s = 0.0
        self.damaged_count = 0
        if processes.is_main:
            self.progress = Progress(name, horizon.steps, "steps", done=step)
            lines = working_file.read_text("utf-8").splitlines(keepends=True) if working_file.exists() else []
            # The last line is cut short where the process was killed while it wrote.
            whole = [line for line in lines if line.endswith("\n")]
            write_text_whole(working_file, "".join(line for line in whole if json.loads(line)["step"] <= step))
            print(
                f"[{self.name}] {'resuming after' if step else 'training for'} "
                f"{f'{step} of ' if step else ''}{horizon.steps} steps of {self.batch} patches, "
                f"{processes.count} process(es) on {processes.device.type}",
                file=sys.stderr,
            )

    def waited(self, seconds: float) -> None:
        """Count time spent waiting for a batch."""
        self.waiting_s += seconds

    def name_damaged(self, sentences: list[str]) -> None:
        """Print a line for each patch that was replaced because it could not be read."""
        for sentence in sentences:
            self.damaged_count += 1
            print(
                f"[{self.name}] warning: {sentence}; replaced by its neighbour ({self.damaged_count} so far)",
                file=sys.stderr,
            )

    def write(self, step: int, figures: dict[str, torch.Tensor], learning_rate: float) -> None:
        """Log the figures after `step` steps, averaged over the processes; all of them must call this.

        Raises:
            UserError: the loss is not finite.
        """
        means = {name: self.processes.mean(value) for name, value in figures.items()}
        self.check_finite(step, means["loss"])
        if not self.processes.is_main:
            return
        now = time.monotonic()
        line = {
            "step": step,
            **means,
            "learning_rate": learning_rate,
            "images_per_s": (step - self.step) * self.batch / (now - self.logged_at),
            "waiting_share": self.waiting_s / (now - self.logged_at),
        }
        with self.working_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({name: float(f"{value:.6g}") for name, value in line.items()}) + "\n")
        self.progress.advance(step - self.step, images=(step - self.first_step) * self.batch, loss=means["loss"])
        self.step, self.logged_at, self.waiting_s = step, now, 0.0

    def check_finite(self, step: int, loss: float) -> None:
        """Raise a UserError where the loss is not a number any more."""
        if not math.isfinite(loss):
            raise UserError(
                f"{self.name}: the loss is {loss} after step {step}; lower learning_rate (now "
                f"{self.learning_rate:g}), lengthen warmup_epochs or use precision fp32 or bf16"
            )

    def finish(self, output: Path, curve: Path) -> None:
        """Write the whole curve to `curve` and say what came out."""
        write_text_whole(curve, self.working_file.read_text("utf-8"))
        seconds = time.monotonic() - self.started
        images = (self.step - self.first_step) * self.batch
        print(
            f"[{self.name}] encoder in {output}; {clock(seconds)}, {images / seconds:.0f} images/s",
            file=sys.stderr,
        )
