"""Which heatmaps a configuration asks for."""

from collections.abc import Mapping
from typing import Any

from histossl.config.plan import fractions, task_encoders
from histossl.heatmaps.slots import heatmap_slots


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
