"""What a run tells while it lasts: lines on the terminal, the training curve, and TensorBoard's files."""

import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from histossl.errors import JobError, UserError
from histossl.files import write_text_whole
from histossl.progress import Progress, clock
from histossl.ssl.collapse import HEALTHY, NOT_FINITE, REMEDIES, Verdict, judge
from histossl.ssl.event_files import EventFiles
from histossl.ssl.method import Horizon
from histossl.ssl.processes import Processes
from histossl.ssl.settings import PretrainSettings


class TrainingLog:
    """Figures by step, printed and appended to a working file, one JSON object a line, so that one can watch them.

    The first line, of step 0, is of the network as it is before training.
    """

    def __init__(
        self,
        name: str,
        settings: PretrainSettings,
        horizon: Horizon,
        step: int,
        processes: Processes,
        working_file: Path,
        events_dir: Path,
        patches: int,
        damaged: int = 0,
    ) -> None:
        """Go on after `step` steps: lines of a broken-off run beyond that are dropped from `working_file`.

        Args:
            name: the encoder's name, for messages.
            settings: of the run.
            horizon: its length.
            step: steps behind it.
            processes: those that share its work.
            working_file: the curve while the run lasts.
            events_dir: folder of TensorBoard's files.
            patches: that it is trained on.
            damaged: `count_unwritten_damaged` of the checkpoint that the run goes on from, in one of the processes.
        """
        self.name, self.settings, self.horizon = name, settings, horizon
        self.processes, self.working_file = processes, working_file
        self.first_step = self.step = step
        self.started = self.logged_at = time.monotonic()
        self.waiting_s = 0.0
        self.patches, self.unwritten_damaged = patches, damaged
        self.start: dict[str, float] = {}
        self.before_s = 0.0
        self.damaged_count = 0
        if processes.is_main:
            self.progress = Progress(name, horizon.steps, "steps", done=step)
            lines = read_curve(working_file, step) if step else []
            write_text_whole(working_file, "".join(json.dumps(line) + "\n" for line in lines))
            if lines:
                self.before_s = 3600 * lines[-1]["hours"]
                self.damaged_count = lines[-1]["damaged_patches"]
                self.start = lines[0] if lines[0]["step"] == 0 else {}
            self.events = EventFiles(events_dir, lines)
            print(
                f"[{self.name}] {'resuming after' if step else 'training for'} "
                f"{f'{step} of ' if step else ''}{horizon.steps} steps of {settings.batch} patches, "
                f"{processes.count} process(es) on {processes.device.type}",
                file=sys.stderr,
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The time in here is not counted where images/s are."""
        if self.processes.device.type == "cuda":
            torch.cuda.synchronize(self.processes.device)
        began = time.monotonic()
        yield
        self.logged_at += time.monotonic() - began

    def waited(self, seconds: float) -> None:
        """Count time spent waiting for a batch."""
        self.waiting_s += seconds

    def name_damaged(self, sentences: list[str]) -> None:
        """Print a line for each patch that was replaced because it could not be read."""
        for sentence in sentences:
            self.unwritten_damaged += 1
            print(f"[{self.name}] warning: {sentence}; replaced by its neighbour", file=sys.stderr)

    def write(
        self,
        step: int,
        figures: dict[str, torch.Tensor],
        learning_rate: float,
        examined: Mapping[str, float] | None = None,
    ) -> None:
        """Log the figures after `step` steps, averaged over the processes; all of them must call this.

        Args:
            step: steps done; 0 for figures of the first step, which the untrained network gave.
            figures: of the last batch, of this process.
            learning_rate: of the last step.
            examined: where the encoder has been examined, its figures (in the main process; others give `{}`); the
                line then has a verdict.

        Raises:
            UserError: the loss is not finite; or the run has collapsed and is not to go on.
        """
        means = {name: self.processes.mean(value) for name, value in figures.items()}
        newly_damaged = self.count_unwritten_damaged()
        self.unwritten_damaged = 0
        self.check_finite(step, means["loss"])
        verdict = Verdict(HEALTHY)
        if self.processes.is_main:
            self.damaged_count += newly_damaged
            now = time.monotonic()
            line: dict[str, float | int | str] = {
                "step": step,
                **({"patches": self.patches} if step == 0 else {}),
                **means,
                **against_uniform(means, self.settings),
                "learning_rate": learning_rate,
                **self.speed(step, now),
                "damaged_patches": self.damaged_count,
                "hours": (self.before_s + now - self.started) / 3600,
            }
            if examined is not None:
                line |= examined
                numbers = {name: value for name, value in line.items() if isinstance(value, int | float)}
                warmed_up = step > self.horizon.steps_in(self.settings.warmup_epochs)
                verdict = judge(numbers, self.start, warmed_up)
                line["verdict"] = str(verdict)
            line = rounded(line)
            self.append(line)
            if step == 0:
                self.start = line
            else:
                images = (step - self.first_step) * self.settings.batch
                self.progress.advance(step - self.step, images=images, loss=means["loss"])
                self.step, self.logged_at, self.waiting_s = step, now, 0.0
        if examined is not None:
            self.end_collapsed(step, verdict)

    def count_unwritten_damaged(self) -> int:
        """Damaged patches of all processes that no line counts yet; all must call this."""
        own = torch.tensor(float(self.unwritten_damaged), device=self.processes.device)
        return round(self.processes.mean(own) * self.processes.count)

    def speed(self, step: int, now: float) -> dict[str, float]:
        """Since the last line: images/s, the share of time spent waiting for data, and the largest GPU memory."""
        figures: dict[str, float] = {}
        if step > self.step:
            seconds = now - self.logged_at
            figures["images_per_s"] = (step - self.step) * self.settings.batch / seconds
            figures["waiting_share"] = self.waiting_s / seconds
        if self.processes.device.type == "cuda":
            figures["gpu_memory_gb"] = torch.cuda.max_memory_allocated(self.processes.device) / 1e9
        return figures

    def append(self, line: Mapping[str, object]) -> None:
        """Write a line to the working file and for TensorBoard.

        Raises:
            JobError: it can't be written.
        """
        try:
            with self.working_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                # A checkpoint that outlives a power cut must find its lines.
                file.flush()
                os.fsync(file.fileno())
            self.events.add(line)
        except OSError as error:
            raise JobError(
                f"{self.working_file}: the training curve can't be written ({error.strerror}); free space or rights "
                "there and rerun, the run goes on from its last checkpoint"
            ) from error

    def check_finite(self, step: int, loss: float) -> None:
        """Raise a UserError where the loss is not a number any more; the verdict is the last line of the curve."""
        if math.isfinite(loss):
            return
        verdict = Verdict(NOT_FINITE, f"the loss is {loss}")
        if self.processes.is_main:
            self.append({"step": step, "verdict": str(verdict)})
        raise UserError(
            f"{self.name}: the loss is {loss} after step {step}; {REMEDIES[NOT_FINITE]} (learning_rate is "
            f"{self.settings.learning_rate:g})"
        )

    def end_collapsed(self, step: int, verdict: Verdict) -> None:
        """Say that a run has collapsed; all processes must call this, and the main one's verdict counts.

        Raises:
            UserError: it is not to go on.
        """
        sentence = ""
        if self.processes.is_main and verdict.name != HEALTHY:
            sentence = f"{self.name}: collapsed by step {step}: {verdict}; {REMEDIES[verdict.name]}"
            if verdict.name != NOT_FINITE and self.settings.health.on_collapse == "continue":
                print(f"[{self.name}] warning: {sentence}", file=sys.stderr)
                sentence = ""
            elif verdict.name != NOT_FINITE:
                sentence += ", or set `health: on_collapse: continue`"
        sentence = self.processes.from_main(sentence)
        if sentence:
            raise UserError(f"{sentence}; the curve is in {self.working_file}")

    def finish(self, output: Path, curve: Path) -> None:
        """Write the whole curve to `curve` and say what came out."""
        write_text_whole(curve, self.working_file.read_text("utf-8"))
        self.events.close()
        seconds = time.monotonic() - self.started
        images = (self.step - self.first_step) * self.settings.batch
        if self.damaged_count:
            print(
                f"[{self.name}] warning: {self.damaged_count} times a damaged patch was replaced by its neighbour; "
                "to train on whole ones, delete the shards named above, or in the log of the run before, and "
                f"{output}, and rerun",
                file=sys.stderr,
            )
        print(
            f"[{self.name}] encoder in {output}; {clock(seconds)}, {images / seconds:.0f} images/s",
            file=sys.stderr,
        )


def read_curve(path: Path, last_step: int) -> list[dict]:
    """The lines of a curve up to `last_step`; what a kill or a power cut left of a line is passed over."""
    lines: list[dict] = []
    for text in path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []:
        with suppress(json.JSONDecodeError):
            lines.append(json.loads(text))
    return [line for line in lines if line["step"] <= last_step]


def rounded(line: Mapping[str, float | int | str]) -> dict[str, float | int | str]:
    """Floats to six significant digits: a curve is to be read."""
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in line.items()}


def against_uniform(means: Mapping[str, float], settings: PretrainSettings) -> dict[str, float]:
    """The teacher's entropies as shares of ln K, that of a uniform output, and how far outputs are from their mean."""
    if "mean_teacher_entropy" not in means:
        return {}
    uniform = math.log(settings.method_settings["output_dim"])
    return {
        "teacher_entropy_share": means["teacher_entropy"] / uniform,
        "mean_teacher_entropy_share": means["mean_teacher_entropy"] / uniform,
        "output_difference": means["mean_teacher_entropy"] - means["teacher_entropy"],
    }
