"""What each pixel of the demo's drawn test patches is part of: nuclei, tumour cells, stroma, lumen."""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from histossl.cli import run
from histossl.files import whole_file
from histossl.hdf5 import create_hdf5, write_array
from histossl.phantom.components import COMPONENTS, KnownSection
from histossl.phantom.patches import ARMS, draw_classes

ARM = "test"


def main(argv: list[str] | None = None) -> None:
    """Draw the patches once more, by sections that take note, and write their components in 255ths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json.loads, required=True, help="as of draw_patches.py")
    parser.add_argument("--output", type=Path, required=True, help="HDF5")
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)
    settings = arguments.settings
    common = (settings["patch_px"], settings["spacing_um"], settings["seed"])
    patches = list(draw_classes(ARMS[ARM], settings["test_per_class"], *common, KnownSection))
    with whole_file(arguments.output) as temporary, create_hdf5(temporary) as file:
        write_array(file, "names", [f"images/{ARM}/{patch.name}.png" for patch in patches])
        write_array(file, "components", list(COMPONENTS))
        shares = [np.stack([patch.components[name] for patch in patches]) for name in COMPONENTS]
        write_array(file, "shares", np.rint(255 * np.stack(shares)).astype(np.uint8))


if __name__ == "__main__":
    run(main)
