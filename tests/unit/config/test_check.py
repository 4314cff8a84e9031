import copy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from histossl.config.check import check_config, check_study
from histossl.config.load import load_config
from histossl.config.sheets import SlideRow
from histossl.errors import UserError

SCHEMA = Path(__file__).parents[3] / "config/schemas/config.schema.yaml"


@pytest.fixture
def slides(tmp_path):
    rows = {}
    for i in range(8):
        path = tmp_path / f"s{i}.svs"
        path.touch()
        columns = {"slide": f"s{i}", "patient": f"p{i}", "path": str(path), "subtype": "ab"[i % 2]}
        rows[f"s{i}"] = SlideRow(f"s{i}", f"p{i}", str(path), None, "", columns)
    return rows


@pytest.fixture
def config(tmp_path):
    (tmp_path / "patches").mkdir()
    return {
        "slides": {"sheet": "slides.csv"},
        "tilings": {"p64": {"patch_px": 64, "spacing_um": 1.0}},
        "encoders": {"published": {"timm": {"model": "test_vit"}}, "random": {"timm": {"model": "test_vit"}}},
        "patch_datasets": {"crc": {"source": str(tmp_path / "patches"), "spacing_um": 0.5}},
        "slide_tasks": {"subtype": {"label": "subtype", "tiling": "p64", "folds": 4, "models": {"mean": {}}}},
    }


def check(config, slides):
    check_config(load_config(config, SCHEMA), slides)


def test_a_good_configuration_passes(config, slides):
    check(config, slides)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("slide_tasks.subtype.tiling", "p63", "slide_tasks.subtype.tiling names 'p63', .* did you mean 'p64'"),
        ("slide_tasks.subtype.tiling", "zzz", "slide_tasks.subtype.tiling names 'zzz', .* there are p64"),
        (
            "slide_tasks.subtype.encoders",
            ["publishd"],
            "slide_tasks.subtype.encoders names .* did you mean 'published'",
        ),
        ("slide_tasks.subtype.label", "subtyp", "no column 'subtyp'"),
        ("slide_tasks.subtype.folds", 5, "class 'a' .* 4 patients, fewer than the 5 folds"),
        ("encoders.published", {}, "encoders.published has nothing; give exactly one"),
        ("encoders.published.untrained", "random", "encoders.published has .*timm.*; give exactly one"),
        ("encoders.published", {"untrained": "random"}, "encoders.published.untrained names 'random'"),
        ("patch_datasets.crc.source", "/nowhere/crc.csv", "patch_datasets.crc has the path '/nowhere/crc.csv'"),
        ("tilings.p64.overlap_px", 64, "tilings.p64.overlap_px is 64, which leaves no step"),
        ("tilings.p64.overlap_px", 65, "tilings.p64.overlap_px is 65, which leaves no step"),
        (
            "slide_tasks.subtype.models.mean",
            {"epochs": 20, "early_stopping": {"patience": 2, "min_epochs": 20}},
            "slide_tasks.subtype.models.mean.early_stopping.min_epochs is 20 and `epochs` is 20: nothing would stop",
        ),
        ("encoders.published.timm", {}, "encoders.published.timm has neither a preset nor a model"),
        ("encoders.published.timm.weights", "nowhere.pt", "timm.weights is 'nowhere.pt', where there is no file"),
        ("encoders.published.timm.weights", "hf-hub:UNI", "timm.weights: 'hf-hub:UNI' names nothing on the Hugging"),
        ("encoders.published.timm.model", "hf-hub:UNI", "timm.model: 'hf-hub:UNI' names nothing on the Hugging"),
    ],
)
def test_what_refers_to_nothing_or_cannot_be_is_named(config, slides, place, value, said):
    *folders, last = place.split(".")
    changed = copy.deepcopy(config)
    inner = changed
    for folder in folders:
        inner = inner[folder]
    inner[last] = value
    with pytest.raises(UserError, match=said):
        check(changed, slides)


def test_a_heatmap_of_a_slide_that_is_not_there_is_named(config, slides):
    check({**config, "heatmaps": {"slides": list(slides)}}, slides)
    with pytest.raises(UserError, match=r"heatmaps\.slides names 'nobody', which the slide sheet does not define"):
        check({**config, "heatmaps": {"slides": ["nobody"]}}, slides)


def test_what_is_on_the_hub_is_no_file(config, slides):
    config["encoders"]["published"]["timm"] = {"model": "hf-hub:a/b", "weights": "hf-hub:c/d/w.pt"}
    check(config, slides)


PRETRAIN = {"method": "dino", "tiling": "p64", "model": "test_vit", "steps": 4}


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (["subtyp"], r"exclude_patients_of names 'subtyp', .* did you mean 'subtype'"),
        (["subtype"], r"dino\.pretrain\.exclude_patients_of: no slide is left .* subtype tests on all 8 patients"),
        (["tissue"], r"exclude_patients_of: .*patches: the groups that 'tissue' tests on \(none\) are no patients"),
    ],
)
def test_an_exclusion_that_cannot_be_is_named(config, slides, tmp_path, tasks, said):
    (tmp_path / "patches/tumour").mkdir()
    (tmp_path / "patches/tumour/1.png").touch()
    config["encoders"]["dino"] = {"pretrain": {**PRETRAIN, "exclude_patients_of": tasks}}
    config["patch_tasks"] = {"tissue": {"train": "crc", "test": "crc", "probes": {"knn": {}}}}
    config["patch_tasks"]["tissue"]["encoders"] = config["slide_tasks"]["subtype"]["encoders"] = ["random"]
    with pytest.raises(UserError, match=said):
        check(config, slides)


def test_patients_outside_the_task_may_be_trained_on(config, slides):
    slides["s8"] = SlideRow("s8", "p8", slides["s0"].path, None, "", {**slides["s0"].columns, "subtype": ""})
    config["encoders"]["dino"] = {"pretrain": {**PRETRAIN, "exclude_patients_of": ["subtype"]}}
    check(config, slides)


def test_drawn_patches_exclude_nobody(config, slides):
    loaded = load_config(config, SCHEMA)
    loaded["phantom"] = {"specification": "phantom.csv"}
    loaded["encoders"]["dino"] = {"pretrain": {**PRETRAIN, "epochs": None, "exclude_patients_of": ["tissue"]}}
    drawn = {"source": "results/phantom/patches.csv", "layout": None, "spacing_um": 1.0, "stain": None}
    loaded["patch_datasets"]["drawn"] = drawn
    loaded["patch_tasks"] = {"tissue": {"train": "drawn", "test": "drawn", "encoders": [], "probes": {"knn": {}}}}
    with pytest.raises(UserError, match="names 'tissue', whose patches the workflow draws"):
        check_config(loaded, slides)


def test_a_missing_slide_is_named(config, slides):
    Path(slides["s3"].path).unlink()
    with pytest.raises(UserError, match=r"slides\.csv: slide 's3' has the path .*s3\.svs'"):
        check(config, slides)


def test_only_slides_that_the_workflow_draws_may_be_missing(config, slides):
    config["phantom"] = {
        "specification": "phantom.csv",
        "slides": {"seed": 1, "width_px": 600, "height_px": 600, "spacing_um": 0.5},
        "patches": {},
    }
    loaded = load_config({**config, "phantom": None}, SCHEMA)
    loaded["phantom"] = config["phantom"]
    row = slides["s3"]
    slides["s3"] = SlideRow("s3", "p3", "results/phantom/slides/s3.svs", None, "", row.columns)
    check_config(loaded, slides)
    with pytest.raises(UserError, match="slide 's3'"):
        check(config | {"phantom": None}, slides)
    slides["s4"] = SlideRow("s4", "p4", "elsewhere/s4.svs", None, "", row.columns)
    with pytest.raises(UserError, match="slide 's4'"):
        check_config(loaded, slides)


@pytest.mark.parametrize(
    ("knn", "said"),
    [
        ("tissue:train", None),
        ("tissue", None),
        ("tisue:train", "health.knn names 'tisue', which the config does not define; did you mean 'tissue'"),
        ("tissue:trian", "health.knn is 'tissue:trian': .*has no split 'trian'; did you mean 'train'"),
        ("targets", "health.knn is 'targets': .*has 0 labelled patches"),
        ("coarse", "health.knn has patches of 2 µm/px, but the encoder 'mine' is made for 1"),
        ("later:train", None),  # drawn by the workflow: it is looked at when it is there
    ],
)
def test_the_patches_that_a_run_is_examined_on_are_looked_at(config, slides, tmp_path, knn, said):
    (tmp_path / "tissue.csv").write_text("path,label,split\n1.png,a,train\n2.png,b,train\n")
    (tmp_path / "targets.csv").write_text("path,target\n1.png,0.5\n")
    config["patch_datasets"] |= {
        "tissue": {"source": str(tmp_path / "tissue.csv"), "spacing_um": 1.0},
        "targets": {"source": str(tmp_path / "targets.csv"), "spacing_um": 1.0},
        "coarse": {"source": str(tmp_path / "tissue.csv"), "spacing_um": 2.0},
        "later": {"source": "results/phantom/patches/patches.csv", "spacing_um": 1.0},
    }
    config["phantom"] = {
        "specification": "phantom.csv",
        "slides": {"seed": 1, "width_px": 512, "height_px": 512, "spacing_um": 0.5},
        "patches": {
            **{"seed": 1, "patch_px": 64, "spacing_um": 1.0, "per_class": 1, "test_per_class": 1, "cellularity": 2},
            "test_share": 0.5,
        },
    }
    config["encoders"]["mine"] = {
        "pretrain": {"method": "dino", "tiling": "p64", "model": "test_vit", "steps": 5, "health": {"knn": knn}}
    }
    config["slide_tasks"]["subtype"]["encoders"] = ["published"]
    if said is None:
        check(config, slides)
    else:
        with pytest.raises(UserError, match=f"encoders.mine.pretrain.{said}"):
            check(config, slides)


@pytest.fixture
def imported(config, tmp_path):
    """A config with features that were made elsewhere, of some slides."""
    (tmp_path / "features").mkdir()
    (tmp_path / "features/s1.h5").touch()
    config["encoders"]["uni"] = {"features": {"folder": str(tmp_path / "features")}}
    config["patch_tasks"] = {"tissue": {"train": "crc", "test": "crc", "probes": {"knn": {}}}}
    return config


def test_imported_features_are_compared_on_slides_alone(imported, slides):
    check(imported, slides)
    imported["patch_tasks"]["tissue"]["encoders"] = ["published", "uni"]
    with pytest.raises(UserError, match=r"patch_tasks\.tissue\.encoders names 'uni', but imported features are"):
        check(imported, slides)


def test_a_split_that_a_sheet_has_not_is_named_before_the_run(config, slides, tmp_path):
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("path,label,split\na.png,x,train\nb.png,y,test\n", encoding="utf-8")
    config["patch_datasets"]["own"] = {"source": str(sheet), "spacing_um": 1.0}
    config["patch_tasks"] = {"tissue": {"train": "own:trian", "test": "own:test", "probes": {"knn": {}}}}
    with pytest.raises(UserError, match=r"patch_tasks\.tissue\.train names the split 'trian', .*did you mean 'train'"):
        check(config, slides)
    config["patch_tasks"]["tissue"]["train"] = "own:train"
    check(config, slides)


def test_a_control_of_what_is_not_trained_here_says_what_to_write(config, slides):
    config["encoders"]["control"] = {"untrained": "published"}
    with pytest.raises(
        UserError, match=r"control\.untrained names 'published', which is not trained here; .*weights: false"
    ):
        check(config, slides)


def test_a_patch_task_that_no_encoder_is_left_for_is_named(imported, slides):
    imported["encoders"] = {"uni": imported["encoders"]["uni"]}
    with pytest.raises(UserError, match=r"patch_tasks\.tissue has no encoder, for imported features are of slides"):
        check(imported, slides)


@pytest.mark.parametrize(("folder", "said"), [("/nowhere", "no such folder"), ("patches", "has no feature file")])
def test_a_folder_without_features_is_named(imported, slides, tmp_path, folder, said):
    imported["encoders"]["uni"]["features"]["folder"] = str(tmp_path / folder)
    with pytest.raises(UserError, match=rf"encoders\.uni\.features\.folder: .*{folder}: {said}"):
        check(imported, slides)


@pytest.mark.parametrize("place", ["tilings.p64", "patch_datasets.crc"])
def test_a_stain_reference_that_is_missing_or_blank_is_named(config, slides, tmp_path, place):
    kind, name = place.split(".")
    reference = tmp_path / "reference.png"
    config[kind][name]["stain"] = {"method": "macenko", "reference": str(reference)}
    with pytest.raises(UserError, match=rf"config: {place}\.stain\.reference: .*reference\.png: missing"):
        check(config, slides)
    cv2.imwrite(str(reference), np.full((64, 64, 3), 240, np.uint8))
    with pytest.raises(UserError, match=rf"config: {place}\.stain\.reference: .*reference\.png: blank"):
        check(config, slides)


@pytest.fixture
def sited(slides):
    """Four sites of two patients; the first has class a alone."""
    for i, row in enumerate(slides.values()):
        row.columns["centre"] = f"c{i // 2}"
    slides["s1"].columns["subtype"] = "a"
    return slides


def test_sites_may_leave_a_fold_without_a_class(config, sited):
    config["slide_tasks"]["subtype"] |= {"site": "centre", "repeats": 3}
    check(config, sited)


@pytest.mark.parametrize(
    ("site", "changed", "said"),
    [
        ("center", {}, r"config: slide_tasks\.subtype\.site: slides\.csv: there is no column 'center'"),
        ("centre", {"s1": ""}, "slide 's1' has no site; fill the column 'centre'"),
        ("centre", {"s1": "c1", "s0": "c1"}, r"site: there are fewer sites \(3\) than folds \(4\); set `folds` to 3"),
        ("centre", {"s3": "b", "s5": "b", "s7": "b"}, "class 'b' has its 3 patients at the site 'b' alone"),
    ],
)
def test_sites_that_cannot_be_dealt_are_named(config, sited, site, changed, said):
    config["slide_tasks"]["subtype"] |= {"site": site}
    for slide, name in changed.items():
        sited[slide].columns["centre"] = name
    with pytest.raises(UserError, match=said):
        check(config, sited)


@pytest.fixture
def split_files(config, tmp_path):
    """Split files of two folds, in the second of which nobody is shared."""
    folder = tmp_path / "clam"
    folder.mkdir()
    (folder / "splits_0.csv").write_text(",train,val,test\n0,s2,s4,s0\n1,s3,s5,s1\n")
    (folder / "splits_1.csv").write_text(",train,val,test\n0,s0,s4,s2\n1,s1,s5,s3\n2,s6,,\n")
    config["slide_tasks"]["subtype"] |= {"folds": 10, "split_files": {"folder": str(folder)}}
    return folder


def test_split_files_need_no_patient_for_each_fold(config, slides, split_files):
    check(config, slides)


def test_split_files_that_cannot_be_used_are_named_at_the_start(config, slides, split_files):
    settings = config["slide_tasks"]["subtype"]
    for key, value in (("site", "centre"), ("repeats", 2)):
        with pytest.raises(
            UserError, match=rf"slide_tasks\.subtype has split_files, .*, and {key}, which is for folds"
        ):
            check({**config, "slide_tasks": {"subtype": {**settings, key: value}}}, slides)
    slides["s7"] = SlideRow("s7", "p0", slides["s7"].path, None, "", {**slides["s7"].columns, "patient": "p0"})
    (split_files / "splits_0.csv").write_text(",train,val,test\n0,s2,s7,s0\n1,s3,,s1\n")
    with pytest.raises(
        UserError, match=r"config: slide_tasks\.subtype\.split_files: .*splits_0\.csv: 1 patient is in "
    ):
        check(config, slides)
    for policy in ("drop", "allow"):
        settings["split_files"]["on_shared_patients"] = policy
        check(config, slides)
    settings["split_files"]["folder"] = str(split_files / "nowhere")
    with pytest.raises(UserError, match=r"subtype\.split_files: .*nowhere: no such folder of split files"):
        check(config, slides)


def test_checking_splits_imports_no_large_library():
    code = "import sys, histossl.splits.imported; print({'numpy', 'pandas', 'sklearn'} & {*sys.modules})"
    folder = SCHEMA.parents[2] / "workflow/scripts"
    found = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


@pytest.fixture
def compared(config):
    """A config whose tables are put beside the study's."""
    crc = {"train": "crc", "probes": {"knn": {}, "linear": {}}}
    study = {
        "published": "chen_krishnan_2022",
        "methods": {"imagenet": "published", "dino": "random"},
        "tables": {
            "slide": {"task": "subtype", "model": "mean"},
            "crc100k_raw": {"task": "tissue", "probe": "knn"},
        },
    }
    return {**config, "patch_tasks": {"tissue": crc}, "study": study}


def compare(config):
    check_study(load_config(config, SCHEMA), SCHEMA.parents[1] / "published")


def test_a_study_of_known_names_passes_and_so_does_none(config, compared):
    compare(compared)
    compare(config)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("published", "chen_2022", "chen_2022.yaml: there is no such published study; there are chen_krishnan_2022"),
        (
            "methods.dimo",
            "random",
            "study.methods names 'dimo', which the study .* does not define; did you mean 'dino'",
        ),
        ("methods.dino", "randm", "study.methods.dino names 'randm', .* did you mean 'random'"),
        ("tables.slides", {"task": "subtype"}, "study.tables names 'slides', .* did you mean 'slide'"),
        ("tables.slide.task", "subtypes", "study.tables.slide.task names 'subtypes', .* did you mean 'subtype'"),
        ("tables.slide.model", "clam_sb", "study.tables.slide.model names 'clam_sb', .* there are mean"),
        (
            "tables.slide",
            {"task": "subtype", "probe": "knn"},
            "has task, probe; give task, one of slide_tasks, and model",
        ),
        ("tables.crc100k_raw", {"task": "tissue"}, "crc100k_raw has task; give task, one of patch_tasks, and probe"),
        (
            "tables.crc100k_raw.probe",
            "linear",
            "probe is 'linear', .* of the kind regression; .* of the kind classific",
        ),
    ],
)
def test_what_a_study_names_and_nobody_defines_is_said(compared, place, value, said):
    *above, key = place.split(".")
    node = compared["study"]
    for name in above:
        node = node[name]
    node[key] = value
    with pytest.raises(UserError, match=said):
        compare(compared)
