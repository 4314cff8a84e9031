"""Time and memory of what grows with the number of slides, reading pixels aside: splits, quality control, tables.

    python benchmarks/growth.py [--slides 100 1000 10000] [--steps split_patients make_tables] [--folder build/growth]

Writes what a cohort of so many slides leaves in `results` with the project's own writers: files of a slide are made
once and linked under many names, 10,000 patches each; of the predictions there are three encoders, one head, four
training fractions and ten folds. Then it runs each script as its rule does, in a process of its own, and prints
seconds, processor time, peak memory, and how processor time grows beyond what the script takes to start: as slides to
the power of `growth`, so that 1 is linear and 2 is quadratic (`-` where it is too short to tell).
"""

import argparse
import csv
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from defaults import REPOSITORY, default_config

from histossl.config.plan import batch_slides
from histossl.encoders.encoder_file import EncoderCard
from histossl.phantom.pyramid import write_pyramid
from histossl.slides.metadata import SlideMetadata, write_metadata
from histossl.splits.split_file import read_splits
from histossl.tables.predictions import write_predictions
from histossl.tiles.coords_file import Tiling, write_coords
from histossl.tiles.overlay import draw_overlay
from histossl.tiles.shards import write_shard
from histossl.tiles.tissue_file import trace_polygons, write_tissue

SCRIPTS = REPOSITORY / "workflow/scripts"
TILING = "p256"
SIZE_PX, PATCHES = (96_000, 80_000), 10_000
ENCODERS, HEADS = ("dino", "simclr", "imagenet"), ("clam_sb",)
FRACTIONS, FOLDS = [1.0, 0.75, 0.5, 0.25], 10
SPLITS = {"label": "subtype", "classes": None, "site": None, "folds": FOLDS, "repeats": 1, "split_files": None}
SPLITS |= {"fractions": FRACTIONS, "validation": 0.1, "seed": 1}
STUDY = {
    "published": "chen_krishnan_2022",
    "methods": {"dino": "dino", "simclr": "simclr", "imagenet": "imagenet"},
    "tables": {"slide": {"task": "subtype", "model": "clam_sb"}},
}
LONG = "/".join(["a_long_path_to_the_slides_of_a_cohort"] * 3)
"""Paths of about 150 characters."""
SHORTEST_S = 0.1
"""Of processor time beyond the start: less says nothing of growth."""


NEEDS = {
    "audit_splits": "split_patients",
    "list_left_out": "summarise_cohort",
    "compare_study": "split_patients",
    "make_tables": "split_patients",
}
"""The step whose result another reads."""
WATCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
sys.exit(code)
"""
"""A small process between this one and a script: a child counts the memory of what started it as its own."""


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    seconds: float
    processor_s: float
    peak_mb: float


def slide_names(slides: int) -> list[str]:
    """Names as TCGA's, of patients with one slide or two."""
    return [f"TCGA-{n % 90 + 10}-{n * 2 // 3:04X}-01Z-00-DX{n * 2 % 3 + 1}.{n:08x}" for n in range(slides)]


def patient_of(slide: str) -> str:
    """The barcode's third part alone, for slides of a patient are of several sites here."""
    return slide.split("-")[2]


def write_sheet(path: Path, names: Sequence[str]) -> None:
    """The slide sheet; an eighth of the slides have no label, of the others a fifth have the rarer one."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["slide", "patient", "path", "site", "spacing_um", "subtype"])
        for name in names:
            patient = patient_of(name)
            label = "" if int(patient, 16) % 8 == 7 else ("ILC" if int(patient, 16) % 5 == 0 else "IDC")
            writer.writerow([name, patient, f"{LONG}/{name}.svs", "", "", label])


def write_slides(results: Path, names: Sequence[str]) -> None:
    """Metadata, tissue, overlay, coordinates and shard of each slide: one of each, linked under all names."""
    made = results / "made"
    made.mkdir(parents=True)
    rng = np.random.default_rng(0)
    metadata = SlideMetadata("slide", "ok", "", *SIZE_PX, (1.0, 4.0, 16.0, 32.0), 0.25, "metadata", (), "40", "aperio")
    write_metadata(made / "metadata.json", metadata)
    mask = cv2.GaussianBlur(rng.normal(size=(SIZE_PX[1] // 64, SIZE_PX[0] // 64)), (0, 0), 40) > 0
    polygons = trace_polygons(mask, 64)
    write_tissue(made / "tissue.geojson", polygons, {"area_mm2": 100.0, "relaxed": False, "reason": ""})
    picture = np.where(mask[..., None], np.uint8([200, 120, 170]), np.uint8(240))
    cv2.imwrite(str(made / "overlay.jpg"), draw_overlay(picture, polygons, 64))
    coords = rng.integers(0, SIZE_PX[1] // 512, (PATCHES, 2)) * 512
    write_coords(made / "coords.h5", coords, np.ones(PATCHES), Tiling(256, 0.5, 0, 0.5), metadata, "")
    write_shard(made / "shard.h5", [b"jpeg"] * PATCHES, coords, "slide", 256, 0.5)
    for folder in ("tiles", "shards"):
        (results / folder / TILING).mkdir(parents=True)
    for name in names:
        folder = results / "slides" / name
        folder.mkdir(parents=True)
        for file in ("metadata.json", "tissue.geojson", "overlay.jpg"):
            os.link(made / file, folder / file)
        os.link(made / "coords.h5", results / "tiles" / TILING / f"{name}.h5")
        os.link(made / "shard.h5", results / "shards" / TILING / f"{name}.h5")


def write_encoders(results: Path, names: Sequence[str]) -> None:
    """Each encoder's card and the manifests of its features."""
    for encoder in ENCODERS:
        card = EncoderCard("vit", {}, (0.5,) * 3, (0.5,) * 3, 256, (0.5,), 384, encoder, {}, "", 256, tuple(names))
        folder = results / "encoders" / encoder
        folder.mkdir(parents=True)
        (folder / "encoder.json").write_text(json.dumps(asdict(card)), encoding="utf-8")
        batches = results / "features" / encoder / "slides" / TILING / "batches"
        batches.mkdir(parents=True)
        for batch, inside in batch_slides(names, 64).items():
            lines = [{"slide": name, "fingerprint": "0" * 64, "reason": ""} for name in inside]
            (batches / f"{batch}.json").write_text(json.dumps(lines), encoding="utf-8")


def write_all_predictions(results: Path) -> None:
    """Predictions of every encoder and head, on the test sets of the splits."""
    columns = ("task", "encoder", "model", "fraction", "repeat", "fold", "seed", "slide", "patient", "label", "leaked")
    tested = [member for member in read_splits(results / "splits/subtype.csv") if member.set == "test"]
    rng = np.random.default_rng(0)
    for encoder in ENCODERS:
        for head in HEADS:
            rows = []
            for (repeat, fraction, fold, _, *rest), score in zip(tested, rng.normal(size=len(tested)), strict=True):
                p = 1 / (1 + math.exp(-score - (1.5 if rest[2] == "ILC" else -1.5)))
                rows.append(("subtype", encoder, head, str(fraction), repeat, fold, 0, *rest, 1 - p, p))
            path = results / "slide_eval/subtype" / encoder / head / "predictions.csv"
            write_predictions(path, (*columns, "p_IDC", "p_ILC"), rows)


def write_downloads(folder: Path, names: Sequence[str]) -> None:
    """Small slides as the Genomic Data Commons hands them out, each in a folder of its own, and a table of labels."""
    folder.mkdir()
    write_pyramid(folder / "slide.svs", np.full((512, 512, 3), 230, np.uint8), 0.25)
    for name in names:
        (folder / "slides" / name.partition(".")[2]).mkdir(parents=True)
        os.link(folder / "slide.svs", folder / "slides" / name.partition(".")[2] / f"{name}.svs")
    patients = sorted({"-".join(name.split("-")[:3]) for name in names})
    lines = [f"{patient}\t{'ILC' if number % 5 == 0 else 'IDC'}" for number, patient in enumerate(patients)]
    (folder / "labels.tsv").write_text("\n".join(["case_submitter_id\tsubtype", *lines, ""]), encoding="utf-8")


def commands(folder: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """The command of each step, in the order in which they need each other, as the rules have them."""
    sheet, results, tables = f"--sheet={folder / 'slides.csv'}", folder / "results", folder / "results/tables"
    evaluated = results / "slide_eval/subtype"
    predictions = [f"{evaluated / encoder / head}/predictions.csv" for encoder in ENCODERS for head in HEADS]
    cards = [f"{results}/encoders/{encoder}/encoder.json" for encoder in ENCODERS]
    tested = json.dumps([{"task": "subtype", "label": "subtype", "classes": None}])
    batches = list(batch_slides(names, 64))
    manifests = [f"{results}/features/{encoder}/slides/{TILING}/batches" for encoder in ENCODERS]

    def three(kind: str) -> list[str]:
        return [f"--csv={tables / kind}.csv", f"--markdown={tables / kind}.md", f"--latex={tables / kind}.tex"]

    downloads = folder / "downloads"
    found = [f"--slides={downloads / 'slides'}", f"--labels={downloads / 'labels.tsv'}", "--processes=1"]
    looked_at = [sheet, f"--slides={results / 'slides'}"]
    shards = ["--shards", f"{results / 'shards' / TILING}", "--manifests", *manifests, "--batches", *batches]
    judged = ["--kind=slide", "--predictions", *predictions, "--cards", *cards, sheet]
    judged.append(f"--settings={json.dumps(default_config()['tables'])}")
    study = [f"--published={REPOSITORY / 'config/published/chen_krishnan_2022.yaml'}", f"--study={json.dumps(STUDY)}"]
    return {
        "write_sheet": [*found, f"--output={downloads / 'slides.csv'}"],
        "split_patients": [sheet, f"--settings={json.dumps(SPLITS)}", f"--output={results / 'splits/subtype.csv'}"],
        "audit_splits": [f"{results / 'splits/subtype.csv'}", sheet, "--label=subtype"],
        "choose_slides": [sheet, f"--tested={tested}", f"--output={results / 'chosen.txt'}"],
        "summarise_cohort": [*looked_at, f"--tiles={results / 'tiles'}", "--tilings", TILING, *three("cohort")],
        "draw_cohort": [*looked_at, f"--tiles={results / 'tiles' / TILING}", f"--output={results / 'figures'}"],
        "list_left_out": [sheet, f"--cohort={tables / 'cohort.csv'}", *shards, *three("left_out")[:2]],
        "compare_study": [*study, "--slide", *predictions, *three("study")],
        "make_tables": [*judged, f"--pairs={tables / 'pairs.csv'}", *three("slide")],
    }


def cost(command: Sequence[str]) -> Cost:
    """Run a Python script with one thread, as Snakemake runs a job; its peak memory is its own or its child's."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    said = subprocess.run(
        [sys.executable, "-c", WATCH, sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        check=False,
    )
    if said.returncode:
        sys.exit(f"{Path(command[0]).name} failed: {said.stdout[-2000:]}")
    return Cost(*map(float, said.stdout.splitlines()[-1].split()))


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments, run the steps on cohorts of growing size, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--steps", nargs="+", help="run these alone, and those that they need")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build/growth", help="scratch, removed afterwards")
    arguments = parser.parse_args(argv)
    folder = arguments.folder.resolve()
    before: dict[str, tuple[int, float]] = {}
    print(f"{'step':17s} slides  seconds  processor s  peak MB  growth", flush=True)
    for slides in sorted(arguments.slides):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True)
            names = slide_names(slides)
            write_sheet(folder / "slides.csv", names)
            write_slides(folder / "results", names)
            write_encoders(folder / "results", names)
            write_downloads(folder / "downloads", names)
            every = commands(folder, names)
            asked = set(arguments.steps or every)
            if unknown := asked - set(every):
                parser.error(f"no step {min(unknown)}; there are {', '.join(every)}")
            wanted = asked | {NEEDS[step] for step in asked if step in NEEDS}
            for step, options in every.items():
                if step not in wanted:
                    continue
                taken = cost([str(SCRIPTS / f"{step}.py"), *options])
                if step == "split_patients":
                    write_all_predictions(folder / "results")
                own = taken.processor_s - cost([str(SCRIPTS / f"{step}.py"), "--help"]).processor_s
                growth = "-"
                fewer, earlier = before.get(step, (slides, 0.0))
                if min(earlier, own) > SHORTEST_S:
                    growth = f"{math.log(own / earlier) / math.log(slides / fewer):.2f}"
                before[step] = (slides, own)
                print(
                    f"{step:17s} {slides:6d} {taken.seconds:8.1f} {taken.processor_s:12.1f} {taken.peak_mb:8.0f}"
                    f" {growth:>7s}",
                    flush=True,
                )
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
