"""Does jittering the stains in pretraining help where the test stain differs from the training stains?

    python benchmarks/stain_augmentation.py --folder build/stain --seeds 3 --cores 2

Runs the workflow on the demo's cohort with its SimCLR and DINO, each with the demo's stain jitter and without any (all
else equal, colour jitter too), once for each seed of the training. Judged by the demo's patch tasks: `tissue_raw` is
trained on patches of three laboratories' stains and tested on patches of a fourth stain. Prints macro AUC and the
paired difference with its 95% patient-cluster interval for each seed, and the mean over the seeds. A second call
computes only what is missing.
"""

import argparse
import copy
import statistics
import subprocess
from pathlib import Path

import yaml
from defaults import REPOSITORY

from histossl.tables.comparison import Resampling, judge

METHODS = ("simclr", "dino")
TASKS = ("tissue_raw", "tissue_normalised")


def write_config(folder: Path, seeds: int) -> dict[str, str]:
    """Write `folder`/config.yaml; returns the control of each encoder."""
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    demo = config["encoders"]
    controls: dict[str, str] = {}
    config["encoders"] = {}
    for method in METHODS:
        for seed in range(1, seeds + 1):
            jittered, plain = f"{method}_stain_{seed}", f"{method}_plain_{seed}"
            for name in (jittered, plain):
                encoder = copy.deepcopy(demo[method])
                encoder["pretrain"]["seed"] = seed
                config["encoders"][name] = encoder
            config["encoders"][plain]["pretrain"]["augmentation"]["stain_probability"] = 0.0
            controls[jittered] = plain
    config["patch_tasks"] = {name: config["patch_tasks"][name] for name in TASKS}
    config["slide_tasks"] = {}
    config["phantom"]["specification"] = str(REPOSITORY / config["phantom"]["specification"])
    config["slides"]["sheet"] = str(REPOSITORY / config["slides"]["sheet"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return controls


def main() -> None:
    """Run, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    controls = write_config(folder, arguments.seeds)
    encoders = [*controls, *controls.values()]
    files = [f"results/patch_eval/{task}/{encoder}/knn/predictions.csv" for task in TASKS for encoder in encoders]
    command = ["snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "config.yaml"), "--cores", str(arguments.cores)]
    subprocess.run([*command, "--quiet", "rules", "--", *files], check=True, cwd=REPOSITORY)

    judged = judge([folder / file for file in files], "classification", controls, Resampling(2000, 1, 0.95))
    for task in TASKS:
        for method in METHODS:
            rows = [row for row in judged if row.task == task and row.encoder.startswith(method) and row.control]
            for row in rows:
                auc, gain = row.figures["auc"].value, row.differences["auc"]
                print(
                    f"{task:18s} {row.encoder:16s} AUC {auc:.3f}, without {auc - gain.value:.3f}, "
                    f"difference {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
                )
            gains = [row.differences["auc"].value for row in rows]
            spread = f", SD {statistics.stdev(gains):.3f}" if len(gains) > 1 else ""
            print(
                f"{task:18s} {method:16s} mean difference over {len(gains)} seeds {statistics.mean(gains):+.3f}{spread}"
            )


if __name__ == "__main__":
    main()
