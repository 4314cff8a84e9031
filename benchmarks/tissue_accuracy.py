"""Accuracy of tissue segmentation on the phantom's truth, on slides it was not tuned on.

    python benchmarks/tissue_accuracy.py [--seed 500] [--slides 6] [--settings JSON]

For each kind (clean, faint, marked with each colour of ink, with black and white scanner fill, without tissue) it draws
slides of 2 x 1.7 mm, every second of them at 0.25 µm/px, writes them as scanners do, segments them and prints for each

* IoU and recall of the tissue's area, outside ink and fill;
* how many patches (256 px at 0.5 µm/px, half tissue) are left, and how many touch a single pixel of ink or fill.

It ends with the worst of each kind and with 1 if a bound is broken. The tuning was done on seed 11.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from defaults import default_tissue

from histossl.phantom.layout import PEN_COLOURS
from histossl.phantom.pyramid import write_pyramid
from histossl.phantom.section import CODE
from histossl.phantom.slide import NO_TISSUE, TRUTH_DOWNSAMPLE, SlideSpecification, draw_slide
from histossl.phantom.stain import SITES
from histossl.slides.reader import Slide
from histossl.tiles.grid import place_grid, touches
from histossl.tiles.tissue import Tissue, TissueSettings, segment_tissue

SIZE_UM = (2048.0, 1664.0)
PATCH_UM = 128.0
LEAST_IOU = {"clean": 0.95}
LEAST_IOU_OF_OTHERS = 0.90
LEAST_RECALL = 0.98
KINDS = ("clean", "faint", "green", "blue", "black", "red", "faint black", "faint blue", "fill", "empty", "empty blue")


@dataclass(frozen=True)
class Score:
    """One slide: IoU and recall are 1 where there is no tissue and none was found."""

    kind: str
    slide: str
    iou: float
    recall: float
    patches: int
    on_ink: int
    on_fill: int
    tissue: Tissue

    def holds(self) -> bool:
        """Whether the slide is within the bounds."""
        least = LEAST_IOU.get(self.kind, LEAST_IOU_OF_OTHERS)
        return self.iou >= least and self.recall >= LEAST_RECALL and not self.on_ink and not self.on_fill


def measure(
    folder: Path, kind: str, number: int, seed: int, spacing_um: float, settings: TissueSettings, site: str
) -> Score:
    """Draw one slide into `folder`, segment it, compare with its truth."""
    words = kind.split()
    ink = next((word for word in words if word in PEN_COLOURS), "none")
    specification = SlideSpecification(
        slide=f"{kind}-{number}",
        subtype=NO_TISSUE if "empty" in words else ("ductal", "lobular")[number % 2],
        site=site,
        stain_strength=0.4 if "faint" in words else 1.0,
        pen=ink,
        spacing_stated=True,
    )
    drawn = draw_slide(specification, seed, *(round(side / spacing_um) for side in SIZE_UM), spacing_um)
    fill = np.zeros(drawn.pen.shape, bool)
    if kind == "fill":
        fill = lay_fill(drawn.image, drawn.pen.shape)
    path = folder / f"{specification.slide}.svs"
    write_pyramid(path, drawn.image, spacing_um)
    size = drawn.image.shape[1::-1]
    with Slide(path) as slide:
        tissue = segment_tissue(slide.thumbnail(settings.spacing_um, spacing_um), settings)
    path.unlink()
    found = cv2.resize(tissue.mask.astype(np.uint8), fill.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    seen = ~(drawn.pen | fill)
    truth, found = (drawn.regions != CODE["background"]) & seen, found & seen
    either, both = (found | truth).sum(), (found & truth).sum()
    side = PATCH_UM / spacing_um
    coords, _ = place_grid(tissue.mask, size, side, side, 0.5)
    coords = coords[~touches(tissue.pen | tissue.fill, size, coords, side)]
    return Score(
        kind=kind,
        slide=f"{site} {number}, {spacing_um:g} µm/px",
        iou=both / either if either else 1.0,
        recall=both / truth.sum() if truth.any() else 1.0,
        patches=len(coords),
        on_ink=int(touches(drawn.pen, size, coords, side).sum()),
        on_fill=int(touches(fill, size, coords, side).sum()),
        tissue=tissue,
    )


def lay_fill(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Paint black and white fill over a slide as if fields of view were missing; where it lies, of the truth's size."""
    height, width = shape
    fill = np.zeros(shape, np.uint8)
    fields = (
        (slice(0, height // 6), slice(0, width // 3), 255),
        (slice(height // 6, height // 3), slice(0, width // 8), 255),
        (slice(height - height // 12, height), slice(0, width), 255),
        (slice(height // 2, height), slice(width - width // 7, width), 0),
    )
    for rows, columns, level in fields:
        fill[rows, columns] = 1
        step = TRUTH_DOWNSAMPLE
        image[rows.start * step : rows.stop * step, columns.start * step : columns.stop * step] = level
    return fill > 0


def measure_all(kinds: tuple[str, ...], slides: int, seed: int, settings: TissueSettings) -> Iterator[Score]:
    """Slides of every kind, from the three laboratories in turn."""
    sites = list(SITES)
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            for number in range(slides):
                # Three slides at each scale before the next, so that every laboratory is seen at both.
                spacing_um = (0.5, 0.25)[number // len(sites) % 2]
                site = sites[number % len(sites)]
                yield measure(Path(folder), kind, number, seed, spacing_um, settings, site)


def main() -> int:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=500)
    parser.add_argument("--slides", type=int, default=6, help="of each kind")
    parser.add_argument("--settings", type=json.loads, help="all of TissueSettings, JSON; else the schema's defaults")
    arguments = parser.parse_args()
    settings = TissueSettings(**arguments.settings) if arguments.settings else default_tissue()
    line = "{:<12} {:<22} {:>6} {:>7} {:>8} {:>7} {:>8}".format
    print(line("kind", "slide", "IoU", "recall", "patches", "on ink", "on fill"))
    scores = []
    for score in measure_all(KINDS, arguments.slides, arguments.seed, settings):
        row = (score.kind, score.slide, f"{score.iou:.3f}", f"{score.recall:.3f}")
        print(
            line(*row, score.patches, score.on_ink, score.on_fill), "" if score.holds() else "  <- broken", flush=True
        )
        scores.append(score)
    print("\nworst IoU, mean IoU, worst recall, patches on ink or fill")
    for kind in KINDS:
        of_kind = [score for score in scores if score.kind == kind]
        ious, recalls = [score.iou for score in of_kind], [score.recall for score in of_kind]
        touching = sum(score.on_ink + score.on_fill for score in of_kind)
        print(f"{kind:<12} {min(ious):.3f} {np.mean(ious):.3f} {min(recalls):.3f} {touching}")
    count = sum(not score.holds() for score in scores)
    print(f"{count} of {len(scores)} slides break a bound")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
