"""How a run that has collapsed is told from a healthy one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

HEALTHY = "healthy"
NOT_FINITE = "not finite"
CONSTANT_FEATURES = "constant features"
CONSTANT_OUTPUT = "constant output"
UNIFORM_OUTPUT = "uniform output"
REMEDIES = {
    NOT_FINITE: "lower learning_rate, lengthen warmup_epochs or use precision fp32 or bf16",
    CONSTANT_FEATURES: "lower learning_rate or lengthen warmup_epochs",
    CONSTANT_OUTPUT: "lower learning_rate, or center_momentum where the method has one",
    UNIFORM_OUTPUT: "lower the teacher's temperature, below the student's, or learning_rate",
}
FLOOR = 1e-5
"""What rounding leaves of a difference between images that there is not."""
UNIFORM = 0.999
"""Entropy of a uniform output, as a share of ln K; the rest is a difference between images of 0.01 nats at most."""
CONSTANT = 0.1
"""Entropy of the mean output, as a share of ln K, where very few prototypes take all images."""
LEFT = {"eval_feature_std": 0.1, "output_std": 0.1, "output_difference": 0.01}
"""Share of the figure's own start below which images no longer differ; entropies go with the square of differences."""
VERDICTS = {"eval_feature_std": CONSTANT_FEATURES, "output_std": CONSTANT_OUTPUT, "output_difference": CONSTANT_OUTPUT}


@dataclass(frozen=True)
class Verdict:
    """What a run is found to be, and the figure that says so."""

    name: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.reason else self.name


def judge(now: Mapping[str, float], start: Mapping[str, float], warmed_up: bool) -> Verdict:
    """Name a collapse.

    Networks may start with features nearly alike (a spread of 0.02 was seen with small ones, 1e-6 with layer scale)
    and DINO's output starts near the uniform one. What counts is therefore how much of the start is left; limits that
    are the same for all networks count once the warm-up has given them the time to leave their start.

    Args:
        now: `loss`; `eval_feature_std` on fixed patches; of a training batch `output_std` where the method has an
            embedding; `teacher_entropy_share`, `mean_teacher_entropy_share` (of the mean over the batch; both as shares
            of ln K) and `output_difference` (mean KL divergence of an output from the mean output, nats) where it has
            prototypes. What is missing is not judged.
        start: the same before training; empty where that is not known.
        warmed_up: whether the learning rate has reached its peak.
    """
    for name, value in now.items():
        if not math.isfinite(value):
            return Verdict(NOT_FINITE, f"{name} is {value}")
    if now.get("mean_teacher_entropy_share", 1.0) < CONSTANT:
        share = now["mean_teacher_entropy_share"]
        return Verdict(CONSTANT_OUTPUT, f"the mean output of the teacher has an entropy of {share:.3f} ln K")
    if warmed_up and now.get("teacher_entropy_share", 0.0) > UNIFORM:
        return Verdict(UNIFORM_OUTPUT, f"the teacher's entropy is {now['teacher_entropy_share']:.5f} ln K")
    for name, left in LEFT.items():
        if name not in now:
            continue
        # A start that rounding decides is nothing to compare with.
        faded = start.get(name, 0.0) > FLOOR and now[name] < left * start[name]
        if faded or (warmed_up and now[name] < FLOOR):
            before = f", after {start[name]:.3g} at the start" if name in start else ""
            return Verdict(VERDICTS[name], f"{name} is {now[name]:.3g}{before}")
    return Verdict(HEALTHY)
