"""Which slides are drawn: those that a head was surest of, right and wrong, or those that the user names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from histossl.heatmaps.attention import OutOfFold
from histossl.heatmaps.slots import OUTCOMES, heatmap_slots
from histossl.tables.predictions import PROBABILITY, class_names, read_predictions


@dataclass(frozen=True)
class Judged:
    """A slide and what the head that had not seen its patient said; `probability` is that of the predicted class."""

    slide: str
    label: str
    predicted: str
    probability: float
    fold: int

    @property
    def outcome(self) -> str:
        """`right` or `wrong`."""
        return OUTCOMES[self.label != self.predicted]


def read_judged(path: Path, seed: int, tested: Mapping[str, OutOfFold]) -> tuple[list[Judged], list[str]]:
    """The predictions of the heads whose attention was kept, by slide, and the classes.

    Raises:
        UserError: the file of predictions cannot be used.
    """
    (rows,) = read_predictions([path], ("encoder", "model"), ("repeat", "fold", "seed", "slide"), ("label",)).values()
    classes, first = class_names(rows), min(int(row["repeat"]) for row in rows)
    judged = []
    for row in rows:
        slide, own = row["slide"], (int(row["repeat"]), int(row["seed"]), int(row["fold"]))
        if slide in tested and own == (first, seed, tested[slide].fold):
            predicted = max(classes, key=lambda name: float(row[PROBABILITY + name]))
            probability = float(row[PROBABILITY + predicted])
            judged.append(Judged(slide, row["label"], predicted, probability, tested[slide].fold))
    return judged, classes


def choose_slides(
    judged: Sequence[Judged], classes: Sequence[str], tested: Mapping[str, OutOfFold], slides: int | list[str]
) -> dict[str, Judged | str]:
    """For each slot of `heatmap_slots` the slide that is drawn there, or the sentence that stands there instead.

    Classes take turns: of two, `right_1` and `right_3` are of the first, `right_2` and `right_4` of the second, the
    most certain first. Slides without patches are not chosen.
    """
    chosen: dict[str, Judged | str] = {}
    if not isinstance(slides, int):
        by_id = {one.slide: one for one in judged}
        return {
            slot: by_id.get(slide, f"Slide {slide} was not tested in this task.")
            for slot, slide in zip(heatmap_slots(slides), slides, strict=True)
        }
    for slot in heatmap_slots(slides):
        outcome, _, number = slot.partition("_")
        turn, label = divmod(int(number) - 1, len(classes))
        fitting = [
            one for one in judged if (one.outcome, one.label) == (outcome, classes[label]) and tested[one.slide].patches
        ]
        fitting.sort(key=lambda one: (-one.probability, one.slide))
        said = f"Of class {classes[label]}, {len(fitting)} slides were judged {outcome}ly: none is left to draw here."
        chosen[slot] = fitting[turn] if turn < len(fitting) else said
    return chosen
