"""Memory of one process that handles many slides, and of one that handles a slide with many patches.

    python benchmarks/memory.py --folder build/benchmark [--slides 500]

Draws a slide, links it under many names, and for each finds scale, tissue and coordinates, reads its patches, packs
them and embeds them with a small network, all in this process. Prints the memory after the first slide and its growth;
then the same for packing ten times and a hundred times as many patches of one slide. Exits 1 if it grows by more than
the bound of 300 MB.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
from defaults import default_config

import embed_slides
import pack_tiles
import segment_tissue
import tile_slide
from histossl.config.plan import tissue_settings
from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import EncoderCard, save_encoder
from histossl.phantom.pyramid import write_pyramid
from histossl.phantom.slide import SlideSpecification, draw_slide
from histossl.slides.metadata import read_metadata
from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide
from histossl.tiles.coords_file import Tiling, read_coords, write_coords

BOUND_MB = 300
PATCH_PX, SPACING_UM = 64, 1.0
SHARDS = {"max_patches_per_slide": None, "seed": 1, "jpeg_quality": 95, "stain": None}


def memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def handle(slide: Path, folder: Path, encoder: Path, config: dict) -> None:
    """All stages that open a slide, by the scripts the workflow runs, in this process."""
    tissue = json.dumps(tissue_settings(config))
    tiling = json.dumps({"patch_px": PATCH_PX, "spacing_um": SPACING_UM, "overlap_px": 0, "min_tissue": 0.5})
    coords = folder / f"{slide.stem}.h5"
    file, bad = f"--file={slide}", "--on-bad-slide=fail"
    described = [f"--metadata={folder / 'metadata.json'}", f"--tissue={folder / 'tissue.geojson'}"]
    overlay = f"--overlay={folder / 'overlay.jpg'}"
    segment_tissue.main([f"--slide={slide.stem}", file, bad, f"--settings={tissue}", *described, overlay])
    tile_slide.main([*described, f"--settings={tiling}", bad, f"--output={coords}"])
    shards = f"--settings={json.dumps(SHARDS)}"
    pack_tiles.main([file, f"--coords={coords}", shards, bad, f"--output={folder / 'shard.h5'}"])
    to = [f"--features={folder / 'features'}", f"--manifest={folder / 'manifest.json'}", "--batch=64", "--threads=1"]
    how = json.dumps({"precision": "fp32", "stain": None})
    made = ["--name=small", f"--encoder={encoder}", "--code=1", bad, f"--settings={how}"]
    embed_slides.main([*made, f"--files={slide}", f"--coords={coords}", *to])
    tiles = read_coords(coords)
    with Slide(slide) as opened:  # once more, without the child process that the scripts read in
        for _ in read_patches(opened, tiles.coords, tiles.patch_level0, tiles.patch_px):
            pass
    for written in (coords, folder / "features" / coords.name):
        written.unlink()


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--slides", type=int, default=500)
    arguments = parser.parse_args()
    folder = arguments.folder / "memory"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = draw_slide(SlideSpecification("S", "ductal", "hill", 1.0, "none", True), 5, 2048, 1536, 0.5)
    first = folder / "first.svs"
    write_pyramid(first, drawn.image, 0.5)
    card = EncoderCard("test_vit", {"img_size": 64}, (0.5,) * 3, (0.2,) * 3, 64, (SPACING_UM,), 64, "none", {}, "")
    save_encoder(folder / "encoder.pt", card, build_backbone(card.model, card.model_args, 1))
    config = default_config()
    grown = []
    said, sys.stdout = sys.stdout, Path(os.devnull).open("w")  # noqa: SIM115 - the scripts' lines are not wanted
    sys.stderr = sys.stdout
    for number in range(arguments.slides):
        slide = folder / f"slide{number}.svs"
        slide.unlink(missing_ok=True)
        slide.hardlink_to(first)
        handle(slide, folder, folder / "encoder.pt", config)
        slide.unlink()
        grown.append(memory_mb())
        if number in (0, 9, 99) or number == arguments.slides - 1:
            print(f"after {number + 1} slides: {grown[-1]:.0f} MB, {grown[-1] - grown[0]:+.0f} MB", file=said)
    metadata = read_metadata(folder / "metadata.json")
    peaks = []
    for times in (1, 10, 100):
        corners = np.random.default_rng(0).integers(0, 1400, (500 * times, 2))
        coords = folder / "many.h5"
        write_coords(coords, corners, np.ones(len(corners)), Tiling(PATCH_PX, SPACING_UM, 0, 0.5), metadata, "")
        shards = json.dumps(SHARDS)
        output = f"--output={folder / 'shard.h5'}"
        pack_tiles.main(
            [f"--file={first}", f"--coords={coords}", f"--settings={shards}", "--on-bad-slide=fail", output]
        )
        peaks.append(memory_mb())
        print(f"after packing {len(corners)} patches: {peaks[-1]:.0f} MB", file=said)
    growth = max(max(grown) - grown[0], max(peaks) - peaks[0])
    print(f"largest growth {growth:.0f} MB, bound {BOUND_MB} MB", file=said)
    sys.exit(growth > BOUND_MB)


if __name__ == "__main__":
    main()
