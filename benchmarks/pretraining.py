"""Speed of DINO pretraining: ours beside lightly's and the original's recipe, and beside what the device can do.

    python benchmarks/pretraining.py --folder build/pretraining --batch 256 --steps 40  # on a GPU
    python benchmarks/pretraining.py --folder build/pretraining --batch 4 --steps 10    # on a CPU

Draws 256-px patches (JPEG Q95) as shards and as a folder of files, unless they are there. Then, in turn, on the same
device and in the same run, with views of 2 x 224 + 8 x 96 px:

* the step alone, on crops that are on the device already: ours (the ceiling), lightly's, the original's;
* end to end from JPEG: ours as the workflow runs it, with the share of time spent waiting for data; lightly's with its
  own transforms, data set and PyTorch's loader, with as many workers;
* ours on 1 and 2 processes (GPUs where there are two, else gloo on the CPU).

Prints images/s (patches, not views), medians over the repeats, and the ratios.
"""

import argparse
import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import torch
from defaults import REPOSITORY, default_pretraining
from lightly.data import LightlyDataset
from lightly.transforms import DINOTransform
from peers.dino_steps import Step, lightly_step, original_step

from histossl.phantom.patches import ARMS, draw_classes
from histossl.ssl.loop import plan_horizon
from histossl.ssl.methods import METHODS
from histossl.ssl.processes import Processes
from histossl.ssl.settings import PretrainSettings, read_settings
from histossl.ssl.training import AUTOCAST, Training
from histossl.tiles.shards import write_shard

PATCH_PX, SPACING_UM, SLIDES = 256, 0.5, 8
WARM_UP_STEPS = 3


def draw_patches(folder: Path, count: int) -> None:
    """At least `count` patches as shards in `folder`/shards and as files in `folder`/files, unless they are there."""
    if (folder / "files").exists():
        return
    classes = list(draw_classes(ARMS["raw"], 6, PATCH_PX, SPACING_UM, seed=3))
    pictures = [cv2.cvtColor(patch.image, cv2.COLOR_RGB2BGR) for patch in classes]
    random = np.random.default_rng(0)
    made = []
    for index in range(count):
        # Turned and shifted copies: to the decoder and the network they are as good as new ones.
        picture = np.rot90(pictures[index % len(pictures)], index // len(pictures) % 4)
        picture = np.roll(picture, random.integers(0, PATCH_PX, 2), (0, 1))
        made.append(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    drafts = folder / "drafts"
    drafts.mkdir(parents=True, exist_ok=True)
    for index, stream in enumerate(made):
        (drafts / f"{index:06d}.jpg").write_bytes(stream)
    for slide in range(SLIDES):
        own = made[slide::SLIDES]
        path = folder / "shards" / f"s{slide}.h5"
        path.parent.mkdir(exist_ok=True)
        write_shard(path, own, np.zeros((len(own), 2)), f"s{slide}", PATCH_PX, SPACING_UM)
    drafts.rename(folder / "files")


def clock_steps(step: Callable[[], None], steps: int, device: torch.device) -> float:
    """Seconds a step takes, after a few to warm up."""
    for _ in range(WARM_UP_STEPS if device.type == "cuda" else 1):
        step()
    # On one core of a CPU its own time is counted, which other work on the machine does not lengthen.
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.monotonic
    synchronise(device)
    began = clock()
    for _ in range(steps):
        step()
    synchronise(device)
    return (clock() - began) / steps


def synchronise(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def random_crops(settings: PretrainSettings, device: torch.device) -> list[torch.Tensor]:
    """Normalised crops as `Method.forward` takes them."""
    sides: dict[int, int] = {}
    for view in settings.augmentation.views:
        sides[view.px] = sides.get(view.px, 0) + view.count
    return [torch.randn(count, settings.batch, 3, px, px, device=device) for px, count in sides.items()]


def our_step(settings: PretrainSettings, device: torch.device, compiled: bool) -> Callable[[], None]:
    """Our step on crops that lie on the device."""
    training = Training(settings, plan_horizon(settings, settings.batch * 1000), Processes(0, 1, device), compiled)
    crops = random_crops(settings, device)
    count = iter(range(10**9))
    return lambda: training.step(next(count), [crops]) and None


def peer_step(build: Callable[..., Step], settings: PretrainSettings, device: torch.device) -> Callable[[], None]:
    """A peer's step on the same crops, in the same precision."""
    crops = [crop for views in random_crops(settings, device) for crop in views.unbind()]
    return functools.partial(build_peer(build, settings, device), crops)


def build_peer(build: Callable[..., Step], settings: PretrainSettings, device: torch.device) -> Step:
    """A peer's step for our settings."""
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
    precision = settings.precision
    autocast = (
        nullcontext if precision == "fp32" else functools.partial(torch.autocast, device.type, AUTOCAST[precision])
    )
    return build(settings.model, device, autocast, scaler)


def lightly_end_to_end(
    folder: Path, settings: PretrainSettings, device: torch.device, steps: int, workers: int
) -> float:
    """Images/s of lightly's DINO with its own transforms and data set."""
    dataset = LightlyDataset(str(folder / "files"), transform=DINOTransform())
    loader = torch.utils.data.DataLoader(
        dataset, settings.batch, shuffle=True, drop_last=True, num_workers=workers, pin_memory=device.type == "cuda"
    )
    step = build_peer(lightly_step, settings, device)

    def batches() -> Iterator:
        while True:
            yield from loader

    stream = batches()

    def load_and_step() -> None:
        crops = [crop.to(device, non_blocking=True) for crop in next(stream)[0]]
        step(crops)

    return settings.batch / clock_steps(load_and_step, steps, device)


def ours_end_to_end(
    folder: Path, settings: dict, steps: int, workers: int, threads: int, processes: int, compiled: bool
) -> tuple[float, float]:
    """Images/s and the share of time spent waiting for data, from the curve of a run as the workflow starts it.

    The first ten steps are left out.
    """
    output = folder / "run"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    slides = output / "slides.txt"
    slides.write_text("".join(f"s{slide}\n" for slide in range(SLIDES)))
    launch = [sys.executable]
    if processes > 1:
        launch += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [
        *launch,
        str(REPOSITORY / "workflow/scripts/pretrain.py"),
        *("--name", "benchmark", "--settings", json.dumps({**settings, "steps": 10 + steps})),
        *("--slides", str(slides), "--shards", str(folder / "shards")),
        *("--output", str(output / "encoder.pt"), "--curve", str(output / "curve.jsonl")),
        *("--checkpoints", str(output / "checkpoints"), "--workers", str(workers), "--threads", str(threads)),
        *(["--compile"] if compiled else []),
    ]
    environment = {**os.environ} if torch.cuda.is_available() else {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        sys.exit(f"our run failed:\n{done.stderr[-2000:]}")
    lines = [json.loads(line) for line in (output / "curve.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "images_per_s" in line][1:]
    rate = len(lines) / sum(1 / line["images_per_s"] for line in lines)
    return rate, statistics.mean(line["waiting_share"] for line in lines)


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--model", default="vit_small_patch16_224")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10, help="of each measurement, a multiple of 10")
    parser.add_argument("--repeats", type=int, default=3, help="of the step alone")
    parser.add_argument("--patches", type=int, default=2048)
    parser.add_argument("--precision", default="bf16" if torch.cuda.is_available() else "fp32")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--threads", type=int, default=1 if torch.cuda.is_available() else os.cpu_count())
    parser.add_argument("--compile", action="store_true", help="ours with torch.compile")
    parser.add_argument("--parts", default="step,end,scaling", help="what to measure")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    draw_patches(arguments.folder, max(arguments.patches, arguments.batch))
    defaults = default_pretraining("dino", arguments.model)
    values = {
        **defaults,
        "health": {**defaults["health"], "patches": 32},  # looked at before the first step and after the last
        "batch": arguments.batch,
        "precision": arguments.precision,
        "model_args": {"dynamic_img_size": True},
        "training_args": {"drop_path_rate": 0.1},
        "warmup_epochs": 0,
        "epochs": None,
        "steps": 10**6,
    }
    settings = read_settings(values, METHODS)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {arguments.threads} thread(s)"
    print(f"{arguments.model}, batch {arguments.batch}, {arguments.precision}, {where}, torch {torch.__version__}")

    parts = arguments.parts.split(",")
    if "step" in parts:
        contestants = {
            "ours": lambda: our_step(settings, device, arguments.compile),
            "lightly": lambda: peer_step(lightly_step, settings, device),
            "original": lambda: peer_step(original_step, settings, device),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(arguments.repeats):
            for name, build in contestants.items():
                seconds[name].append(clock_steps(build(), arguments.steps, device))
        rates = {name: arguments.batch / statistics.median(times) for name, times in seconds.items()}
        for name, rate in rates.items():
            print(f"step, data on the device: {name:9s} {rate:9.2f} images/s; ours is {rates['ours'] / rate:.2f} x")
    if "end" in parts:
        more = (arguments.folder, values, arguments.steps, arguments.workers, arguments.threads)
        ours, waiting = ours_end_to_end(*more, 1, arguments.compile)
        theirs = lightly_end_to_end(arguments.folder, settings, device, arguments.steps, arguments.workers)
        print(f"end to end: ours {ours:.2f} images/s, waiting for data {waiting:.1%}; lightly {theirs:.2f} images/s")
        print(f"            ratio {ours / theirs:.2f}")
        if "step" in parts:
            print(f"            of the ceiling (our step alone): {ours / rates['ours']:.2f}")
    if "scaling" in parts:
        gpus = torch.cuda.device_count()
        for processes in (1, 2):
            if device.type == "cuda" and processes > gpus:
                print(f"{processes} processes: not measured, {gpus} GPU here")
                continue
            threads = arguments.threads * processes  # each process has as many
            rate, waiting = ours_end_to_end(
                arguments.folder, values, arguments.steps, arguments.workers, threads, processes, False
            )
            print(f"{processes} process(es): {rate:.2f} images/s, waiting for data {waiting:.1%}")


if __name__ == "__main__":
    main()
