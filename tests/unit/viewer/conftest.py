import threading

import pytest

from histossl.errors import UserError
from histossl.slides.metadata import read_metadata
from histossl.viewer.layers import read_heatmaps, read_rings
from histossl.viewer.server import SlideServer
from histossl.viewer.site import build_files, find_openseadragon
from histossl.viewer.tiles import SlideTiles
from tests.unit.judged_run import Judgement, write_run

NAME = '<b id="injected">&"$ü v1'
"""A slide's id that would be markup, were it not text."""
TASKS = {"task": {"tiling": "p32"}}


@pytest.fixture
def layers(tmp_path, drawn_slide):
    """Metadata, outlines and heatmaps of a slide, as the script gathers them."""
    write_run(tmp_path, drawn_slide.path, [Judgement(NAME, "a", 0, 0.1)])
    folder = tmp_path / "results/slides" / NAME
    metadata = read_metadata(folder / "metadata.json")
    return metadata, read_rings(folder / "tissue.geojson"), read_heatmaps(tmp_path / "results", TASKS, metadata)


@pytest.fixture
def library(tmp_path):
    """In OpenSeadragon's place, for tests without a browser."""
    path = tmp_path / "openseadragon.min.js"
    path.write_text("// nothing\n", encoding="utf-8")
    return path


@pytest.fixture
def tiles(drawn_slide):
    with SlideTiles(drawn_slide.path) as tiles:
        yield tiles


@pytest.fixture
def real_library():
    try:
        return find_openseadragon()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture
def serve(tiles, layers):
    """Serve the page with a library at a free port."""
    running = []

    def serve(library, shown=layers):
        server = SlideServer(0, build_files(*shown, library), tiles)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server

    yield serve
    for server in running:
        server.shutdown()
        server.server_close()
