"""Speed of reading patches, beside OpenSlide and beside CLAM's loader, in one run.

    python benchmarks/read_patches.py --folder build/benchmark [--texture SLIDE] [--width-px 40960 --height-px 30720]

Draws an Aperio-like slide (JPEG Q80 4:2:0, levels 1/4/16/64, 34% tissue) with 256-px and once more with 240-px tiles,
unless it is there. Then, on one core unless said, each repeat reads another part of the slide, ours and theirs in turn:

* patches of 256 px on a 256-px grid: `read_patches` against OpenSlide's `read_region`, with and without making RGB of
  its RGBA; the pixels of some hundred patches are compared;
* slide to normalised float32 batches of 224 px: ours on the CPU (readers resize as Pillow does), ours before a GPU
  (bytes, which it resizes and normalises), and what CLAM does (OpenSlide, Pillow, torchvision, DataLoader).

Prints the medians and the ratios; exits 1 if a pixel differs.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import openslide
import tifffile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))

from histossl.features.geometry import Geometry
from histossl.features.readers import SLOT_BYTES, Readers
from histossl.features.slide_runs import RUN, SlideRun
from histossl.phantom.patches import ARMS, draw_classes
from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide

PATCH_PX, INPUT_PX = 256, 224
MEAN, STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
TISSUE_SHARE = 0.34
GLASS = (243, 242, 244)
TEXTURE_PX = 1536
DOWNSAMPLES = (1, 4, 16, 64)
BATCH = 64
MAX_PIECE = SLOT_BYTES // (3 * INPUT_PX**2)


def draw_texture(source: Path | None) -> np.ndarray:
    """(1536, 1536, 3) uint8 of tissue: from the middle of a real slide, or a mosaic of the phantom's tissues."""
    if source is not None:
        with Slide(source) as slide:
            corner = [(side - TEXTURE_PX) // 2 for side in (slide.width_px, slide.height_px)]
            return slide.read(*corner, (TEXTURE_PX, TEXTURE_PX), (TEXTURE_PX, TEXTURE_PX))
    across = TEXTURE_PX // 256
    tissues = [patch.image for patch in draw_classes(ARMS["raw"], 5, 256, 0.5, seed=3) if patch.label != "background"]
    rows = [np.hstack(tissues[i * across : (i + 1) * across]) for i in range(across)]
    return np.vstack(rows)


def is_tissue(x: np.ndarray, y: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Whether level-0 pixels lie within an ellipse of the asked share of the slide."""
    radius = np.sqrt(TISSUE_SHARE / np.pi)  # of the slide's sides: pi * (r * width) * (r * height)
    return ((x / width_px - 0.5) / radius) ** 2 + ((y / height_px - 0.5) / radius) ** 2 < 1


def write_test_slide(
    path: Path, texture: np.ndarray, width_px: int, height_px: int, tile_px: int, spacing_um: float = 0.5
) -> None:
    """Write the slide tile by tile; the same pixels whatever the tile and the µm/px it states."""
    noise = np.random.default_rng(0).normal(0, 1.5, (TEXTURE_PX, TEXTURE_PX, 3))
    glass = np.clip(np.array(GLASS) + noise, 0, 255).astype(np.uint8)

    def tiles(downsample: int) -> Iterator[np.ndarray]:
        side = TEXTURE_PX // downsample
        pictures = [cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) for picture in (texture, glass)]
        for top in range(0, height_px // downsample, tile_px):
            for left in range(0, width_px // downsample, tile_px):
                y, x = np.arange(top, top + tile_px)[:, None], np.arange(left, left + tile_px)[None]
                inside = is_tissue(x * downsample, y * downsample, width_px, height_px)
                if inside.all() or not inside.any():
                    yield pictures[0 if inside.all() else 1][y % side, x % side]
                else:
                    yield np.where(inside[..., None], *(picture[y % side, x % side] for picture in pictures))

    header = f"Aperio Image Library v1\r\n{width_px}x{height_px}|AppMag = {10 / spacing_um:g}|MPP = {spacing_um:g}"
    partial = path.with_suffix(".part")
    with tifffile.TiffWriter(partial, bigtiff=True) as tiff:
        for downsample in DOWNSAMPLES:
            tiff.write(
                tiles(downsample),
                shape=(height_px // downsample, width_px // downsample, 3),
                dtype=np.uint8,
                tile=(tile_px, tile_px),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 80},
                subsampling=(2, 2),
                description=header,
                metadata=None,
                **({"subfiletype": 1} if downsample > 1 else {}),
            )
    partial.rename(path)


def tissue_coords(width_px: int, height_px: int) -> np.ndarray:
    """Patches of the grid whose middle is tissue, row after row: (N, 2)."""
    y, x = np.mgrid[0 : height_px - PATCH_PX + 1 : PATCH_PX, 0 : width_px - PATCH_PX + 1 : PATCH_PX]
    kept = is_tissue(x + PATCH_PX / 2, y + PATCH_PX / 2, width_px, height_px)
    return np.stack([x[kept], y[kept]], 1)


def compare(ways: dict[str, Callable[[np.ndarray], None]], coords: np.ndarray, repeats: int, size: int) -> None:
    """Print patches per second of each way, medians over parts of the slide, and ratios to the first of them."""
    parts = [coords[i * size : (i + 1) * size] for i in range(repeats + 1)]
    if len(parts[-1]) < size:
        sys.exit(f"the slide has {len(coords)} patches, too few for {repeats + 1} x {size}")
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for repeat, part in enumerate(parts):
        for name, way in ways.items():
            start = time.perf_counter()
            way(part)
            if repeat:  # the first part warms up
                rates[name].append(len(part) / (time.perf_counter() - start))
    first = next(iter(ways))
    for name, values in rates.items():
        ratio = statistics.median(mine / other for mine, other in zip(rates[first], values, strict=True))
        print(f"  {name:<44} {statistics.median(values):8.0f} /s   ours is {ratio:.2f} times as fast", flush=True)


def measure_reading(path: Path, repeats: int, size: int) -> bool:
    """Compare with OpenSlide; returns whether all pixels are equal."""
    peer, peer_rgba = openslide.OpenSlide(path), openslide.OpenSlide(path)
    with Slide(path) as slide:
        coords = tissue_coords(slide.width_px, slide.height_px)

        def ours(part: np.ndarray) -> None:
            for _ in read_patches(slide, part, PATCH_PX, PATCH_PX):
                pass

        # A handle of its own for each way: otherwise the second would find its tiles in the first one's cache.
        def theirs_rgba(part: np.ndarray) -> None:
            for x, y in part:
                peer_rgba.read_region((int(x), int(y)), 0, (PATCH_PX, PATCH_PX))

        def theirs(part: np.ndarray) -> None:
            for x, y in part:
                np.asarray(peer.read_region((int(x), int(y)), 0, (PATCH_PX, PATCH_PX)).convert("RGB"))

        ways = {"histossl": ours, "OpenSlide, RGBA (Pillow)": theirs_rgba, "OpenSlide, RGB array": theirs}
        compare(ways, coords, repeats, size)
        checked = coords[:: max(1, len(coords) // 300)]
        equal = sum(
            np.array_equal(patch, np.asarray(peer.read_region((int(x), int(y)), 0, patch.shape[:2]).convert("RGB")))
            for patch, (x, y) in zip(read_patches(slide, checked, PATCH_PX, PATCH_PX), checked, strict=True)
        )
    peer.close()
    peer_rgba.close()
    print(f"  pixels equal to OpenSlide's in {equal} of {len(checked)} patches", flush=True)
    return equal == len(checked)


def measure_batches(path: Path, cores: int, repeats: int, size: int) -> None:
    """Compare slide to normalised batch with CLAM's way of loading; and what a GPU, which resizes itself, is given."""
    import torch

    torch.set_num_threads(1)
    # A row of an image each: an affine over rows of three values would crawl.
    shift_row, scale_row = (
        torch.tensor(np.tile(factor, INPUT_PX), dtype=torch.float32)[None] for factor in (-MEAN / STD, 1 / 255 / STD)
    )
    with Slide(path) as slide:
        coords = tissue_coords(slide.width_px, slide.height_px)
    batch = torch.empty((MAX_PIECE * INPUT_PX, INPUT_PX * 3))
    # Readers of their own for each way: otherwise the second would find its tiles in the first one's cache.
    with Readers(cores, 3 * PATCH_PX**2) as resizing, Readers(cores, 3 * PATCH_PX**2) as raw:

        def pieces(readers: Readers, part: np.ndarray, geometry: Geometry | None) -> Iterator[np.ndarray]:
            starts = range(0, len(part), RUN)
            runs = (SlideRun(0, at, path, part[at : at + RUN], PATCH_PX, PATCH_PX, None, geometry) for at in starts)
            for _, said in readers.read(runs):
                if isinstance(said, np.ndarray):
                    yield said
                elif said is not None:
                    raise said

        def ours(part: np.ndarray) -> None:
            for piece in pieces(resizing, part, Geometry(INPUT_PX, INPUT_PX, "bilinear")):
                rows = batch[: len(piece) * INPUT_PX]
                rows.copy_(torch.from_numpy(piece).reshape(rows.shape))
                torch.addcmul(shift_row, rows, scale_row, out=rows)

        def for_gpu(part: np.ndarray) -> None:
            for _ in pieces(raw, part, None):
                pass

        def theirs(workers: int) -> Callable[[np.ndarray], None]:
            def load(part: np.ndarray) -> None:
                for _ in _clam_loader(path, part, workers):
                    pass

            return load

        few, many = (0, 1) if cores == 1 else (1, 2)
        ways = {f"CLAM's loader, {workers} workers": theirs(workers) for workers in (few, many)}
        compare({"histossl": ours, "histossl, bytes for a GPU": for_gpu, **ways}, coords, repeats, size)


def _clam_loader(path: Path, coords: np.ndarray, workers: int) -> Iterator[object]:
    """Batches as CLAM's feature extraction makes them: its transforms and loader, written anew."""
    import torch
    from torchvision import transforms

    prepare = transforms.Compose(
        [transforms.Resize(INPUT_PX), transforms.ToTensor(), transforms.Normalize(MEAN.tolist(), STD.tolist())]
    )

    class Patches(torch.utils.data.Dataset):
        def __init__(self) -> None:
            self.slide = None

        def __len__(self) -> int:
            return len(coords)

        def __getitem__(self, index: int) -> object:
            self.slide = self.slide or openslide.OpenSlide(path)
            x, y = coords[index]
            return prepare(self.slide.read_region((int(x), int(y)), 0, (PATCH_PX, PATCH_PX)).convert("RGB"))

    return iter(torch.utils.data.DataLoader(Patches(), batch_size=BATCH, num_workers=workers))


def main() -> None:
    """Build the slides and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmark"), help="where the test slides lie")
    parser.add_argument("--texture", type=Path, help="real slide whose middle gives the tissue; else the phantom's")
    parser.add_argument("--width-px", type=int, default=40960)
    parser.add_argument("--height-px", type=int, default=30720)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--patches", type=int, default=512, help="patches a repeat")
    parser.add_argument("--only", choices=("reading", "batches"), help="measure only one of the two")
    arguments = parser.parse_args()

    arguments.folder.mkdir(parents=True, exist_ok=True)
    cores = sorted(os.sched_getaffinity(0))
    cv2.setNumThreads(1)
    paths = {}
    for tile_px in (256, 240):
        name = f"{arguments.texture.stem if arguments.texture else 'phantom'}_{arguments.width_px}_{tile_px}.svs"
        paths[tile_px] = arguments.folder / name
        if not paths[tile_px].exists():
            texture = draw_texture(arguments.texture)
            write_test_slide(paths[tile_px], texture, arguments.width_px, arguments.height_px, tile_px)
    equal = True
    if arguments.only != "batches":
        os.sched_setaffinity(0, cores[:1])
        for tile_px, path in paths.items():
            print(f"{PATCH_PX}-px patches from {tile_px}-px tiles, one core")
            equal &= measure_reading(path, arguments.repeats, arguments.patches)
    if arguments.only == "reading":
        sys.exit(0 if equal else 1)
    os.sched_setaffinity(0, cores[:1])
    print(f"slide (240-px tiles) to normalised batches of {INPUT_PX} px, one core")
    measure_batches(paths[240], 1, arguments.repeats, arguments.patches)
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[:2])
        print(f"slide (240-px tiles) to normalised batches of {INPUT_PX} px, two cores")
        measure_batches(paths[240], 2, arguments.repeats, arguments.patches)
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
