"""Names of heatmaps, known before any head is trained; which slides they show need not be."""

OUTCOMES = ("right", "wrong")


def heatmap_slots(slides: int | list[str]) -> list[str]:
    """Names of the heatmaps of one head: the ids of `slides`, or so many of each outcome, such as `wrong_1`."""
    if isinstance(slides, int):
        return [f"{outcome}_{number}" for outcome in OUTCOMES for number in range(1, slides + 1)]
    return slides
