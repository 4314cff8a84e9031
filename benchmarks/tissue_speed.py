"""Speed of tissue and coordinates, beside hs2p in one run.

    python benchmarks/tissue_speed.py --folder build/benchmark [--peer-python PYTHON] [--spacing-um 0.25]

`PYTHON` is the interpreter of an environment with `hs2p[openslide]`. The slide is that of `benchmarks/read_patches.py`.
Measured in turn, medians of the repetitions, on one core:

* cold: the scripts `segment_tissue` and `tile_slide` as the workflow starts them, one after the other, against one
  process of hs2p;
* warm: a further slide within a process, by the same library functions, against hs2p's.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from defaults import REPOSITORY, default_config, default_tissue
from read_patches import draw_texture, write_test_slide

from histossl.cli import run
from histossl.config.plan import tiling_settings, tissue_settings
from histossl.slides.metadata import write_metadata
from histossl.tiles.coords_file import read_coords
from histossl.tiles.outline import examine_slide
from histossl.tiles.tissue_file import write_tissue
from tile_slide import main as tile_slide

SCRIPTS = REPOSITORY / "workflow" / "scripts"
WIDTH_PX, HEIGHT_PX, TILE_PX = 40_960, 30_720, 256


def script_arguments(slide: Path, folder: Path, config: dict) -> dict[str, list[str]]:
    """The two jobs of the workflow."""
    tissue = json.dumps(tissue_settings(config))
    tiling = json.dumps(tiling_settings(config, "p256"))
    file, bad = f"--file={slide}", "--on-bad-slide=fail"
    metadata, geojson = f"--metadata={folder / 'metadata.json'}", f"--tissue={folder / 'tissue.geojson'}"
    overlay, coords = f"--overlay={folder / 'overlay.jpg'}", f"--output={folder / 's.h5'}"
    return {
        "segment_tissue": ["--slide=s", file, bad, f"--settings={tissue}", metadata, geojson, overlay],
        "tile_slide": [metadata, geojson, f"--settings={tiling}", coords],
    }


def run_scripts(slide: Path, folder: Path, config: dict) -> None:
    """The two jobs of the workflow, each a process."""
    for name, arguments in script_arguments(slide, folder, config).items():
        subprocess.run([sys.executable, SCRIPTS / f"{name}.py", *arguments], check=True, capture_output=True)


def run_functions(slide: Path, folder: Path, config: dict) -> float:
    """Seconds for one more slide within this process."""
    start = time.perf_counter()
    metadata, found = examine_slide(slide, "s", None, None, default_tissue(), None)
    write_metadata(folder / "metadata.json", metadata)
    write_tissue(folder / "tissue.geojson", found.polygons, found.facts)
    with contextlib.redirect_stdout(None):
        tile_slide(script_arguments(slide, folder, config)["tile_slide"])
    return time.perf_counter() - start


def run_peer(python: Path, slide: Path, folder: Path, repeats: int) -> list[float]:
    """Seconds of each repetition within one process of the peer."""
    command = [python, REPOSITORY / "benchmarks/peers/hs2p_tiles.py", slide, folder, str(repeats)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [float(line) for line in said[-repeats - 1 : -1]]


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for the slide and what is written")
    parser.add_argument("--peer-python", type=Path, help="interpreter of an environment with hs2p")
    parser.add_argument("--spacing-um", type=float, default=0.25, help="µm/px that the slide states")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    folder, repeats = arguments.folder, arguments.repeats
    folder.mkdir(parents=True, exist_ok=True)
    slide = folder / f"slide_{TILE_PX}_{arguments.spacing_um:g}.svs"
    if not slide.is_file():
        write_test_slide(slide, draw_texture(None), WIDTH_PX, HEIGHT_PX, TILE_PX, arguments.spacing_um)
    config = default_config()
    seconds: dict[str, list[float]] = {"cold": [], "warm": [], "cold, hs2p": [], "warm, hs2p": []}
    for _ in range(repeats):
        start = time.perf_counter()
        run_scripts(slide, folder, config)
        seconds["cold"].append(time.perf_counter() - start)
        seconds["warm"] += [run_functions(slide, folder, config) for _ in range(3)][1:]
        if arguments.peer_python:
            start = time.perf_counter()
            run_peer(arguments.peer_python, slide, folder / "hs2p", 1)
            seconds["cold, hs2p"].append(time.perf_counter() - start)
            seconds["warm, hs2p"] += run_peer(arguments.peer_python, slide, folder / "hs2p", 3)[1:]
    print(f"{len(read_coords(folder / 's.h5').coords)} patches; {config['tissue']['spacing_um']:g} µm/px for tissue")
    for kind in ("cold", "warm"):
        ours = statistics.median(seconds[kind])
        line = f"{kind}: {ours * 1000:.0f} ms"
        if arguments.peer_python:
            peer = statistics.median(seconds[f"{kind}, hs2p"])
            line += f", hs2p {peer * 1000:.0f} ms, ratio {ours / peer:.2f}"
        print(line)


if __name__ == "__main__":
    run(main)
