"""Draw the labelled patches of the demo cohort: images and their sheet."""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pandas as pd

from histossl.cli import run
from histossl.files import whole_file
from histossl.phantom.patches import ARMS, Patch, draw_cellularity, draw_classes


def draw_all(settings: dict[str, Any]) -> Iterator[tuple[str, str, Patch]]:
    """Every patch with the arm it is of and the split it is in."""
    common = (settings["patch_px"], settings["spacing_um"], settings["seed"])
    for name, arm in ARMS.items():
        if name == "cellularity":
            for patch in draw_cellularity(arm, settings["cellularity"], settings["test_share"], *common):
                yield name, f"{name}_{patch.split}", patch
        else:
            per_class = settings["test_per_class" if name == "test" else "per_class"]
            for patch in draw_classes(arm, per_class, *common):
                yield name, name, patch


def main(argv: list[str] | None = None) -> None:
    """Draw the images into a folder beside their own, then move it into place, then write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--settings",
        type=json.loads,
        required=True,
        help="JSON: seed, patch_px, spacing_um, per_class, test_per_class, cellularity, test_share",
    )
    parser.add_argument("--sheet", type=Path, required=True, help="sheet to write (.csv)")
    parser.add_argument("--images", type=Path, required=True, help="folder of images to write, beside the sheet")
    arguments = parser.parse_args(argv)

    cv2.setNumThreads(1)
    unfinished = arguments.images.with_name(f".{arguments.images.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    folder = arguments.images.relative_to(arguments.sheet.parent)
    lines = []
    for arm, split, patch in draw_all(arguments.settings):
        image = Path(arm) / f"{patch.name}.png"
        (unfinished / arm).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(unfinished / image), cv2.cvtColor(patch.image, cv2.COLOR_RGB2BGR))
        lines.append(((folder / image).as_posix(), patch.label, split, patch.group, round(patch.target, 6)))
    shutil.rmtree(arguments.images, ignore_errors=True)
    unfinished.replace(arguments.images)
    with whole_file(arguments.sheet) as temporary:
        pd.DataFrame(lines, columns=["path", "label", "split", "group", "target"]).to_csv(temporary, index=False)


if __name__ == "__main__":
    run(main)
