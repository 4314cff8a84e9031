"""Progress of long work, as lines that read well on a terminal and in a log file."""

import sys
import time


class Progress:
    """Print `[label] 120/600 steps, loss 4.12, 812 images/s, 0:41 left`, at most every `every_s` seconds.

    A line, not a bar: several jobs share one terminal, and the same text goes to the log file. The first and the
    last step are always printed.
    """

    def __init__(self, label: str, total: int, unit: str, every_s: float = 5.0, done: int = 0) -> None:
        """`done` is the number of units already finished by an earlier, interrupted run."""
        self.label, self.total, self.unit, self.every_s = label, total, unit, every_s
        self.done = self.done_at_start = done
        self.started = time.monotonic()
        self.printed_at = float("-inf")

    def advance(self, units: int = 1, images: int = 0, **figures: float) -> None:
        """Count `units` finished; `images` is how many images have been handled in all since the start."""
        self.done += units
        now = time.monotonic()
        if self.done < self.total and now - self.printed_at < self.every_s:
            return
        self.printed_at = now
        elapsed = max(now - self.started, 1e-9)
        parts = [f"{self.done}/{self.total} {self.unit}"]
        parts += [f"{name} {value:.4g}" for name, value in figures.items()]
        if images:
            parts.append(f"{images / elapsed:.0f} images/s")
        finished_now = self.done - self.done_at_start
        if self.done < self.total and finished_now:
            parts.append(f"{clock(elapsed / finished_now * (self.total - self.done))} left")
        else:
            parts.append(f"took {clock(elapsed)}")
        print(f"[{self.label}] " + ", ".join(parts), file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """`h:mm:ss`, or `m:ss` below an hour."""
    minutes, seconds_left = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds_left:02d}" if hours else f"{minutes}:{seconds_left:02d}"
