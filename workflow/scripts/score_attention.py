"""Table of how well each attention head picks each component of the demo's drawn tissue."""

import argparse
from pathlib import Path

import h5py

from histossl.attention.components import CAPTION, summarise_heads
from histossl.attention.maps_file import read_maps
from histossl.cli import run
from histossl.errors import UserError
from histossl.hdf5 import DAMAGED, read_array
from histossl.tables.render import write_table


def main(argv: list[str] | None = None) -> None:
    """Read the maps and the components, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=Path, nargs="+", required=True, help="of each encoder, in the order of the rows")
    parser.add_argument("--components", type=Path, required=True, help="HDF5 of draw_components.py")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--latex", type=Path, required=True)
    arguments = parser.parse_args(argv)
    try:
        with h5py.File(arguments.components, "r") as file:
            names = read_array(file, "names").tolist()
            components = dict(
                zip(read_array(file, "components").tolist(), read_array(file, "shares") / 255, strict=True)
            )
    except DAMAGED as error:
        raise UserError(f"{arguments.components}: not readable ({error}); delete it and rerun") from error
    rows = [row for path in arguments.maps for row in summarise_heads(read_maps(path), names, components)]
    write_table(rows, CAPTION, arguments.csv, arguments.markdown, arguments.latex)


if __name__ == "__main__":
    run(main)
