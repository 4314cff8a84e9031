"""Names of heatmaps, known before any head is trained; which slides they show need not be."""

OUTCOMES = ("right", "wrong")


def heatmap_slots(slides: int | list[str]) -> list[str]:
    """Names of the heatmaps of one head: so many of each outcome, such as `wrong_1`, or a number for each of `slides`.

    Ids themselves would be in the way: Snakemake writes names of files into the report's scripts as they are.
    """
    if isinstance(slides, int):
        return [f"{outcome}_{number}" for outcome in OUTCOMES for number in range(1, slides + 1)]
    return [f"slide_{number}" for number in range(1, len(slides) + 1)]
