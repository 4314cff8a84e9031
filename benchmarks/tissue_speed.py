"""Speed of tissue and coordinates, beside hs2p in one run.

    python benchmarks/tissue_speed.py --folder build/benchmark [--peer-python PYTHON] [--spacing-um 0.25]

`PYTHON` is the interpreter of an environment with `hs2p[openslide]`. The slide is that of `benchmarks/read_patches.py`.
Measured in turn, medians of the repetitions, on one core:

* cold: the three scripts `inspect_slide`, `segment_tissue` and `tile_slide` as the workflow starts them, one after the
  other, against one process of hs2p;
* warm: a further slide within a process, by the same library functions, against hs2p's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from read_patches import draw_texture, write_test_slide

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPTS = REPOSITORY / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from histossl.config.load import load_config
from histossl.config.plan import tissue_settings
from histossl.slides.metadata import inspect_slide, read_metadata, write_metadata
from histossl.tiles.coords_file import read_coords
from histossl.tiles.outline import outline_tissue
from histossl.tiles.tissue import TissueSettings
from histossl.tiles.tissue_file import write_tissue
from tile_slide import main as tile_slide

WIDTH_PX, HEIGHT_PX, TILE_PX = 40_960, 30_720, 256


def default_config() -> dict:
    """The settings of someone who sets nothing: 256 px at 0.5 µm/px."""
    values = {"slides": {"sheet": ""}, "encoders": {"none": {}}, "tilings": {"p256": {"patch_px": 256, "spacing_um": 0.5}}}
    return load_config(values, REPOSITORY / "config/schemas/config.schema.yaml")


def run_scripts(slide: Path, folder: Path, config: dict) -> None:
    """The three jobs of the workflow."""
    inspect = json.dumps({"sheet_spacing_um": None, "assumed_spacing_um": None, "on_bad_slide": "fail"})
    tissue, tiling = json.dumps(tissue_settings(config)), json.dumps(config["tilings"]["p256"])
    file, metadata, geojson = f"--file={slide}", folder / "metadata.json", folder / "tissue.geojson"
    bad = "--on-bad-slide=fail"
    for name, *arguments in (
        ("inspect_slide", "--slide=s", file, f"--settings={inspect}", f"--output={metadata}"),
        ("segment_tissue", file, f"--metadata={metadata}", f"--settings={tissue}", bad, f"--output={geojson}",
         f"--overlay={folder / 'overlay.jpg'}"),
        ("tile_slide", file, f"--metadata={metadata}", f"--tissue={geojson}", f"--settings={tiling}", bad,
         f"--output={folder / 's.h5'}"),
    ):  # fmt: skip
        subprocess.run([sys.executable, SCRIPTS / f"{name}.py", *arguments], check=True, capture_output=True)


def run_functions(slide: Path, folder: Path, config: dict) -> float:
    """Seconds for one more slide within this process."""
    start = time.perf_counter()
    write_metadata(folder / "metadata.json", inspect_slide("s", slide, None, None))
    found = outline_tissue(
        slide, read_metadata(folder / "metadata.json"), TissueSettings(**tissue_settings(config)), None
    )
    write_tissue(folder / "tissue.geojson", found.polygons, found.facts)
    tiling = json.dumps(config["tilings"]["p256"])
    tile_slide([f"--file={slide}", f"--metadata={folder / 'metadata.json'}", f"--tissue={folder / 'tissue.geojson'}",
                f"--settings={tiling}", "--on-bad-slide=fail", f"--output={folder / 's.h5'}"])  # fmt: skip
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
    main()
