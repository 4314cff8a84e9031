"""Published data sets as they are downloaded: what is listed, and the pixels that are read."""

import numpy as np
import pytest

from histossl.errors import UserError
from histossl.patch_datasets.bcss import label_windows
from histossl.patch_datasets.listing import LAYOUTS, fingerprint_pictures, read_groups, read_patch_dataset
from histossl.patch_datasets.pictures import read_patch


def columns(patches):
    return [(patch.name, patch.label, patch.split, patch.group) for patch in patches]


def test_pcam_has_its_splits_labels_and_slides(pcam):
    source, pictures = pcam
    patches = read_patch_dataset(source, "pcam")
    assert columns(patches)[:3] == [
        ("train/0", "normal", "train", "camelyon16_train_tumor_000"),
        ("train/1", "tumour", "train", "camelyon16_train_tumor_000"),
        ("train/2", "normal", "train", "camelyon16_train_tumor_001"),
    ]
    assert [patch.split for patch in patches] == ["train"] * 6 + ["valid"] * 3 + ["test"] * 3
    expected = np.concatenate([pictures["train"], pictures["valid"], pictures["test"]])
    np.testing.assert_array_equal(np.stack([read_patch(patch) for patch in patches]), expected)


def test_a_split_of_pcam_may_be_left_out_and_its_slides_too(pcam):
    source, _ = pcam
    for path in source.glob("*_train_*"):
        path.unlink()
    for path in source.glob("*_meta.csv"):
        path.unlink()
    assert columns(read_patch_dataset(source, "pcam"))[0] == ("valid/0", "normal", "valid", "")
    assert read_groups(source, "pcam") == set()


def test_mhist_is_read_by_its_annotations(mhist):
    source, pictures = mhist
    patches = read_patch_dataset(source, "mhist")
    assert columns(patches) == [
        ("MHIST_aaa.png", "SSA", "train", ""),
        ("MHIST_aab.png", "HP", "train", ""),
        ("MHIST_aac.png", "HP", "test", ""),
    ]
    for patch in patches:
        np.testing.assert_array_equal(read_patch(patch), pictures[patch.name])


@pytest.mark.parametrize("nested", ["", "breastpathq", "breastpathq/datasets"])
@pytest.mark.parametrize("later", [False, True])
def test_breastpathq_has_cellularity_as_target_and_the_slide_as_group(breastpathq, nested, later):
    source, pictures = breastpathq
    if later:
        (source / "breastpathq-test").mkdir()
        labels = source / "breastpathq/datasets/val_labels.csv"
        labels.rename(source / "breastpathq-test/val_labels.csv")
    patches = read_patch_dataset(source / nested, "breastpathq")
    assert columns(patches) == [
        ("train/1_1.tif", "", "train", "slide 1"),
        ("train/1_2.tif", "", "train", "slide 1"),
        ("train/7_1.tif", "", "train", "slide 7"),
        ("validation/99_3.tif", "", "validation", "slide 99"),
    ]
    assert [patch.target for patch in patches] == [0.1, 0.85, 0.0, 0.5]
    for patch in patches:
        np.testing.assert_array_equal(read_patch(patch), pictures[patch.name])


def test_bcss_is_cut_into_windows_with_the_patient_as_group(bcss):
    source, pictures, _ = bcss
    patches = read_patch_dataset(source, "bcss")
    stem = "TCGA-A1-A0SK-DX1_xmin45749_ymin25055_MPP-0.2500"
    assert columns(patches[:2]) == [
        (f"{stem}_x0_y0", "tumour", "train", "TCGA-A1-A0SK"),
        (f"{stem}_x0_y448", "inflammatory", "train", "TCGA-A1-A0SK"),
    ]
    assert columns(patches[2:])[0][2:] == ("test", "TCGA-OL-A5D6")
    assert len(patches) == len({patch.name for patch in patches}) == 4
    for patch in patches:
        x, y, _, _ = patch.box
        window = pictures[patch.path.stem][y : y + 448, x : x + 448].astype(float)
        means = window.reshape(224, 2, 224, 2, 3).mean(axis=(1, 3))
        assert np.abs(read_patch(patch) - means).max() <= 0.5


def test_bcss_at_40x_is_cut_without_shrinking(bcss):
    source, pictures, mask = bcss
    patches = read_patch_dataset(source, "bcss_40x")
    assert {patch.label for patch in patches} == {"tumour", "inflammatory"}
    for patch in patches:
        x, y, width, height = patch.box
        assert (width, height) == (224, 224)
        np.testing.assert_array_equal(read_patch(patch), pictures[patch.path.stem][y : y + 224, x : x + 224])
        codes = {"tumour": (1, 20), "inflammatory": (3,)}[patch.label]
        assert np.isin(mask[y : y + 224, x : x + 224], codes).mean() > 0.5


def test_pictures_of_bcss_may_lie_in_images_below_the_folder_of_the_release(bcss, tmp_path):
    source, _, _ = bcss
    (source / "rgbs_colorNormalized").rename(source / "images")
    nested = tmp_path / "all/0_Public-data-Amgad2019_0.25MPP"
    nested.parent.mkdir()
    source.rename(nested)
    assert len(read_patch_dataset(nested.parent, "bcss")) == 4


@pytest.mark.parametrize(
    ("codes", "label"),
    [
        ([1, 1, 1, 2], "tumour"),
        ([1, 19, 20, 2], "tumour"),
        ([2, 2, 2, 0], "stroma"),
        ([10, 11, 3, 9], "inflammatory"),
        ([4, 4, 4, 4], "necrosis"),
        ([1, 1, 2, 2], None),  # half is not more than half
        ([0, 0, 0, 1], None),
        ([9, 9, 9, 9], None),
    ],
)
def test_a_window_has_the_class_of_more_than_half_of_it(codes, label):
    mask = np.array(codes, np.uint8).reshape(2, 2)
    padded = np.pad(mask, ((0, 1), (2, 1)))  # the second window; what is left over at the edges is none
    assert list(label_windows(padded, 2)) == ([((0, 1), label)] if label else [])


def test_groups_of_bcss_are_told_without_its_masks(bcss):
    source, _, _ = bcss
    for mask in (source / "masks").iterdir():
        mask.write_bytes(b"")
    assert read_groups(source, "bcss", "test") == {"TCGA-OL-A5D6"}
    assert read_groups(source, "bcss") == {"TCGA-A1-A0SK", "TCGA-OL-A5D6"}
    with pytest.raises(UserError, match="not a readable mask"):
        read_patch_dataset(source, "bcss")


def remove(source, name):
    (source / name).unlink()


def pack(source, name):
    (source / name).rename(source / f"{name}.gz")


STEM = "camelyonpatch_level_2_split_train"


@pytest.mark.parametrize(
    ("layout", "damage", "said"),
    [
        ("pcam", lambda s: remove(s, f"{STEM}_y.h5"), f"PCam is expected here .* lacks {STEM}_y.h5"),
        ("pcam", lambda s: pack(s, f"{STEM}_x.h5"), f"lacks {STEM}_x.h5; unpack {STEM}_x.h5.gz there"),
        ("pcam", lambda s: (s / f"{STEM}_y.h5").write_bytes(b"x"), f"{STEM}_y.h5: damaged or not PCam's"),
        ("pcam", lambda s: (s / f"{STEM}_meta.csv").write_text("wsi\na\n"), "has 1 lines for 6 patches"),
        (
            "pcam",
            lambda s: (s / f"{STEM}_y.h5").write_bytes((s / f"{STEM}_x.h5").read_bytes()),
            "damaged or not PCam's",
        ),
        ("mhist", lambda s: remove(s, "annotations.csv"), "MHIST is expected here .* lacks annotations.csv"),
        ("mhist", lambda s: (s / "annotations.csv").write_text("Image Name\na\n"), "needs the column Image Name, Maj"),
        ("mhist", lambda s: (s / "images").rename(s / "images.zip"), "lacks images; unpack images.zip there"),
        ("bcss", lambda s: (s / "masks").rename(s / "mask"), "BCSS is expected here .* lacks masks"),
        ("bcss", lambda s: next((s / "masks").iterdir()).unlink(), "masks: lacks TCGA-"),
        ("bcss", lambda s: next((s / "rgbs_colorNormalized").iterdir()).unlink(), "rgbs_colorNormalized: lacks TCGA-"),
        (
            "bcss",
            lambda s: [p.rename(p.with_name(p.name.replace("0.2500", "0.2300"))) for p in s.glob("*/*.png")],
            "not named as a region of BCSS at 0.25 µm/px",
        ),
        ("bcss", lambda s: [p.unlink() for p in s.glob("*/*.png")], "holds no region"),
        ("breastpathq", lambda s: remove(s, "breastpathq/datasets/val_labels.csv"), "lacks val_labels.csv"),
        (
            "breastpathq",
            lambda s: (s / "breastpathq/datasets/train_labels.csv").write_text("slide,rid,y\n1,1,much\n"),
            "line 2 has the target 'much'",
        ),
    ],
)
def test_what_is_missing_or_does_not_fit_is_a_sentence(request, layout, damage, said):
    source = request.getfixturevalue(layout)[0]
    damage(source)
    with pytest.raises(UserError, match=said):
        read_patch_dataset(source, layout)


@pytest.mark.parametrize("layout", ["pcam", "mhist", "bcss"])
def test_the_folder_that_holds_it_is_named_where_the_one_above_is_given(request, layout):
    source = request.getfixturevalue(layout)[0]
    with pytest.raises(UserError, match=f"lies in {source}; name that folder"):
        read_patch_dataset(source.parent, layout)


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_an_archive_is_to_be_unpacked(tmp_path, layout):
    (tmp_path / "all.zip").touch()
    with pytest.raises(UserError, match=r"all\.zip: .* but this is no folder; unpack it and name the folder"):
        read_patch_dataset(tmp_path / "all.zip", layout)


@pytest.mark.parametrize(
    ("layout", "change"),
    [
        ("pcam", "camelyonpatch_level_2_split_test_x.h5"),
        ("mhist", "images/MHIST_aab.png"),
        ("breastpathq", "breastpathq/datasets/train/1_2.tif"),
        ("bcss", "masks/TCGA-OL-A5D6-DX1_xmin1_ymin2_MPP-0.2500.png"),
        ("bcss_40x", "rgbs_colorNormalized/TCGA-OL-A5D6-DX1_xmin1_ymin2_MPP-0.2500.png"),
    ],
)
def test_the_fingerprint_follows_the_sizes_of_the_files_and_the_layout(request, layout, change):
    source = request.getfixturevalue(layout.removesuffix("_40x"))[0]
    before = fingerprint_pictures(source, layout)
    fingerprint_pictures.cache_clear()
    assert fingerprint_pictures(source, layout) == before
    if layout.startswith("bcss"):
        assert fingerprint_pictures(source, "bcss") != fingerprint_pictures(source, "bcss_40x")
    with (source / change).open("ab") as file:
        file.write(b"x")
    fingerprint_pictures.cache_clear()
    assert fingerprint_pictures(source, layout) != before
    (source / change).unlink()
    fingerprint_pictures.cache_clear()
    with pytest.raises(UserError):
        fingerprint_pictures(source, layout)


def test_the_fingerprint_follows_what_a_layouts_sheet_says(mhist):
    source, _ = mhist
    before = fingerprint_pictures(source, "mhist")
    sheet = source / "annotations.csv"
    sheet.write_text(sheet.read_text().replace("aab.png,HP", "aab.png,SS"))
    fingerprint_pictures.cache_clear()
    assert fingerprint_pictures(source, "mhist") != before
