"""What a configuration asks for: which file each stage needs, and the slice of the config that each job gets."""

import zlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from histossl.config.feature_files import find_feature_files
from histossl.config.sheets import SlideRow
from histossl.config.training_slides import choose_slides
from histossl.encoders.hub_location import on_hub
from histossl.splits.clam import find_split_files
from histossl.splits.labels import takes_part
from histossl.splits.split_file import name_fraction
from histossl.stain.reference import fingerprint_reference

Config = Mapping[str, Any]
PROBES = {
    "classification": ("knn", "knn_weighted", "logistic"),
    "regression": ("linear", "ridge"),
    "few_shot": ("simpleshot",),
    "retrieval": ("retrieval",),
}
"""The probes of each kind of table."""
MOST_PARTS, MOST_SLIDES = 256, 64
"""Parts of a cohort, which are one slide each where there are no more; and slides of a part, about, of a large one."""


def segmented(config: Config, slide: SlideRow) -> dict[str, Any]:
    """What segmentation is told of one slide; no µm/px is assumed where the sheet states it, which goes before."""
    assumed_um = config["slides"]["assumed_spacing_um"] if slide.spacing_um is None else None
    return {
        "slide": slide.slide,
        "file": slide.path,
        "own-tissue": slide.tissue_path or None,
        "sheet-spacing-um": slide.spacing_um,
        "assumed-spacing-um": assumed_um,
    }


def tissue_settings(config: Config) -> dict[str, Any]:
    """Settings of segmentation, the preset resolved: naming one changes nothing that its values do not."""
    return {key: value for key, value in config["tissue"].items() if key != "preset"}


def tiling_settings(config: Config, name: str) -> dict[str, Any]:
    """Settings of where a tiling's patches lie: all but their colours."""
    return {key: value for key, value in config["tilings"][name].items() if key != "stain"}


def stain_settings(config: Config, kind: str, name: str) -> dict[str, str] | None:
    """The stain normalisation of one of the `tilings` or `patch_datasets`, and what its reference holds; or none."""
    stain = config[kind][name]["stain"]
    return stain and {**stain, "content": fingerprint_reference(Path(stain["reference"]))}


def pretrained_encoders(config: Config) -> list[str]:
    """Names of the encoders that are trained here."""
    return [name for name, encoder in config["encoders"].items() if "pretrain" in encoder]


def imported_encoders(config: Config) -> list[str]:
    """Names of the encoders whose features were made elsewhere."""
    return [name for name, encoder in config["encoders"].items() if "features" in encoder]


def feature_folder(config: Config, name: str) -> str:
    """Where the features of an imported encoder are."""
    return config["encoders"][name]["features"]["folder"]


def feature_files(config: Config, name: str, slides: Mapping[str, SlideRow]) -> dict[str, str]:
    """The feature file of each slide that has one, of an imported encoder."""
    paths = {slide: row.path for slide, row in slides.items()}
    return {slide: str(file) for slide, file in find_feature_files(Path(feature_folder(config, name)), paths).items()}


def pretrain_settings(config: Config, name: str) -> dict[str, Any]:
    """Settings of a training run: all but where its patches come from, and what is not looked at."""
    elsewhere = ("tiling", "exclude_patients_of")
    settings = {key: value for key, value in config["encoders"][name]["pretrain"].items() if key not in elsewhere}
    if not knn_datasets(config, name):
        settings["health"] = {**settings["health"], "knn_patches": None}
    return settings


def pretrain_tiling(config: Config, name: str) -> str:
    """The tiling whose patches an encoder is trained on."""
    return config["encoders"][name]["pretrain"]["tiling"]


def patch_layout(config: Config, dataset: str) -> str:
    """How a patch data set lies on the disk; empty for a sheet and a folder of classes."""
    return config["patch_datasets"][dataset]["layout"] or ""


def knn_datasets(config: Config, name: str) -> list[str]:
    """The patch data set that a training run is examined on, where it names one."""
    knn = config["encoders"][name]["pretrain"]["health"]["knn"]
    return [] if knn is None else [knn.partition(":")[0]]


def tested_tasks(config: Config, name: str) -> list[dict[str, Any]]:
    """What tells the test patients of the tasks that an encoder's training leaves out; see `choose_slides`."""
    tasks: list[dict[str, Any]] = []
    for task in config["encoders"][name]["pretrain"]["exclude_patients_of"]:
        if task in config["slide_tasks"]:
            tasks.append({"task": task, **{key: config["slide_tasks"][task][key] for key in ("label", "classes")}})
        if task in config["patch_tasks"]:
            patches = config["patch_tasks"][task]
            dataset, _, split = (patches["test"] or patches["train"]).partition(":")
            source, layout = config["patch_datasets"][dataset]["source"], patch_layout(config, dataset)
            tasks.append({"task": task, "source": source, "layout": layout, "split": split})
    return tasks


def trained_slides(config: Config, slides: Mapping[str, SlideRow]) -> dict[str, list[str]]:
    """For each encoder that is trained here, the slides that it is trained on."""
    return {name: choose_slides(slides, tested_tasks(config, name)) for name in pretrained_encoders(config)}


def packed_slides(config: Config, trained: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """For each tiling that any encoder is trained on, the slides that are packed for it; `trained` by encoder."""
    packed: dict[str, set[str]] = {}
    for name, slides in trained.items():
        packed.setdefault(pretrain_tiling(config, name), set()).update(slides)
    return packed


def export_settings(config: Config, name: str) -> dict[str, Any]:
    """Settings of an encoder that is not trained here: published, or the start of one that is trained here."""
    encoder = config["encoders"][name]
    if "timm" in encoder:
        # Naming a preset changes nothing that its values do not.
        stated = {key: value for key, value in encoder["timm"].items() if key != "preset"}
        return {**stated, "spacing_um": encoder_spacing(config, name)}
    trained = config["encoders"][encoder["untrained"]]["pretrain"]
    same = {key: trained[key] for key in ("model", "model_args", "seed", "mean", "std", "input_px")}
    return {
        **same,
        "weights": False,
        "strict": True,
        "last_block": None,
        "resize_px": None,
        "interpolation": "bilinear",
        "pooling": None,
        "spacing_um": encoder_spacing(config, name),
    }


def encoder_spacing(config: Config, name: str) -> list[float]:
    """The scales that an encoder is made for, µm/px; none where that has no meaning."""
    encoder = config["encoders"][name]
    if "features" in encoder:
        return []
    if "timm" in encoder:
        own = encoder["timm"]["spacing_um"]
        return own if isinstance(own, list) else [own]
    trained = encoder.get("untrained", name)
    return [config["tilings"][pretrain_tiling(config, trained)]["spacing_um"]]


def weight_files(config: Config, name: str) -> list[str]:
    """The local weight file that an encoder is made from, where it names one."""
    weights = export_settings(config, name)["weights"]
    return [weights] if isinstance(weights, str) and not on_hub(weights) else []


def controls(config: Config) -> dict[str, str]:
    """For each trained encoder, the name of its untrained control."""
    return {encoder["untrained"]: name for name, encoder in config["encoders"].items() if "untrained" in encoder}


def left_out_by(
    config: Config, slides: Collection[str], trained: Mapping[str, Collection[str]]
) -> dict[str, list[list[str]]]:
    """For each slide, the different `exclude_patients_of` by which encoders leave it out; `trained` by encoder."""
    encoders = config["encoders"]
    chosen = {
        tuple(sorted(encoders[name]["pretrain"]["exclude_patients_of"])): set(some) for name, some in trained.items()
    }
    return {slide: [list(tasks) for tasks in sorted(chosen) if slide not in chosen[tasks]] for slide in slides}


def part_slides(slides: Collection[str], left_out: Mapping[str, Any]) -> dict[str, list[str]]:
    """Deal slides into the parts of a cohort, each one job's: a slide each, or hundreds of parts of a large cohort.

    Snakemake takes milliseconds to plan a job and longer to choose the next of many, so that a job for each of 10,000
    slides would cost hours. A slide's part follows from its name, as in `batch_slides`, and all slides of a part are
    alike in `left_out`, which says by what encoders leave them out: a slide that no encoder is trained on shares no job
    with those that one is trained on, since training follows from each job of its slides.
    """
    if len(slides) <= MOST_PARTS:
        return {slide: [slide] for slide in sorted(slides)}
    alike: dict[str, list[str]] = {}
    for slide in slides:
        by = left_out[slide]
        alike.setdefault(f"{zlib.crc32(repr(by).encode()):08x}-" if by else "", []).append(slide)
    size = min(MOST_SLIDES, -(-len(slides) // MOST_PARTS))
    return {f"{kind}{part}": some for kind in sorted(alike) for part, some in batch_slides(alike[kind], size).items()}


def manifests(folder: str, slides: Collection[str], parts: Mapping[str, str]) -> list[str]:
    """The manifests in one of the folders of results that say that some slides are done; `parts` by slide."""
    return [f"results/{folder}/batches/{part}.json" for part in dict.fromkeys(parts[slide] for slide in sorted(slides))]


def batch_slides(slides: Collection[str], slides_per_job: int) -> dict[str, list[str]]:
    """Deal slides into batches that one job embeds.

    A slide's batch follows from a hash of its name, and the number of batches is a power of two: an added slide
    changes one batch, and a growing cohort seldom deals anew. The order of the sheet does not matter.
    """
    wanted = -(-len(slides) // slides_per_job)
    count = 1 << (wanted - 1).bit_length()
    batches: dict[str, list[str]] = {}
    for slide in sorted(slides):
        batches.setdefault(str(zlib.crc32(slide.encode()) % count), []).append(slide)
    return batches


def task_encoders(config: Config, task: Mapping[str, Any]) -> list[str]:
    """The encoders that a task compares: those it names, or all."""
    return task["encoders"] or list(config["encoders"])


def patch_encoders(config: Config, task: Mapping[str, Any]) -> list[str]:
    """The encoders that a patch task compares: those it names, or all that can embed patches."""
    imported = imported_encoders(config)
    return task["encoders"] or [encoder for encoder in config["encoders"] if encoder not in imported]


def slide_manifests(encoder: str, tiling: str, batches: Collection[str]) -> list[str]:
    """The manifests that stand for the feature files of all slides."""
    return [f"results/features/{encoder}/slides/{tiling}/batches/{batch}.json" for batch in batches]


def all_slide_manifests(config: Config, batches: Collection[str]) -> list[str]:
    """Manifests of all that any slide task needs."""
    wanted = {
        (encoder, task["tiling"]) for task in config["slide_tasks"].values() for encoder in task_encoders(config, task)
    }
    return [manifest for encoder, tiling in sorted(wanted) for manifest in slide_manifests(encoder, tiling, batches)]


def slide_embedding(config: Config, tiling: str) -> dict[str, Any]:
    """What decides the features of a tiling's slides, beside encoder, slides and coordinates."""
    return {"precision": config["features"]["precision"], "stain": stain_settings(config, "tilings", tiling)}


def patch_embedding(config: Config, dataset: str) -> dict[str, Any]:
    """What decides the features of a patch data set, beside encoder and pictures."""
    own = {"precision": config["features"]["precision"], "layout": patch_layout(config, dataset)}
    return {**own, "stain": stain_settings(config, "patch_datasets", dataset)}


def patch_sides(task: Mapping[str, Any]) -> dict[str, str]:
    """The data that a patch task names under `train` and, unless it is tested in folds, `test`."""
    return {side: task[side] for side in ("train", "test") if task[side]}


def patch_features(config: Config, task: str, side: str, encoder: str) -> list[str]:
    """The feature file of a patch task's `train` or `test` side; none for a test in folds."""
    named = patch_sides(config["patch_tasks"][task]).get(side)
    return [f"results/features/{encoder}/patches/{named.partition(':')[0]}.h5"] if named else []


def all_patch_features(config: Config) -> list[str]:
    """Feature files of all that any patch task needs."""
    return sorted(
        {
            file
            for name, task in config["patch_tasks"].items()
            for side in patch_sides(task)
            for encoder in patch_encoders(config, task)
            for file in patch_features(config, name, side, encoder)
        }
    )


def fractions(config: Config, task: str) -> list[str]:
    """The training fractions of a slide task by name, the largest first."""
    return [name_fraction(fraction) for fraction in sorted(set(config["slide_tasks"][task]["fractions"]), reverse=True)]


def split_settings(config: Config, task: str, fraction: str) -> dict[str, Any]:
    """What decides how a slide task's patients are split at one of its fractions, whatever the others are."""
    keys = ("label", "classes", "site", "folds", "repeats", "split_files", "validation", "seed")
    return {**{key: config["slide_tasks"][task][key] for key in keys}, "fraction": float(fraction)}


def hash_split_files(config: Config, task: str) -> int:
    """Fingerprint of the split files that a task imports; 0 where its splits are drawn."""
    files = config["slide_tasks"][task]["split_files"]
    if files is None:
        return 0
    found = find_split_files(Path(files["folder"]))
    return zlib.crc32(repr([(number, path.name, path.read_bytes()) for number, path in found.items()]).encode())


def hash_labels(config: Config, task: str, slides: Mapping[str, SlideRow]) -> int:
    """Fingerprint of who takes part with which label, and site where the task asks: nothing else changes a split."""
    settings = config["slide_tasks"][task]
    asked = [column for key in ("label", "site") if (column := settings[key])]
    known = sorted(
        (row.slide, row.patient, *(row.columns[column] for column in asked))
        for row in slides.values()
        if takes_part(row.columns[settings["label"]], settings["classes"])
    )
    return zlib.crc32(repr(known).encode())


def head_settings(config: Config, task: str, model: str) -> dict[str, Any]:
    """Settings of one MIL head of a task."""
    return {"model": model, **config["slide_tasks"][task]["models"][model]}


def probe_settings(config: Config, task: str, probe: str) -> dict[str, Any]:
    """Settings of a patch task and of one of its probes."""
    chosen = config["patch_tasks"][task]
    splits = {f"{side}_split": name.partition(":")[2] for side, name in patch_sides(chosen).items()}
    dealt = {} if chosen["test"] else {key: chosen[key] for key in ("folds", "seed")}
    own = {key: chosen[key] for key in ("merge", "exclude")}
    return {"task": {**splits, **dealt, **own}, "probe": chosen["probes"][probe]}


def predictions(config: Config) -> dict[str, list[str]]:
    """The stored predictions that each kind of table is made from."""
    patches = [
        (probe, f"results/patch_eval/{name}/{encoder}/{probe}/predictions.csv")
        for name, task in config["patch_tasks"].items()
        for encoder in patch_encoders(config, task)
        for probe in task["probes"]
    ]
    return {
        "slide": [
            file
            for name, task in config["slide_tasks"].items()
            for encoder in task_encoders(config, task)
            for model in task["models"]
            for file in head_predictions(config, name, encoder, model)
        ],
        **{kind: [file for probe, file in patches if probe in probes] for kind, probes in PROBES.items()},
    }


def head_predictions(config: Config, task: str, encoder: str, model: str) -> list[str]:
    """The stored predictions of a slide task's head on one encoder: a file for each training fraction."""
    folder = f"results/slide_eval/{task}/{encoder}/{model}"
    return [f"{folder}/{fraction}/predictions.csv" for fraction in fractions(config, task)]


def compared_predictions(config: Config, compared: Mapping[str, str]) -> list[str]:
    """The stored predictions that stand for one published table: of a task's `model` or `probe`."""
    task, encoders = compared["task"], config["study"]["methods"].values()
    if "model" in compared:
        return [file for name in encoders for file in head_predictions(config, task, name, compared["model"])]
    return [f"results/patch_eval/{task}/{encoder}/{compared['probe']}/predictions.csv" for encoder in encoders]


def study_predictions(config: Config) -> dict[str, list[str]]:
    """The stored predictions of each kind that are put beside a published study, of those that are made at all."""
    tables = config["study"]["tables"].values() if config["study"] else ()
    wanted = {file for compared in tables for file in compared_predictions(config, compared)}
    return {kind: [file for file in files if file in wanted] for kind, files in predictions(config).items()}


def table_tasks(config: Config, kind: str) -> dict[str, tuple[Mapping[str, Any], list[str]]]:
    """The tasks of a kind of table by name, each with the encoders that it compares."""
    if kind == "slide":
        return {name: (task, task_encoders(config, task)) for name, task in config["slide_tasks"].items()}
    tasks = {name: task for name, task in config["patch_tasks"].items() if set(task["probes"]) & set(PROBES[kind])}
    return {name: (task, patch_encoders(config, task)) for name, task in tasks.items()}


def cards(config: Config, kind: str) -> list[str]:
    """What each encoder of a kind of table is, as JSON."""
    compared = dict.fromkeys(name for _, encoders in table_tasks(config, kind).values() for name in encoders)
    return [f"results/encoders/{encoder}/encoder.json" for encoder in compared]


def tables(config: Config) -> list[str]:
    """All tables, in each format, and the pairs of encoders behind those that compare them."""
    compared = [kind for kind, files in predictions(config).items() if files]
    kinds = ["cohort", *compared]
    kinds += ["pretraining"] if pretrained_encoders(config) else []
    kinds += ["study"] if config["study"] else []
    tables = [f"results/tables/{kind}.{suffix}" for kind in kinds for suffix in ("csv", "md", "tex")]
    return tables + [f"results/tables/{kind}_pairs.csv" for kind in compared]


def pages(results: Iterable[str]) -> dict[str, list[str]]:
    """By table among the results, the CSVs that its page in the report shows: its own, and that of pairs if any."""
    names = [path.stem for path in map(Path, results) if path.match("results/tables/*.csv")]
    files = {name: [f"results/tables/{name}.csv"] for name in names if not name.endswith("_pairs")}
    for name in files:
        if f"{name}_pairs" in names:
            files[name].append(f"results/tables/{name}_pairs.csv")
    return files


def cohort_pictures(config: Config) -> list[str]:
    """The contact sheets of each tiling."""
    return [f"results/figures/cohort/{tiling}" for tiling in config["tilings"]]


def view_settings(config: Config, name: str) -> dict[str, Any]:
    """What decides which views a network is shown of its patches."""
    trained = config["encoders"][name]["pretrain"]
    return {key: trained[key] for key in ("augmentation", "seed")}


def view_pictures(config: Config) -> list[str]:
    """The contact sheets of what each trained encoder is shown."""
    return [f"results/figures/views/{name}.jpg" for name in pretrained_encoders(config)]
