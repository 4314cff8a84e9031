"""The tiny cohort with more beside it, so that its configuration has every key; and another value for each.

What is more is only ever planned: its networks are never trained.
"""

import copy
import csv
import json
import shutil
from typing import Any

import cv2

from tests.workflow.conftest import REPOSITORY, Workplace
from tests.workflow.tiny import CONFIG as TINY
from tests.workflow.tiny import pretrain, slide_rows, view

HEADS = ("abmil", "clam_sb", "clam_mb", "transmil", "dsmil", "mean", "max")
STAIN = {"method": "reinhard", "reference": "stain.jpg"}
VIEWS = {"views": [view(32, 2, 0.2, 1.0)]}


def every_key() -> dict[str, Any]:
    """The tiny configuration with what it lacks."""
    config: dict[str, Any] = copy.deepcopy(TINY)
    config["features"]["slides_per_job"] = 5  # as many batches as with 4, and with one slide more
    config["tilings"]["p32"] = {"patch_px": 32, "spacing_um": 1.0, "quality": {}, "stain": STAIN}
    config["encoders"] |= {
        "ibot": pretrain(
            "ibot", model="vit_tiny_patch16_224", tiling="p32", health={"knn": "phantom:test"}, augmentation=VIEWS
        ),
        "ibot_untrained": {"untrained": "ibot"},
        "byol": pretrain("byol", model="test_resnet", augmentation=VIEWS),
        "published": {"timm": {"preset": "resnet50_clam"}},
        "imported": {"features": {"folder": "features"}},
    }
    config["patch_datasets"]["own"] = {"preset": "crc100k", "source": "own", "spacing_um": 1.0, "stain": STAIN}
    common = {"label": "subtype", "tiling": "p64", "folds": 2, "encoders": ["published"], "models": {"mean": {}}}
    config["slide_tasks"] |= {
        "stage": {
            "label": "stage",
            "tiling": "p32",
            "folds": 2,
            "encoders": ["ibot", "ibot_untrained", "published"],
            "models": {head: {"early_stopping": {"min_epochs": 5}} for head in HEADS},
        },
        "centres": {**common, "site": "centre"},
        "dealt": {**common, "split_files": {"folder": "splits"}},
    }
    config["patch_tasks"]["own"] = {
        "train": "own",
        "folds": 2,
        "encoders": ["published"],
        "merge": {"B": "A"},
        "probes": {"knn": {}, "knn_weighted": {}},
    }
    config["study"] = {
        "published": "chen_krishnan_2022",
        "methods": {"imagenet": "published", "dino": "dino"},
        "tables": {
            "slide": {"task": "subtype", "model": "abmil"},
            "crc100k_raw": {"task": "folds", "probe": "knn_weighted"},
        },
    }
    return json.loads(json.dumps(config))  # no two keys may share a dictionary, or both would change


def more_rows() -> list[dict[str, str]]:
    """The lines of slides.csv with the columns that the further tasks ask for; `stage` leaves out P05, P06 and P14."""
    stage = {"P01": "I", "P02": "I", "P03": "II", "P04": "II"}
    centre = {"P01": "A", "P02": "A", "P03": "B", "P04": "B"}
    clinic = {"P01": "A", "P02": "B", "P03": "B", "P04": "A"}
    return [
        {
            **row,
            "stage": stage.get(row["patient"], ""),
            "centre": centre.get(row["patient"], "C"),
            "clinic": clinic.get(row["patient"], "C"),
            "spacing_um": "0.5" if row["slide"] == "P02-1" else "",
        }
        for row in slide_rows()
    ]


def furnish(place: Workplace) -> None:
    """Write the files that `every_key` and `CHANGES` name, and the sheet with its further columns."""
    folder = place.folder
    place.write_sheet("slides.csv", more_rows())
    shutil.copy(REPOSITORY / "docs/demo_nests_files.jpg", folder / "stain.jpg")
    picture = cv2.imread(str(folder / "stain.jpg"))
    cv2.imwrite(str(folder / "stain2.jpg"), picture[:, ::-1])
    rows = more_rows()
    for name in ("features", "features2"):
        (folder / name).mkdir()
        for row in rows:
            (folder / name / f"{row['slide']}.h5").write_text(name, encoding="utf-8")
    labelled = [row for row in rows if row["subtype"]]
    for name, held_out in (("splits", {"P05", "P06"}), ("splits2", {"P03", "P04"})):
        (folder / name).mkdir()
        lines = [{"train": row["slide"]} for row in labelled if row["patient"] not in held_out]
        lines += [{"test": row["slide"]} for row in labelled if row["patient"] in held_out]
        with (folder / name / "splits_0.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["train", "val", "test"], restval="")
            writer.writeheader()
            writer.writerows(lines)
    for name in ("own", "own2"):
        for label in ("A", "B"):
            (folder / name / label).mkdir(parents=True)
            (folder / name / label / "1.png").write_text(f"{name} {label}", encoding="utf-8")
    # The same folder as MHIST is downloaded, for another layout and another preset.
    (folder / "own/images").mkdir()
    (folder / "own/images/1.png").write_text("MHIST", encoding="utf-8")
    lines = "Image Name,Majority Vote Label,Partition\n1.png,HP,train\n"
    (folder / "own/annotations.csv").write_text(lines, encoding="utf-8")
    drawn = (folder / "phantom.csv").read_text(encoding="utf-8").replace(",0.4,", ",0.5,")
    (folder / "phantom2.csv").write_text(drawn, encoding="utf-8")
    place.write_sheet("slides2.csv", [{**row, "note": "x"} for row in rows])


CHANGES: dict[str, dict[str, Any]] = {
    "attention.source": {"attention.source": "phantom:test"},
    "encoders.*.features.folder": {"encoders.imported.features.folder": "features2"},
    "encoders.*.pretrain.epochs": {"encoders.dino.pretrain.epochs": 1, "encoders.dino.pretrain.steps": None},
    "encoders.*.pretrain.exclude_patients_of": {"encoders.dino.pretrain.exclude_patients_of": ["stage"]},
    "encoders.*.pretrain.health.knn": {"encoders.dino.pretrain.health.knn": "phantom:test"},
    "encoders.*.pretrain.health.knn_patches": {"encoders.ibot.pretrain.health.knn_patches": 500},
    "encoders.*.pretrain.method": {"encoders.byol.pretrain.method": "simclr"},
    "encoders.*.pretrain.model": {"encoders.dino.pretrain.model": "deit_tiny_patch16_224"},
    "encoders.*.pretrain.model_args": {"encoders.dino.pretrain.model_args.depth": 3},
    "encoders.*.pretrain.tiling": {"encoders.byol.pretrain.tiling": "p32"},
    "encoders.*.pretrain.training_args": {"encoders.dino.pretrain.training_args": {"drop_path_rate": 0.1}},
    "encoders.*.timm.model": {"encoders.published.timm.model": "resnet18.tv_in1k"},
    "encoders.*.timm.model_args": {"encoders.published.timm.model_args": {"output_stride": 16}},
    "encoders.*.timm.preset": {"encoders.published.timm.preset": "dinov2_vitl14"},
    "encoders.*.timm.spacing_um": {"encoders.published.timm.spacing_um": [1.0]},
    "encoders.*.untrained": {"encoders.dino_untrained.untrained": "simclr"},
    "features.slides_per_job": {"features.slides_per_job": 2},  # 6 would be two batches as 5 are
    "patch_datasets.*.layout": {"patch_datasets.own.layout": "mhist"},
    "patch_datasets.*.preset": {"patch_datasets.own.preset": "mhist"},
    "patch_datasets.*.source": {"patch_datasets.own.source": "own2"},
    "patch_datasets.*.spacing_um": {"patch_datasets.phantom.spacing_um": 1.02},  # still fits the encoders
    "patch_datasets.*.stain": {"patch_datasets.phantom.stain": STAIN},
    "patch_datasets.*.stain.reference": {"patch_datasets.own.stain.reference": "stain2.jpg"},
    "patch_tasks.*.encoders": {"patch_tasks.cellularity.encoders": ["dino"]},
    "patch_tasks.*.exclude": {"patch_tasks.tissue.exclude": ["B"]},
    "patch_tasks.*.folds": {"patch_tasks.folds.folds": 3},
    "patch_tasks.*.merge.*": {"patch_tasks.own.merge.B": "C"},
    "patch_tasks.*.probes.linear": {"patch_tasks.own.probes.linear": {}},
    "patch_tasks.*.probes.retrieval": {"patch_tasks.own.probes.retrieval": {}},
    "patch_tasks.*.seed": {"patch_tasks.folds.seed": 2},
    "patch_tasks.*.test": {"patch_tasks.tissue.test": "phantom:raw"},
    "patch_tasks.*.train": {"patch_tasks.tissue.train": "phantom:raw"},
    "phantom": {"phantom": None},
    "phantom.specification": {"phantom.specification": "phantom2.csv"},
    "slide_tasks.*.classes": {"slide_tasks.subtype.classes": ["ductal", "lobular"]},
    "slide_tasks.*.encoders": {"slide_tasks.stage.encoders": ["ibot", "ibot_untrained", "published", "imported"]},
    "slide_tasks.*.fractions": {"slide_tasks.subtype.fractions": [1.0, 0.75, 0.5]},
    **{
        f"slide_tasks.*.models.{head}.early_stopping": {f"slide_tasks.stage.models.{head}.early_stopping": None}
        for head in HEADS  # where a head trains for two epochs, none could stop early
    },
    "slide_tasks.*.label": {"slide_tasks.subtype.label": "stage"},
    "slide_tasks.*.site": {"slide_tasks.centres.site": "clinic"},
    "slide_tasks.*.split_files": {"slide_tasks.dealt.split_files": None},
    "slide_tasks.*.split_files.folder": {"slide_tasks.dealt.split_files.folder": "splits2"},
    "slide_tasks.*.tiling": {"slide_tasks.subtype.tiling": "p32"},
    "slides.sheet": {"slides.sheet": "slides2.csv"},
    "study": {"study": None},
    "study.methods.*": {"study.methods.dino": "simclr"},
    "study.published": {"study.published": "another_study"},
    "study.tables.*.model": {"study.tables.slide.model": "clam_sb"},
    "study.tables.*.probe": {"study.tables.crc100k_raw.probe": "logistic"},
    "study.tables.*.task": {"study.tables.crc100k_raw.task": "own"},
    "tilings.*.spacing_um": {"tilings.p64.spacing_um": 1.02},
    "tilings.*.stain": {"tilings.p64.stain": STAIN},
    "tilings.*.stain.reference": {"tilings.p32.stain.reference": "stain2.jpg"},
    "tissue.preset": {"tissue.preset": "clam"},
    "tissue.threshold": {"tissue.threshold": "otsu"},
}
"""By key, what is set in its place where a value can't be derived from the schema, or would not pass the checks."""
