"""Speed of embedding, from the slide to HDF5, beside the network alone on data that is on the device already.

    python benchmarks/embedding.py --folder build/embedding                                    # on a GPU
    python benchmarks/embedding.py --folder build/embedding --slides 2 --patches 256 --models vit_tiny_patch16_224

Draws an Aperio-like slide (JPEG Q80 4:2:0, 240-px tiles, see read_patches.py), unless it is there, and embeds parts of
it as slides of their own, as the workflow's job does: patches of 256 px, which the network takes at 224. In turn, in
the same run:

* end to end: reading, transfer, resizing, network, features in HDF5; what starts once a job (Python, CUDA, the model,
  the readers) is left out and printed apart;
* the network alone, in batches of the same size and precision, on random bytes that are on the device: the ceiling;
* reading alone: what the readers deliver with nothing behind them.

Prints images/s, medians over the repeats, and the ratio of the first to the second (goals on a GPU with 16 cores: 0.85
for ViT-L/16, 0.6 for ViT-S/16).
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from defaults import REPOSITORY
from read_patches import PATCH_PX, draw_texture, tissue_coords, write_test_slide

from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import EncoderCard
from histossl.features.embed import Embedder, resolve_precision
from histossl.features.embed_slides import SlideJob, embed_slides, plan_job, store
from histossl.features.readers import Readers
from histossl.features.slide_runs import cut_runs
from histossl.slides.metadata import inspect_slide
from histossl.tiles.coords_file import Tiling, write_coords

INPUT_PX = 224
WIDTH_PX, HEIGHT_PX = 40_960, 30_720
RGB = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def make_jobs(slide: Path, folder: Path, slides: int, patches: int) -> list[SlideJob]:
    """Parts of one slide's patches, each as a slide of its own."""
    coords = tissue_coords(WIDTH_PX, HEIGHT_PX)
    metadata = inspect_slide("part", slide, None, None)
    jobs = []
    for number in range(slides):
        start = number * patches % max(1, len(coords) - patches)
        part = coords[start : start + patches]
        path = folder / f"coords_{number}.h5"
        own = folder / f"slide_{number}.svs"  # under a name of its own: readers open each slide anew
        own.hardlink_to(slide)
        write_coords(path, part, np.ones(len(part)), Tiling(PATCH_PX, 0.5, 0, 0.5), metadata, "")
        job = plan_job(own, path, folder, "benchmark", "")
        jobs.append(SlideJob(own, path, job.tiles, folder / f"features_{number}.h5", job.fingerprint))
    return jobs


def rate(count: int, work: Callable[[], None], device: torch.device) -> float:
    """Images/s of `work`, which handles `count` of them."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return count / (time.perf_counter() - start)


def measure(model: str, jobs: list[SlideJob], arguments: argparse.Namespace) -> None:
    """Print what one network reaches."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone = build_backbone(model, {}, 1)
    card = EncoderCard(
        model=model,
        model_args={},
        **RGB,
        input_px=INPUT_PX,
        spacing_um=(),
        feature_dim=backbone.num_features,
        method="untrained",
        training={},
        data_hash="",
        interpolation="bicubic",
    )
    count = sum(job.patches for job in jobs)
    rates: dict[str, list[float]] = {"end to end": [], "network alone": [], "reading alone": []}
    started = time.perf_counter()
    with Readers(arguments.threads, 3 * PATCH_PX**2) as readers:
        precision = resolve_precision(arguments.precision, device)
        embedder = Embedder(backbone, card, device, precision, arguments.batch)
        embedder.embed(np.zeros((embedder.batch, INPUT_PX, INPUT_PX, 3), np.uint8))
        start_up = time.perf_counter() - started
        on_device = torch.randint(0, 256, (embedder.batch, INPUT_PX, INPUT_PX, 3), dtype=torch.uint8, device=device)
        images = on_device.permute(0, 3, 1, 2)
        geometry = None if embedder.resizes else embedder.geometry

        def end_to_end() -> None:
            for job, features in embed_slides(jobs, readers, embedder):
                store(job, features, card, {"encoder": model})

        def network() -> None:
            for _ in range(-(-count // embedder.batch)):
                embedder.launch([images])

        def reading() -> None:
            runs = (run for job in jobs for run in cut_runs(0, job.slide_file, job.tiles, None, geometry))
            for _ in readers.read(runs):
                pass

        for repeat in range(arguments.repeats + 1):
            measured = {
                "end to end": rate(count, end_to_end, device),
                "network alone": rate(-(-count // embedder.batch) * embedder.batch, network, device),
                "reading alone": rate(count, reading, device),
            }
            for way, value in measured.items() if repeat else ():  # the first warms up
                rates[way].append(value)
    ratios = [ours / ceiling for ours, ceiling in zip(rates["end to end"], rates["network alone"], strict=True)]
    print(
        f"{model}, {embedder.precision}, batches of {embedder.batch}, {len(jobs)} slides of {jobs[0].patches} patches, "
        f"{arguments.threads} readers; start-up {start_up:.1f} s"
    )
    for way, values in rates.items():
        print(f"  {way:<16} {statistics.median(values):9.1f} images/s")
    print(f"  end to end is {statistics.median(ratios):.2f} of the network alone", flush=True)


def main() -> None:
    """Draw the slide, measure each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build/embedding")
    parser.add_argument("--models", nargs="+", default=["vit_small_patch16_224", "vit_large_patch16_224"])
    parser.add_argument("--slides", type=int, default=8)
    parser.add_argument("--patches", type=int, default=4096, help="of each slide")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--batch", type=int, default=0, help="0 finds a number")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    slide = arguments.folder / f"phantom_{WIDTH_PX}_240.svs"
    if not slide.exists():
        write_test_slide(slide, draw_texture(None), WIDTH_PX, HEIGHT_PX, 240)
    for model in arguments.models:
        with TemporaryDirectory(dir=arguments.folder) as work:
            measure(model, make_jobs(slide, Path(work), arguments.slides, arguments.patches), arguments)


if __name__ == "__main__":
    main()
