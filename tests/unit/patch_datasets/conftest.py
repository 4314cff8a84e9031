"""Small copies of the published layouts, with their names and columns."""

import cv2
import h5py
import numpy as np
import pytest

PCAM = "camelyonpatch_level_2_split_"


@pytest.fixture
def noise():
    """Random pictures, (h, w, 3) uint8 RGB."""
    rng = np.random.default_rng(0)
    return lambda height, width: rng.integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def save():
    def save(path, picture):
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), picture[:, :, ::-1] if picture.ndim == 3 else picture)
        return picture

    return save


@pytest.fixture
def pcam(tmp_path, noise):
    """Six training, three validation and three test patches; returns the folder and the arrays."""
    source = tmp_path / "pcam"
    source.mkdir()
    pictures = {}
    for split, count in (("train", 6), ("valid", 3), ("test", 3)):
        pictures[split] = noise(96 * count, 96).reshape(count, 96, 96, 3)
        with h5py.File(source / f"{PCAM}{split}_x.h5", "w") as file:
            file["x"] = pictures[split]
        with h5py.File(source / f"{PCAM}{split}_y.h5", "w") as file:
            file["y"] = (np.arange(count) % 2).astype(np.uint8).reshape(-1, 1, 1, 1)
        lines = [f"{i},100.0,200.0,True,False,camelyon16_{split}_tumor_{i // 2:03d}\n" for i in range(count)]
        header = ",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi\n"
        (source / f"{PCAM}{split}_meta.csv").write_text(header + "".join(lines))
    return source, pictures


@pytest.fixture
def mhist(tmp_path, noise, save):
    source = tmp_path / "mhist"
    rows = [
        ("MHIST_aaa.png", "SSA", 6, "train"),
        ("MHIST_aab.png", "HP", 0, "train"),
        ("MHIST_aac.png", "HP", 2, "test"),
    ]
    pictures = {row[0]: save(source / "images" / row[0], noise(224, 224)) for row in rows}
    header = "Image Name,Majority Vote Label,Number of Annotators who Selected SSA (Out of 7),Partition\n"
    (source / "annotations.csv").write_text(header + "".join(f"{','.join(map(str, row))}\n" for row in rows))
    return source, pictures


@pytest.fixture
def breastpathq(tmp_path, noise, save):
    source = tmp_path / "BreastPathQ"
    folder = source / "breastpathq/datasets"
    names = ("train/1_1.tif", "train/1_2.tif", "train/7_1.tif", "validation/99_3.tif")
    pictures = {name: save(folder / name, noise(64, 64)) for name in names}
    (folder / "train_labels.csv").write_text("slide,rid,y\n1,1,0.1\n1,2,0.85\n7,1,0\n")
    (folder / "val_labels.csv").write_text("slide,rid,y\n99,3,0.5\n")
    return source, pictures


@pytest.fixture
def bcss(tmp_path, noise, save):
    """A training and a test region, and the mask of the first: 500 px wide, 900 px high."""
    source = tmp_path / "bcss"
    names = ("TCGA-A1-A0SK-DX1_xmin45749_ymin25055_MPP-0.2500", "TCGA-OL-A5D6-DX1_xmin1_ymin2_MPP-0.2500")
    pictures = {}
    mask = np.zeros((900, 500), np.uint8)
    mask[:448, :448] = 1  # tumor
    mask[:448, :220] = 20  # dcis: tumour too
    mask[448:896, :230] = 3  # lymphocytic_infiltrate in more than half of the window below
    mask[448:896, 230:] = 9  # fat
    for name in names:
        pictures[name] = save(source / f"rgbs_colorNormalized/{name}.png", noise(900, 500))
        save(source / f"masks/{name}.png", mask)
    return source, pictures, mask
