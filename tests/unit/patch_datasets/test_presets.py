"""The presets of published data sets, through the configuration."""

from pathlib import Path

import pytest
import yaml

from histossl.config import plan
from histossl.config.check import check_config
from histossl.config.load import load_config
from histossl.config.presets import read_presets
from histossl.config.sheets import SlideRow
from histossl.config.training_slides import choose_slides
from histossl.errors import UserError
from histossl.patch_datasets.listing import LAYOUTS, read_patch_dataset

CONFIG = Path(__file__).parents[3] / "config"
PRESETS = read_presets(CONFIG / "presets/patch_datasets.yaml")

SLIDES = {"a": SlideRow("a", "p", __file__, None, "", {})}


def load(values):
    return load_config(values, CONFIG / "schemas/config.schema.yaml", CONFIG / "presets")


def with_dataset(knn=None, **dataset):
    """A configuration with one patch data set, which an encoder of its scale is examined on by `knn`."""
    spacing_um = PRESETS.get(dataset.get("preset"), {"config": {"spacing_um": 1.0}})["config"]["spacing_um"]
    training = {"method": "dino", "tiling": "p64", "model": "test_vit", "steps": 5, "health": {"knn": knn}}
    return load(
        {
            "slides": {"sheet": "slides.csv"},
            "tilings": {"p64": {"patch_px": 64, "spacing_um": spacing_um}},
            "encoders": {"mine": {"pretrain": training}},
            "patch_datasets": {"it": dataset},
        }
    )


def test_each_layout_has_a_preset_and_the_schema_allows_each():
    layouts = {preset["config"].get("layout") for preset in PRESETS.values()}
    assert layouts == {None, *LAYOUTS}
    for layout in LAYOUTS:
        assert with_dataset(source="x", layout=layout)["patch_datasets"]["it"]["layout"] == layout


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fills_in_layout_and_scale(name):
    filled = with_dataset(preset=name, source="x")["patch_datasets"]["it"]
    assert filled.items() >= {"layout": None, **PRESETS[name]["config"], "preset": name, "source": "x"}.items()
    assert with_dataset(preset=name, source="x", spacing_um=3.0)["patch_datasets"]["it"]["spacing_um"] == 3.0


@pytest.mark.parametrize("name", PRESETS)
def test_checksums_are_whole(name):
    for checksums in PRESETS[name]["about"].get("archives", {}).values():
        assert set(checksums) == {"md5"}
        assert len(bytes.fromhex(checksums["md5"])) == 16


@pytest.mark.parametrize("name", ["pcam", "mhist", "breastpathq", "bcss", "bcss_40x"])
def test_a_folder_as_it_is_downloaded_passes_the_check(request, name):
    source = request.getfixturevalue(name.removesuffix("_40x"))[0]
    config = with_dataset(preset=name, source=str(source))
    check_config(config, SLIDES)
    patches = read_patch_dataset(source, config["patch_datasets"]["it"]["layout"])
    about = PRESETS[name]["about"]
    assert {patch.split for patch in patches} == set(about["patches"])
    assert {patch.label for patch in patches} <= {*about.get("classes", [""])}


@pytest.mark.parametrize("name", ["pcam", "mhist", "breastpathq", "bcss", "bcss_40x"])
def test_another_folder_does_not(tmp_path, name):
    with pytest.raises(UserError, match=r"config: patch_datasets\.it: .* is expected here with .* but lacks"):
        check_config(with_dataset(preset=name, source=str(tmp_path)), SLIDES)


@pytest.mark.parametrize(
    ("name", "split", "said"),
    [
        ("pcam", "valid", None),
        ("mhist", "train", None),
        ("pcam", "val", "has no split 'val'; did you mean 'valid'"),
        ("mhist", "test", "its split 'test' has 1 labelled patches of 1 class"),
        ("breastpathq", "train", "its split 'train' has 0 labelled patches"),
        ("bcss", "train", None),  # its labels are not looked at before the run: that would read all masks
    ],
)
def test_a_training_is_examined_on_a_split_that_has_classes(request, name, split, said):
    config = with_dataset(preset=name, source=str(request.getfixturevalue(name)[0]), knn=f"it:{split}")
    if said is None:
        check_config(config, SLIDES)
    else:
        with pytest.raises(UserError, match=f"health.knn is 'it:{split}': .*{said}"):
            check_config(config, SLIDES)


def test_patients_of_bcss_that_are_tested_on_are_left_out_of_training(bcss):
    slides = {}
    for patient in ("TCGA-A1-A0SK", "TCGA-OL-A5D6", "TCGA-A2-A0YE"):
        slides[patient] = SlideRow(f"{patient}-01Z", patient, str(bcss[0]), None, "", {})
    config = with_dataset(preset="bcss", source=str(bcss[0]))
    config["patch_tasks"] = {"tissue": {"train": "it:train", "test": "it:test", "encoders": []}}
    config["encoders"]["mine"]["pretrain"]["exclude_patients_of"] = ["tissue"]
    assert choose_slides(slides, plan.tested_tasks(config, "mine")) == ["TCGA-A1-A0SK", "TCGA-A2-A0YE"]


def test_the_study_is_configured_with_presets():
    values = yaml.safe_load((CONFIG / "tcga_brca.yaml").read_text(encoding="utf-8"))
    datasets = load(values)["patch_datasets"]
    assert {name: dataset["spacing_um"] for name, dataset in datasets.items()} == dict.fromkeys(datasets, 0.5)
    assert datasets["breastpathq"]["layout"] == "breastpathq"
