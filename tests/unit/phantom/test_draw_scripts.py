import json

import cv2
import numpy as np
import openslide
import pandas as pd
import pytest

import draw_patches
import draw_slide

SLIDE = {"seed": 7, "width_px": 1024, "height_px": 768, "spacing_um": 0.5}
PATCHES = {
    "seed": 7,
    "patch_px": 48,
    "spacing_um": 1.0,
    "per_class": 2,
    "test_per_class": 1,
    "cellularity": 6,
    "test_share": 0.4,
}


def draw_one_slide(folder, slide):
    specification = folder / "phantom.csv"
    specification.write_text(
        "slide,subtype,site,stain_strength,pen,spacing_stated\na,lobular,hill,1,blue,yes\nb,none,hill,1,none,no\n"
    )
    files = folder / f"{slide}.svs", folder / f"{slide}.npz"
    draw_slide.main(
        [
            "--specification",
            str(specification),
            "--slide",
            slide,
            "--settings",
            json.dumps(SLIDE),
            "--slide-file",
            str(files[0]),
            "--truth",
            str(files[1]),
        ]
    )
    return files


def draw_patch_set(folder):
    sheet = folder / "patches.csv"
    images = folder / "images"
    draw_patches.main([f"--settings={json.dumps(PATCHES)}", f"--sheet={sheet}", f"--images={images}"])
    return sheet


@pytest.mark.parametrize("slide", ["a", "b"])
def test_the_same_seed_gives_the_same_bytes(tmp_path, slide):
    first = [path.read_bytes() for path in draw_one_slide(tmp_path, slide)]
    assert [path.read_bytes() for path in draw_one_slide(tmp_path, slide)] == first


def test_the_truth_says_what_its_numbers_mean(tmp_path):
    slide_file, truth_file = draw_one_slide(tmp_path, "a")
    with np.load(truth_file) as truth, openslide.OpenSlide(slide_file) as slide:
        width, height = slide.dimensions
        downsample = int(truth["downsample"])
        assert truth["regions"].shape == (height // downsample, width // downsample)
        assert list(truth["classes"])[truth["regions"].max()] in truth["classes"]
        np.testing.assert_array_equal(truth["tissue"], truth["regions"] > 0)
        assert truth["pen"].any()
        assert float(truth["spacing_um"]) == float(slide.properties["openslide.mpp-x"])
        assert (truth["tumour_cells"] < [width, height]).all()


def test_the_patch_sheet_names_every_image_beside_it(tmp_path):
    sheet = draw_patch_set(tmp_path)
    table = pd.read_csv(sheet, keep_default_na=False)
    assert list(table.columns) == ["path", "label", "split", "group", "target"]
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")} == set(table["path"])
    assert all(cv2.imread(str(tmp_path / path)).shape == (48, 48, 3) for path in table["path"])
    assert table["target"].astype(float).between(0, 1).all()


def test_the_splits_of_the_patch_sheet_share_no_patient_but_for_the_two_stain_arms(tmp_path):
    table = pd.read_csv(draw_patch_set(tmp_path), keep_default_na=False)
    groups = {split: set(rows["group"]) for split, rows in table.groupby("split")}
    assert set(groups) == {"normalised", "raw", "test", "cellularity_train", "cellularity_test"}
    assert groups["normalised"] == groups["raw"]
    assert not groups["raw"] & groups["test"]
    assert not groups["cellularity_train"] & groups["cellularity_test"]


def test_drawing_again_replaces_images_and_leaves_nothing_else(tmp_path):
    draw_patch_set(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "images" / "stale.png").write_bytes(b"")
    (tmp_path / ".images.part").mkdir()
    draw_patch_set(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"images", "patches.csv"}
