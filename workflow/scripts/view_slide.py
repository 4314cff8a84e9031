"""Look through one slide in a browser, with tissue and attention as layers: served on this machine, or exported."""

import argparse
from pathlib import Path

import yaml

from histossl.cli import run
from histossl.config.load import load_config
from histossl.config.sheets import read_slide_sheet
from histossl.errors import UserError
from histossl.slides.metadata import read_metadata
from histossl.viewer.export import export_page
from histossl.viewer.layers import read_heatmaps, read_rings
from histossl.viewer.server import SlideServer
from histossl.viewer.site import build_files, find_openseadragon
from histossl.viewer.tiles import SlideTiles

CONFIG = Path(__file__).resolve().parents[2] / "config"


def main(argv: list[str] | None = None) -> None:
    """Gather the layers of a slide, then serve or export the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slide", required=True, help="id of the slide")
    parser.add_argument(
        "--configfile",
        type=Path,
        default=Path("config/config.yaml"),
        help="of the run; start this in the folder that its relative paths begin from",
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the run's results")
    parser.add_argument("--port", type=int, default=8000, help="of 127.0.0.1; 0 takes a free one")
    parser.add_argument("--export", type=Path, help="new folder for static files, instead of serving")
    arguments = parser.parse_args(argv)

    try:
        written = yaml.safe_load(arguments.configfile.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{arguments.configfile}: not a readable configuration ({error}); correct it") from error
    config = load_config(written, CONFIG / "schemas/config.schema.yaml", CONFIG / "presets")
    rows = read_slide_sheet(config["slides"]["sheet"])
    if arguments.slide not in rows:
        raise UserError(f"{config['slides']['sheet']}: there is no slide {arguments.slide!r}; correct --slide")
    library, folder = find_openseadragon(), arguments.results / "slides" / arguments.slide
    metadata = read_metadata(folder / "metadata.json")
    if not metadata.spacing_um:
        raise UserError(f"{arguments.slide}: was left out ({metadata.reason}); choose another slide")
    heatmaps = read_heatmaps(arguments.results, config["slide_tasks"], metadata)
    files = build_files(metadata, read_rings(folder / "tissue.geojson"), heatmaps, library)
    with SlideTiles(Path(rows[arguments.slide].path)) as tiles:
        if arguments.export:
            export_page(arguments.export, files, tiles)
            print(f"{arguments.export / 'index.html'}: open it in a browser")
            return
        with SlideServer(arguments.port, files, tiles) as server:
            print(f"{server.address}: open it in a browser on this machine; Ctrl-C ends")
            server.serve_forever()


if __name__ == "__main__":
    run(main)
