"""Figures of what each attention head of an encoder looks at: maps on a few patches, and the patches it singles out."""

import argparse
import json
from pathlib import Path

from histossl.attention.figures import choose, draw_heads, draw_mosaic
from histossl.attention.maps_file import read_maps
from histossl.cli import run
from histossl.figures.style import draw_sentence


def main(argv: list[str] | None = None) -> None:
    """Read the maps and draw both figures, or write why there are none in their place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=Path, required=True, help="HDF5 of record_attention.py")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: patches, mass")
    parser.add_argument("--patches", type=Path, nargs=2, required=True, help=".svg and .png")
    parser.add_argument("--heads", type=Path, nargs=2, required=True, help=".svg and .png")
    arguments = parser.parse_args(argv)
    found, settings = read_maps(arguments.maps), arguments.settings
    if found.reason:
        for files in (arguments.patches, arguments.heads):
            draw_sentence(f"No attention of {found.encoder} is shown: {found.reason}.", *files)
        return
    chosen = choose(found.pictures, settings["patches"])
    for number, index in enumerate(chosen, 1):
        print(f"patch {number}: {found.names[index]}")
    draw_mosaic(found, chosen, settings["mass"], *arguments.patches)
    draw_heads(found, settings["mass"], *arguments.heads)


if __name__ == "__main__":
    run(main)
