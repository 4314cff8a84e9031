"""Time and memory of planning: what `snakemake -n` costs before the first job starts.

    python benchmarks/planning.py [--slides 100 1000 11000] [--folder build/planning]

A sheet of so many slides (empty files: nothing is read from slides while planning), three encoders, four training
fractions, ten folds. Prints jobs, seconds and the peak memory of each dry run.
"""

import argparse
import csv
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
ENCODERS = {
    "dino": {
        "pretrain": {"method": "dino", "tiling": "p256", "model": "vit_small_patch16_224", "epochs": 100},
    },
    "simclr": {"pretrain": {"method": "simclr", "tiling": "p256", "model": "resnet50", "epochs": 100}},
    "dino_untrained": {"untrained": "dino"},
}


def configuration() -> dict[str, object]:
    """The study's design on one tiling."""
    return {
        "slides": {"sheet": "slides.csv", "assumed_spacing_um": 0.5},
        "tilings": {"p256": {"patch_px": 256, "spacing_um": 0.5}},
        "encoders": ENCODERS,
        "slide_tasks": {
            "subtype": {
                "label": "subtype",
                "tiling": "p256",
                "folds": 10,
                "fractions": [1.0, 0.75, 0.5, 0.25],
                "models": {"abmil": {}, "clam_sb": {}},
            }
        },
    }


def write_cohort(folder: Path, slides: int) -> None:
    """The sheet, the configuration and the files that the sheet names."""
    (folder / "slides").mkdir(parents=True)
    with (folder / "slides.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["slide", "patient", "path", "subtype"])
        for number in range(slides):
            (folder / "slides" / f"{number:06d}.svs").touch()
            name = f"TCGA-{number:06d}-01Z-00-DX1"
            writer.writerow([name, f"P{number // 2:06d}", f"slides/{number:06d}.svs", ("IDC", "ILC")[number // 2 % 2]])
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration()), encoding="utf-8")


def plan(folder: Path) -> tuple[float, float, int]:
    """Seconds, peak memory in GB and number of jobs of a dry run."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml")]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        said, _ = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"the dry run failed: {said[-2000:]}")
    total = [line for line in said.splitlines() if line.startswith("total")]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return seconds, peak, int(total[0].split()[1]) if total else 0


def main(argv: Sequence[str] | None = None) -> None:
    """Plan cohorts of growing size; memory is that of the largest so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, nargs="+", default=[100, 1000, 11000])
    parser.add_argument("--folder", type=Path, default=ROOT / "build/planning", help="scratch, removed afterwards")
    arguments = parser.parse_args(argv)
    print("slides    jobs  seconds  peak GB", flush=True)
    for slides in sorted(arguments.slides):
        folder = arguments.folder.resolve()
        shutil.rmtree(folder, ignore_errors=True)
        try:
            write_cohort(folder, slides)
            seconds, peak, jobs = plan(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{slides:6d} {jobs:7d} {seconds:8.1f} {peak:8.2f}", flush=True)


if __name__ == "__main__":
    main()
