"""What a schema cannot say: that names refer to something, files are there, and labels can be split."""

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from histossl.config import plan
from histossl.config.sheets import SlideRow
from histossl.config.training_slides import choose_slides
from histossl.encoders.hub_location import on_hub, parse_hub_location
from histossl.encoders.scale import fits_scale, name_scales
from histossl.errors import UserError
from histossl.patch_datasets.listing import LAYOUTS, check_split, pick_labelled, read_patch_dataset
from histossl.splits.folds import deal_sites, source_of
from histossl.splits.imported import import_splits
from histossl.splits.labels import check_labels, patient_labels, patient_sites
from histossl.tables.published import read_published

DRAWN = "results/phantom/"
"""What lies below is drawn by the workflow itself."""


def check_config(config: Mapping[str, Any], slides: Mapping[str, SlideRow]) -> None:
    """Check a configuration (with its defaults) against the slide sheet and the disk, before anything runs.

    Raises:
        UserError: a name that refers to nothing, a file that is not there, or labels that cannot be cross-validated.
    """
    drawn = bool(config["phantom"])
    sheet = config["slides"]["sheet"]
    for row in slides.values():
        _check_path(row.path, f"{sheet}: slide {row.slide!r}", drawn)
        if row.tissue_path:
            _check_path(row.tissue_path, f"{sheet}: tissue of slide {row.slide!r}", drawn)
    for name, dataset in config["patch_datasets"].items():
        if "spacing_um" not in dataset:
            raise UserError(f"config: patch_datasets.{name} states no spacing_um; give the µm/px of its patches")
        _check_path(dataset["source"], f"config: patch_datasets.{name}", drawn)
        if layout := plan.patch_layout(config, name):
            try:
                LAYOUTS[layout].find_files(Path(dataset["source"]))
            except UserError as error:
                raise UserError(f"config: patch_datasets.{name}: {error}") from error
    for name, tiling in config["tilings"].items():
        if tiling["overlap_px"] >= tiling["patch_px"]:
            raise UserError(
                f"config: tilings.{name}.overlap_px is {tiling['overlap_px']}, which leaves no step between patches of "
                f"{tiling['patch_px']} px; make it smaller"
            )
    for kind in ("tilings", "patch_datasets"):
        for name, entry in config[kind].items():
            _check_stain(f"{kind}.{name}.stain", entry["stain"])
    for name, encoder in config["encoders"].items():
        _check_encoder(name, encoder, config)
    for name, task in config["slide_tasks"].items():
        where = f"slide_tasks.{name}"
        _check_name(task["tiling"], config["tilings"], f"{where}.tiling")
        for encoder in task["encoders"]:
            _check_name(encoder, config["encoders"], f"{where}.encoders")
        for model, head in task["models"].items():
            _check_stopping(f"{where}.models.{model}", head)
        for encoder in plan.task_encoders(config, task):
            _check_scale(encoder, config["tilings"][task["tiling"]]["spacing_um"], config, where)
        _check_splits(where, task, slides, Path(sheet))
    for name, task in config["patch_tasks"].items():
        for side, named in plan.patch_sides(task).items():
            dataset = named.partition(":")[0]
            _check_name(dataset, config["patch_datasets"], f"patch_tasks.{name}.{side}")
            _check_split(named, config, f"patch_tasks.{name}.{side}")
            for encoder in task["encoders"]:
                _check_name(encoder, config["encoders"], f"patch_tasks.{name}.encoders")
            for encoder in plan.patch_encoders(config, task):
                _check_scale(encoder, config["patch_datasets"][dataset]["spacing_um"], config, f"patch_tasks.{name}")
        _check_embedded(f"patch_tasks.{name}", task, config)
    chosen = config["heatmaps"]["slides"]
    for slide in [] if isinstance(chosen, int) else chosen:
        _check_name(slide, slides, "heatmaps.slides", "slide sheet")
    if shown := config["attention"]["source"]:
        _check_name(shown.partition(":")[0], config["patch_datasets"], "attention.source")
        _check_split(shown, config, "attention.source")
    for name in plan.imported_encoders(config):
        try:
            plan.feature_files(config, name, slides)
        except UserError as error:
            raise UserError(f"config: encoders.{name}.features.folder: {error}") from error
    for name in plan.pretrained_encoders(config):
        _check_exclusion(name, config, slides)
        _check_knn(name, config)


def check_study(config: Mapping[str, Any], folder: Path) -> None:
    """Check that `study` names what `folder`, of published studies, and the config define.

    Raises:
        UserError: a name that refers to nothing, or a task of another kind than the published table.
    """
    study = config["study"]
    if study is None:
        return
    published = read_published(folder / f"{study['published']}.yaml")
    for method, encoder in study["methods"].items():
        _check_name(method, published.methods, "study.methods", f"study {study['published']!r}")
        _check_name(encoder, config["encoders"], f"study.methods.{method}")
    for table, compared in study["tables"].items():
        where = f"study.tables.{table}"
        _check_name(table, published.tables, "study.tables", f"study {study['published']!r}")
        kind = published.tables[table].kind
        tasks, key = ("slide_tasks", "model") if kind == "slide" else ("patch_tasks", "probe")
        if set(compared) != {"task", key}:
            raise UserError(
                f"config: {where} has {', '.join(compared)}; give task, one of {tasks}, and {key}, one of its {key}s"
            )
        _check_name(compared["task"], config[tasks], f"{where}.task")
        _check_name(compared[key], config[tasks][compared["task"]][f"{key}s"], f"{where}.{key}")
        files = set(plan.compared_predictions(config, compared))
        kinds = [name for name, made in plan.predictions(config).items() if files & set(made)]
        if kinds and kinds != [kind]:
            raise UserError(
                f"config: {where}.{key} is {compared[key]!r}, whose predictions are of the kind {kinds[0]}; name one "
                f"of the kind {kind}"
            )


def _check_splits(where: str, task: Mapping[str, Any], slides: Mapping[str, SlideRow], sheet: Path) -> None:
    """Labels, sites and split files: what would end a task's first job."""
    rows = [row.columns for row in slides.values()]
    site, files, folds = task["site"], task["split_files"], task["folds"]
    labelled = check_labels(rows, task["label"], None if site or files else folds, sheet, task["classes"])
    if files and (site or task["repeats"] > 1):
        raise UserError(
            f"config: {where} has split_files, which say who is tested, and {'site' if site else 'repeats'}, which is "
            "for folds that are drawn; delete one of the two"
        )
    try:
        if files:
            import_splits(Path(files["folder"]), labelled, 1.0, files["on_shared_patients"], task["seed"])
        elif site:
            sites = patient_sites(labelled, rows, site, sheet)
            for repeat in range(task["repeats"]):
                deal_sites(patient_labels(labelled), sites, folds, source_of(task["seed"], repeat))
    except UserError as error:
        raise UserError(f"config: {where}.{'split_files' if files else 'site'}: {error}") from error


def _check_stopping(where: str, head: Mapping[str, Any]) -> None:
    stopping = head["early_stopping"]
    if stopping and stopping["min_epochs"] >= head["epochs"]:
        raise UserError(
            f"config: {where}.early_stopping.min_epochs is {stopping['min_epochs']} and `epochs` is {head['epochs']}: "
            f"nothing would stop early; raise `epochs` (CLAM trains up to 200) or lower `min_epochs`"
        )


def _check_encoder(name: str, encoder: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    if len(encoder) != 1:
        has = ", ".join(encoder) or "nothing"
        raise UserError(f"config: encoders.{name} has {has}; give exactly one of pretrain, untrained, timm, features")
    if "pretrain" in encoder:
        tiling = encoder["pretrain"]["tiling"]
        _check_name(tiling, config["tilings"], f"encoders.{name}.pretrain.tiling")
        if (encoder["pretrain"]["epochs"] is None) == (encoder["pretrain"]["steps"] is None):
            raise UserError(f"config: encoders.{name}.pretrain needs exactly one of epochs and steps")
    if "timm" in encoder:
        _check_published(f"encoders.{name}.timm", encoder["timm"])
    if "untrained" in encoder:
        trained = plan.pretrained_encoders(config)
        if encoder["untrained"] in config["encoders"] and encoder["untrained"] not in trained:
            raise UserError(
                f"config: encoders.{name}.untrained names {encoder['untrained']!r}, which is not trained here; for the "
                "network of a published one with random weights write `timm: {model: ..., weights: false}`"
            )
        _check_name(encoder["untrained"], trained, f"encoders.{name}.untrained")


def _check_published(where: str, published: Mapping[str, Any]) -> None:
    if "model" not in published:
        raise UserError(f"config: {where} has neither a preset nor a model; name one of them")
    weights = published["weights"]
    for key in ("model", "weights"):
        if on_hub(published[key]):
            try:
                parse_hub_location(published[key])
            except UserError as error:
                raise UserError(f"config: {where}.{key}: {error}") from error
    if isinstance(weights, str) and not on_hub(weights) and not Path(weights).is_file():
        raise UserError(
            f"config: {where}.weights is {weights!r}, where there is no file; correct the path, or write "
            "hf-hub:owner/name for one on the Hugging Face hub"
        )


def _check_split(named: str, config: Mapping[str, Any], where: str) -> None:
    """A split of a sheet or a folder; those of a layout may take long to read, and are met where they are used."""
    dataset, _, split = named.partition(":")
    source = config["patch_datasets"][dataset]["source"]
    if not split or source.startswith(DRAWN) or plan.patch_layout(config, dataset):
        return
    try:
        check_split(read_patch_dataset(Path(source)), Path(source), split)
    except UserError as error:
        raise UserError(f"config: {where} names the split {split!r}, but {error}") from error


def _check_knn(name: str, config: Mapping[str, Any]) -> None:
    knn = config["encoders"][name]["pretrain"]["health"]["knn"]
    if knn is None:
        return
    where = f"encoders.{name}.pretrain.health.knn"
    dataset, _, split = knn.partition(":")
    _check_name(dataset, config["patch_datasets"], where)
    _check_scale(name, config["patch_datasets"][dataset]["spacing_um"], config, where)
    source, layout = config["patch_datasets"][dataset]["source"], plan.patch_layout(config, dataset)
    # The run looks at it when it starts: it may not be there yet, or take long to read.
    if source.startswith(DRAWN) or (layout and LAYOUTS[layout].list_regions):
        return
    try:
        pick_labelled(read_patch_dataset(Path(source), layout), Path(source), split)
    except UserError as error:
        raise UserError(f"config: {where} is {knn!r}: {error}") from error


def _check_exclusion(name: str, config: Mapping[str, Any], slides: Mapping[str, SlideRow]) -> None:
    where = f"encoders.{name}.pretrain.exclude_patients_of"
    for task in config["encoders"][name]["pretrain"]["exclude_patients_of"]:
        _check_name(task, [*config["slide_tasks"], *config["patch_tasks"]], where)
    tested = plan.tested_tasks(config, name)
    for task in tested:
        if task.get("source", "").startswith(DRAWN):
            raise UserError(
                f"config: {where} names {task['task']!r}, whose patches the workflow draws and which are of no patient "
                "of the sheet; delete it there"
            )
    try:
        choose_slides(slides, tested)
    except UserError as error:
        raise UserError(f"config: {where}: {error}") from error


def _check_embedded(where: str, task: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """A patch task needs encoders that can be run; imported features are of slides alone."""
    imported = [encoder for encoder in task["encoders"] if encoder in plan.imported_encoders(config)]
    if imported:
        raise UserError(
            f"config: {where}.encoders names {imported[0]!r}, but imported features are of slides; delete it there"
        )
    if not plan.patch_encoders(config, task):
        raise UserError(f"config: {where} has no encoder, for imported features are of slides; add one")


def _check_scale(encoder: str, spacing_um: float, config: Mapping[str, Any], where: str) -> None:
    own = plan.encoder_spacing(config, encoder)
    if config["features"]["on_spacing_mismatch"] == "fail" and not fits_scale(spacing_um, own):
        raise UserError(
            f"config: {where} has patches of {spacing_um:g} µm/px, but the encoder {encoder!r} is made for "
            f"{name_scales(own)}; name the encoders of that scale under `encoders`, use patches of the other, or set "
            "`features: on_spacing_mismatch` to allow"
        )


def _check_stain(where: str, stain: Mapping[str, str] | None) -> None:
    if stain is None:
        return
    from histossl.stain.fit import fit_stain  # OpenCV, which takes longer to import than all else that is checked

    try:
        fit_stain(stain)
    except UserError as error:
        raise UserError(f"config: {where}.reference: {error}") from error


def _check_name(name: str, known: Collection[str], where: str, definer: str = "config") -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"
        raise UserError(f"config: {where} names {name!r}, which the {definer} does not define; {remedy}")


def _check_path(path: str, where: str, drawn: bool) -> None:
    if not (drawn and path.startswith(DRAWN)) and not Path(path).exists():
        raise UserError(f"{where} has the path {path!r}, where there is no file; correct the path")
