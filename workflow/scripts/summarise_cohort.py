"""One table of the whole cohort: size, scale and its source, tissue, patches, and why a slide has none."""

import argparse
from pathlib import Path

from histossl.cli import run
from histossl.config.sheets import read_slide_sheet
from histossl.evaluation.render import write_table
from histossl.slides.metadata import read_metadata
from histossl.tiles.coords_file import read_coords
from histossl.tiles.tissue_file import read_tissue


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, gather one row a slide, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, required=True, help="the slide sheet, which gives the order")
    parser.add_argument("--slides", type=Path, required=True, help="folder of metadata and tissue")
    parser.add_argument("--tiles", type=Path, required=True, help="folder of coordinates")
    parser.add_argument("--tilings", nargs="+", required=True)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--latex", type=Path, required=True)
    arguments = parser.parse_args(argv)
    rows = []
    for slide, line in read_slide_sheet(arguments.sheet).items():
        metadata = read_metadata(arguments.slides / slide / "metadata.json")
        _, facts = read_tissue(arguments.slides / slide / "tissue.geojson")
        tiles = {tiling: read_coords(arguments.tiles / tiling / f"{slide}.h5") for tiling in arguments.tilings}
        patches = {f"patches_{tiling}": len(found.coords) for tiling, found in tiles.items()}
        rows.append(
            {
                "slide": slide,
                "patient": line.patient,
                "width_px": metadata.width_px,
                "height_px": metadata.height_px,
                "spacing_um": metadata.spacing_um,
                "spacing_source": metadata.spacing_source,
                "tissue_mm2": facts["area_mm2"],
                **patches,
                "reason": "" if any(patches.values()) else next(iter(tiles.values())).reason,
            }
        )
    without = [row["slide"] for row in rows if row["reason"]]
    caption = f"{len(rows)} slides, {len(without)} of them without patches." + (
        f" Without patches: {', '.join(without)}." if without else ""
    )
    write_table(rows, caption, arguments.csv, arguments.markdown, arguments.latex)
    print(caption)


if __name__ == "__main__":
    run(main)
