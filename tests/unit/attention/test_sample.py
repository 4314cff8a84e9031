import csv

import cv2
import numpy as np
import pytest

from histossl.attention.sample import sample_dataset, sample_slides
from histossl.errors import UserError
from histossl.features.geometry import Geometry
from histossl.slides.metadata import inspect_slide
from histossl.tiles.coords_file import Tiling, write_coords
from tests.unit.conftest import write_slide

PX = 16
GEOMETRY = Geometry(PX, PX)
COUNTS = (6, 2, 0)


@pytest.fixture
def cohort(tmp_path):
    """Slides with 6, 2 and no patches, whose colours say which slide (red) and column (green) they are of."""
    files, coords = [], []
    for number, count in enumerate(COUNTS):
        picture = np.full((64, 128, 3), 40 * number, np.uint8)
        picture[..., 1] = np.repeat(np.arange(8) * 20, PX)
        files.append(write_slide(tmp_path / f"S{number}.svs", picture, downsamples=(1,)))
        places = np.stack([np.arange(count) * PX, np.zeros(count, int)], axis=1)
        coords.append(tmp_path / f"S{number}.h5")
        metadata = inspect_slide(f"S{number}", files[-1], None, None)
        write_coords(coords[-1], places, np.ones(count), Tiling(PX, 0.5, 0, 0.5), metadata, "" if count else "none")
    return files, coords


def test_patches_of_slides_come_in_turn_and_by_the_seed(cohort):
    names, pictures = sample_slides(*cohort, 6, 1, GEOMETRY)
    assert [name[:2] for name in names] == ["S0", "S1", "S0", "S1"]  # two of each slide are as many as make 6
    for name, picture in zip(names, pictures, strict=True):
        slide, column = int(name[1]), int(name.split("(")[1].split(",")[0]) // PX
        assert picture.shape == (PX, PX, 3)
        assert picture[0, 0, 0] == 40 * slide
        assert picture[0, 0, 1] == 20 * column
    assert len(set(names)) == 4
    assert sample_slides(*cohort, 6, 1, GEOMETRY)[0] == names
    assert any(sample_slides(*cohort, 6, seed, GEOMETRY)[0] != names for seed in range(2, 6))
    assert len(sample_slides(*cohort, 100, 1, GEOMETRY)[0]) == sum(COUNTS)
    assert len(sample_slides(*cohort, 1, 1, GEOMETRY)[0]) == 1
    assert sample_slides([], [], 6, 1, GEOMETRY) == ([], [])


def test_a_slide_that_cannot_be_read_is_passed_over(cohort, capsys):
    cohort[0][0].write_bytes(b"no slide")
    names, _ = sample_slides(*cohort, 6, 1, GEOMETRY)
    assert [name[:2] for name in names] == ["S1", "S1"]
    assert "S0.svs" in capsys.readouterr().err


def test_the_stain_is_normalised_before_a_patch_is_resized(cohort):
    names, pictures = sample_slides(*cohort, 6, 1, Geometry(PX, PX // 2), lambda patches: 255 - patches)
    assert pictures[0].shape == (PX // 2, PX // 2, 3)
    assert pictures[0][0, 0, 0] == 255 - 40 * int(names[0][1])


@pytest.fixture
def sheet(tmp_path):
    path = tmp_path / "patches.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split"))
        for number in range(30):
            cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((20, 20, 3), number, np.uint8))
            writer.writerow((f"{number}.png", "a", "test" if number % 2 else "train"))
    return path


def test_patches_of_a_data_set_are_drawn_by_the_seed(sheet):
    names, pictures = sample_dataset(sheet, "", "test", 4, 10, 1, GEOMETRY)
    assert len(set(names)) == 10
    assert all(int(name.removesuffix(".png")) % 2 for name in names)
    assert [f"{picture[0, 0, 0]}.png" for picture in pictures] == names
    assert names != sorted(names, key=lambda name: int(name[:-4]))
    assert sample_dataset(sheet, "", "test", 4, 10, 1, GEOMETRY)[0] == names
    assert sample_dataset(sheet, "", "test", 4, 10, 2, GEOMETRY)[0] != names


def test_a_data_set_that_somebody_chose_keeps_its_order(sheet):
    assert sample_dataset(sheet, "", "", 30, 8, 1, GEOMETRY)[0] == [f"{number}.png" for number in range(30)]


def test_a_split_or_picture_that_is_not_there_is_named(sheet):
    with pytest.raises(UserError, match="no split 'tets'; did you mean 'test'"):
        sample_dataset(sheet, "", "tets", 4, 10, 1, GEOMETRY)
    (sheet.parent / "3.png").unlink()
    with pytest.raises(UserError, match=r"3\.png"):
        sample_dataset(sheet, "", "test", 15, 15, 1, GEOMETRY)
