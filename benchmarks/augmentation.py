"""Speed of DINO's augmentation (2 x 224 px + 8 x 96 px of 256-px patches) and its likeness to the original's.

    python benchmarks/augmentation.py [--slide SLIDE] [--batch 16 --repeats 9]

One core, JPEG decoding left out, all up to normalised float32, in turn over the same patches:

* the original's recipe: Pillow through torchvision's transforms;
* lightly's DINOTransform;
* ours on the CPU, with normalisation as in training;
* ours in batches on the device: a GPU where there is one, otherwise tensors on the CPU, for which it is not meant.

Counts processor time, so that other load on the machine matters little; on a GPU the time that passes. Prints medians
and the ratios to the original's.

Then the views of both are compared, ours set to the original's parameters: colours (mean and SD of each channel),
saturation and local contrast (SD of the Laplacian) by kind of view. Ours differs on purpose: a view comes in all
eight orientations, not in two; the steps of colour jitter have one order and are cut off at black and white once,
not after each step in a random order; hue turns in YIQ, where luma stays, not in HSV; Pillow's blur is three boxes,
ours a Gaussian. Stain jitter, which the original has not, is off here.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from lightly.transforms import DINOTransform
from PIL import Image, ImageFilter, ImageOps
from torchvision import transforms

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))

from histossl.phantom.patches import ARMS, draw_classes
from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide
from histossl.ssl.batches import Batch, PatchViews
from histossl.ssl.crops import CropMaker
from histossl.ssl.settings import AugmentationSettings, ViewSettings
from histossl.ssl.views import draw_views, view_sides
from histossl.ssl.views_opencv import make_views

PATCH_PX = 256
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Caron et al. 2021, facebookresearch/dino main_dino.py; the smallest local crop as its README trains with.
AUGMENTATION = AugmentationSettings(
    views=(
        ViewSettings(1, 224, (0.4, 1.0), blur_probability=1.0, solarise_probability=0.0),
        ViewSettings(1, 224, (0.4, 1.0), blur_probability=0.1, solarise_probability=0.2),
        ViewSettings(8, 96, (0.05, 0.4), blur_probability=0.5, solarise_probability=0.0),
    ),
    aspect=(3 / 4, 4 / 3),
    jitter_probability=0.8,
    brightness=0.4,
    contrast=0.4,
    saturation=0.2,
    hue=0.1,
    stain_probability=0.0,
    stain_scale=0.0,
    stain_shift=0.0,
    grayscale_probability=0.2,
    blur_sigma=(0.1, 2.0),
)
FIGURES = ("mean R", "mean G", "mean B", "SD R", "SD G", "SD B", "saturation", "local contrast")


class MemoryPatches(PatchViews):
    """Patches that lie in memory, decoded."""

    def __init__(self, patches: np.ndarray, on_device: bool) -> None:
        super().__init__(argparse.Namespace(patch_px=PATCH_PX), AUGMENTATION, 0, on_device)
        self.patches = patches

    def read_or_replace(self, index: int, damaged: list[str]) -> np.ndarray:
        """Patch `index`."""
        return self.patches[index]


def original_view(view: ViewSettings) -> Callable[[Image.Image], Image.Image]:
    """The original's steps for one kind of view, up to 8-bit pictures."""
    jitter = transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)

    def blur(picture: Image.Image) -> Image.Image:
        if random.random() >= view.blur_probability:
            return picture
        return picture.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))

    def solarise(picture: Image.Image) -> Image.Image:
        return ImageOps.solarize(picture) if random.random() < view.solarise_probability else picture

    return transforms.Compose(
        [
            transforms.RandomResizedCrop(view.px, view.scale, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([jitter], p=0.8),
            transforms.RandomGrayscale(0.2),
            blur,
            solarise,
        ]
    )


def read_square_patches(slide: Path | None, count: int) -> np.ndarray:
    """(count, 256, 256, 3) uint8: the most colourful ones of a slide, or the phantom's tissues."""
    if slide is None:
        tissues = draw_classes(ARMS["raw"], 1 + count // 8, PATCH_PX, 0.5, seed=3)
        return np.stack([patch.image for patch in tissues if patch.label != "background"][:count])
    with Slide(slide) as source:
        y, x = np.mgrid[0 : source.height_px - PATCH_PX : PATCH_PX, 0 : source.width_px - PATCH_PX : PATCH_PX]
        patches = np.concatenate(
            list(read_patches(source, np.stack([x.ravel(), y.ravel()], 1), PATCH_PX, PATCH_PX))
        ).reshape(-1, PATCH_PX, PATCH_PX, 3)
    return patches[np.argsort(-np.ptp(patches, axis=3).mean((1, 2)), kind="stable")[:count]]


def measure(patches: np.ndarray, batch: int, repeats: int, device: torch.device) -> None:
    """Print images per second of each way."""
    pictures = [Image.fromarray(patch) for patch in patches]
    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    recipe = [original_view(view) for view in AUGMENTATION.views for _ in range(view.count)]
    lightly = DINOTransform(n_local_views=8, local_crop_scale=(0.05, 0.4))
    settings = argparse.Namespace(augmentation=AUGMENTATION, mean=MEAN, std=STD)
    on_cpu, on_device = MemoryPatches(patches, on_device=False), MemoryPatches(patches, on_device=True)
    cpu_crops, device_crops = CropMaker(settings, torch.device("cpu")), CropMaker(settings, device)

    def ready(batch: Batch) -> Batch:
        """In pinned memory, where there is a GPU, as the loader hands it over."""
        return torch.utils.data._utils.pin_memory.pin_memory(batch) if device.type == "cuda" else batch

    ways: dict[str, Callable[[list[tuple[int, int]]], object]] = {
        "original (Pillow, torchvision)": lambda keys: [
            [to_tensor(view(pictures[i])) for view in recipe] for _, i in keys
        ],
        "lightly's DINOTransform": lambda keys: [lightly(pictures[i]) for _, i in keys],
        "histossl, CPU": lambda keys: cpu_crops(on_cpu.__getitems__(keys)),
        "histossl, CPU, bytes only": lambda keys: on_cpu.__getitems__(keys),
        f"histossl, batches on {device.type}": lambda keys: device_crops(ready(on_device.__getitems__(keys))),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            keys = [(repeat, i % len(patches)) for i in range(repeat * batch, (repeat + 1) * batch)]
            clock = time.perf_counter if name.endswith("cuda") else time.process_time
            start = clock()
            way(keys)
            if name.endswith("cuda"):
                torch.cuda.synchronize()
            if repeat:  # the first one warms up
                rates[name].append(batch / (clock() - start))
    first = rates[next(iter(ways))]
    print(f"images per second and core, {len(patches)} patches of {PATCH_PX} px, medians of {repeats}")
    for name, values in rates.items():
        ratio = statistics.median(value / other for value, other in zip(values, first, strict=True))
        print(f"  {name:<34}{statistics.median(values):8.1f}   {ratio:6.2f} x the original", flush=True)


def describe(view: np.ndarray) -> np.ndarray:
    """The figures of one view (px, px, 3) uint8."""
    saturation = cv2.cvtColor(view, cv2.COLOR_RGB2HSV)[..., 1].mean()
    contrast = cv2.Laplacian(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std()
    return np.array([*view.mean((0, 1)), *view.std((0, 1)), saturation, contrast])


def compare_distributions(patches: np.ndarray, draws: int) -> None:
    """Print the figures of both by kind of view, with the standard error of their difference over the patches."""
    one_each = replace(AUGMENTATION, views=tuple(replace(view, count=1) for view in AUGMENTATION.views))
    sides = view_sides(one_each)
    recipe = [original_view(view) for view in one_each.views]
    ours, theirs = np.empty((2, len(sides), len(patches), draws, len(FIGURES)))
    for draw in range(draws):
        parameters = draw_views(one_each, PATCH_PX, 1, draw, range(len(patches)))
        for i, patch in enumerate(patches):
            picture = Image.fromarray(patch)
            ours[:, i, draw] = [describe(view) for view in make_views(patch, parameters.at(i), sides)]
            theirs[:, i, draw] = [describe(np.asarray(make(picture))) for make in recipe]
    for kind, view in enumerate(one_each.views):
        print(f"{view.px} px, blur {view.blur_probability}, solarise {view.solarise_probability}:")
        by_patch = (ours[kind] - theirs[kind]).mean(1)
        error = by_patch.std(0, ddof=1) / np.sqrt(len(patches))
        spread = theirs[kind].std((0, 1))
        means = ours[kind].mean((0, 1)), theirs[kind].mean((0, 1)), by_patch.mean(0)
        for name, mine, other, difference, one, sd in zip(FIGURES, *means, error, spread, strict=True):
            print(f"  {name:<15} ours {mine:7.2f}  original {other:7.2f} (SD of views {sd:6.2f})", end="")
            print(f"  difference {difference:+6.2f} +- {one:.2f}")


def main() -> None:
    """Measure, then compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slide", type=Path, help="real slide whose patches are taken; else the phantom's")
    parser.add_argument("--patches", type=int, default=48)
    parser.add_argument("--batch", type=int, default=16, help="patches a repeat")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--draws", type=int, default=20, help="of each patch, for the comparison of views")
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    random.seed(0)
    torch.manual_seed(0)
    patches = read_square_patches(arguments.slide, arguments.patches)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    measure(patches, arguments.batch, arguments.repeats, device)
    compare_distributions(patches, arguments.draws)


if __name__ == "__main__":
    main()
