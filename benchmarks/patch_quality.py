"""What the optional quality filter drops and keeps, on phantom slides of seeds that its limits were not chosen on.

Sound patches of every tissue, stain and strength; then the same patches out of focus, inked, folded (two patches of a
slide laid over each other) and bare glass. Prints the share of each kind that every check drops, and the time a patch.

    python benchmarks/patch_quality.py [--seed 905] [--spacing-um 0.5]
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np

from histossl.phantom.section import CLASSES
from histossl.phantom.slide import DrawnSlide, SlideSpecification, draw_slide
from histossl.phantom.stain import SITES
from histossl.tiles.quality import QualitySettings, Scan, find_density, judge_patch

PATCH_PX, SIDE_UM = 224, 1024
LIMITS = QualitySettings(max_blank=0.95, max_pen=0.1, max_fold=0.5, min_sharpness=2.5)
BLURS_UM = (0.5, 0.75, 1.0, 1.5, 2.0)
TRUTH_PX = 16


def cut(slide: DrawnSlide) -> Iterator[tuple[np.ndarray, str, float, float]]:
    """Patches with most frequent tissue, share of tissue and share of ink."""
    for y in range(0, slide.image.shape[0] - PATCH_PX + 1, PATCH_PX):
        for x in range(0, slide.image.shape[1] - PATCH_PX + 1, PATCH_PX):
            here = tuple(slice(start // TRUTH_PX, (start + PATCH_PX) // TRUTH_PX) for start in (y, x))
            regions = slide.regions[here]
            share = float((regions > 0).mean())
            tissue = CLASSES[np.bincount(regions[regions > 0]).argmax()] if share else "background"
            patch = slide.image[y : y + PATCH_PX, x : x + PATCH_PX]
            yield patch, tissue, share, float(slide.pen[here].mean())


def rescan(patch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise and JPEG, which a scanner adds after all optics."""
    noisy = np.clip(patch + rng.normal(0, 1.6, patch.shape), 0, 255).astype(np.uint8)
    _, stream = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return cv2.imdecode(stream, cv2.IMREAD_COLOR)


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, draw, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=905)
    parser.add_argument("--spacing-um", type=float, default=0.5)
    arguments = parser.parse_args(argv)
    um = arguments.spacing_um
    rng = np.random.default_rng(arguments.seed)
    found: dict[str, Counter] = {}
    seconds, judged = 0.0, 0
    for site in SITES:
        for strength, pen in ((1.0, "none"), (0.4, "none"), (1.0, "green"), (1.0, "blue"), (1.0, "black")):
            line = SlideSpecification(f"{site}{strength}{pen}", "ductal", site, strength, pen, True)
            side = round(SIDE_UM / um)
            patches = list(cut(draw_slide(line, arguments.seed, side, side, um)))
            sound = [(patch, tissue) for patch, tissue, share, ink in patches if share >= 0.5 and ink == 0]
            scan = Scan(um, find_density((patch for patch, _ in sound), um))
            stain = "faint" if strength < 1 else "full"
            kinds = [(f"pen {pen} (over 25%)", patch) for patch, _, _, ink in patches if ink > 0.25]
            if pen == "none":
                kinds += [("glass", patch) for patch, _, share, _ in patches if share == 0]
                kinds += [(f"sound {stain} {tissue}", rescan(patch, rng)) for patch, tissue in sound]
                for blur_um in BLURS_UM:
                    blurred = [cv2.GaussianBlur(patch, (0, 0), blur_um / um) for patch, _ in sound]
                    kinds += [(f"blur {blur_um:g} µm {stain}", rescan(patch, rng)) for patch in blurred]
                for (patch, _), other in zip(sound, rng.permutation(len(sound)), strict=True):
                    kinds.append((f"two layers {stain}", cv2.multiply(patch, sound[other][0], scale=1 / 243)))
            start = time.perf_counter()
            for kind, patch in kinds:
                found.setdefault(kind, Counter())[judge_patch(patch, um, LIMITS, scan) or "kept"] += 1
            seconds, judged = seconds + time.perf_counter() - start, judged + len(kinds)
    print(f"{'kind':28s} patches   kept  blank    pen   fold   blur")
    for kind, counts in sorted(found.items()):
        shares = [counts[name] / counts.total() for name in ("kept", "blank", "pen", "fold", "blur")]
        print(f"{kind:28s} {counts.total():7d} " + " ".join(f"{share:6.3f}" for share in shares))
    print(f"{1000 * seconds / judged:.2f} ms a patch to judge, {judged} patches")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
