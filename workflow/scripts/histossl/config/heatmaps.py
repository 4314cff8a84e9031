"""Which heatmaps a configuration asks for. Their names are known before any head is trained; the slides need not be."""

from collections.abc import Mapping
from typing import Any

from histossl.config.plan import fractions, task_encoders

OUTCOMES = ("right", "wrong")


def heatmap_slots(slides: int | list[str]) -> list[str]:
    """Names of the heatmaps of one head: the ids of `slides`, or so many of each outcome, such as `wrong_1`."""
    if isinstance(slides, int):
        return [f"{outcome}_{number}" for outcome in OUTCOMES for number in range(1, slides + 1)]
    return slides


def heatmap_files(config: Mapping[str, Any]) -> list[str]:
    """Figures of each head of each slide task; with them come the files for QuPath and OpenSlide."""
    return [
        f"results/figures/heatmaps/{name}/{encoder}/{model}/{slot}.svg"
        for name, task in config["slide_tasks"].items()
        for encoder in task_encoders(config, task)
        for model in task["models"]
        for slot in heatmap_slots(config["heatmaps"]["slides"])
    ]


def largest_fraction(config: Mapping[str, Any], task: str) -> str:
    """The training fraction whose heads are drawn, by name."""
    return fractions(config, task)[0]
