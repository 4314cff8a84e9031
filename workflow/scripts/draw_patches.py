"""Draw one patch data set of the demo cohort: images and their sheet."""

import argparse
import json
import shutil
from pathlib import Path

import cv2
import pandas as pd

from histossl.cli import run
from histossl.files import whole_file
from histossl.phantom.patches import ARMS, draw_cellularity, draw_classes


def main(argv: list[str] | None = None) -> None:
    """Draw the images into a folder beside their own, then move it into place, then write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arm", choices=list(ARMS), required=True, help="which data set to draw")
    parser.add_argument(
        "--settings",
        type=json.loads,
        required=True,
        help="JSON: seed, patch_px, spacing_um, per_class and test_per_class, or cellularity and test_share",
    )
    parser.add_argument("--sheet", type=Path, required=True, help="sheet to write (.csv)")
    parser.add_argument("--images", type=Path, required=True, help="folder of images to write, beside the sheet")
    arguments = parser.parse_args(argv)

    cv2.setNumThreads(1)
    settings, arm = arguments.settings, ARMS[arguments.arm]
    common = (settings["patch_px"], settings["spacing_um"], settings["seed"])
    if arguments.arm == "cellularity":
        patches = draw_cellularity(arm, settings["cellularity"], settings["test_share"], *common)
    else:
        per_class = settings["test_per_class" if arguments.arm == "test" else "per_class"]
        patches = draw_classes(arm, per_class, *common)

    unfinished = arguments.images.with_name(f".{arguments.images.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    folder = arguments.images.relative_to(arguments.sheet.parent)
    lines = []
    for patch in patches:
        cv2.imwrite(str(unfinished / f"{patch.name}.png"), cv2.cvtColor(patch.image, cv2.COLOR_RGB2BGR))
        path = (folder / f"{patch.name}.png").as_posix()
        lines.append((path, patch.label, patch.split, patch.group, round(patch.target, 6)))
    shutil.rmtree(arguments.images, ignore_errors=True)
    unfinished.replace(arguments.images)
    with whole_file(arguments.sheet) as temporary:
        pd.DataFrame(lines, columns=["path", "label", "split", "group", "target"]).to_csv(temporary, index=False)


if __name__ == "__main__":
    run(main)
