import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from histossl.phantom.painting import paint
from histossl.phantom.section import CODE
from histossl.phantom.stain import REFERENCE, colour

SEEDS = range(4)


def draw(arrangement, seed):
    regions = np.full((200, 240), CODE["tumour"], np.uint8)
    regions[:30], regions[:, :30] = CODE["background"], CODE["stroma"]
    return paint(regions, 0.5, arrangement, 2300, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def pairs():
    return [(draw("ductal", seed), draw("lobular", seed)) for seed in SEEDS]


def test_both_arrangements_have_equally_many_cells_inside_the_tumour(pairs):
    expected = 2300 * (170 * 210) * 0.002**2
    for pair in pairs:
        for section in pair:
            cells = section.tumour_cells_um
            np.testing.assert_allclose(len(cells), expected, rtol=0.02)
            inside = section.value_at(section.regions, cells) == CODE["tumour"]
            assert inside.mean() > 0.97


def test_both_arrangements_cover_the_same_area_in_the_same_colours(pairs):
    covered = np.array([[(section.tumour > 0).mean() for section in pair] for pair in pairs])
    assert covered[:, 1].mean() == pytest.approx(covered[:, 0].mean(), rel=0.06)
    images = [[colour(section.haematoxylin, section.eosin, REFERENCE) for section in pair] for pair in pairs]
    mean = np.array([[image.mean(axis=(0, 1)) for image in pair] for pair in images])
    spread = np.array([[image.std(axis=(0, 1)) for image in pair] for pair in images])
    assert np.abs(mean[:, 0] - mean[:, 1]).mean(axis=0).max() < 1.0
    assert np.abs(spread[:, 0] - spread[:, 1]).mean(axis=0).max() < 1.5


def test_nothing_but_the_tumour_differs_between_the_arrangements(pairs):
    for nests, files in pairs:
        # A stamp's smooth rim reaches a pixel beyond what counts as covered.
        no_tumour = ~ndimage.binary_dilation((nests.tumour > 0) | (files.tumour > 0), iterations=2)
        assert no_tumour.mean() > 0.4
        np.testing.assert_array_equal(nests.eosin[no_tumour], files.eosin[no_tumour])


def test_cells_of_nests_have_more_neighbours_and_those_of_files_lie_in_lines(pairs):
    for nests, files in pairs:
        neighbours, elongation = [], []
        for section in (nests, files):
            tree = cKDTree(section.tumour_cells_um)
            groups = tree.query_ball_point(section.tumour_cells_um, 25.0)
            neighbours.append(np.mean([len(group) - 1 for group in groups]))
            spreads = [
                np.linalg.eigvalsh(np.cov(section.tumour_cells_um[group].T)) for group in groups if len(group) > 3
            ]
            elongation.append(np.median([1 - low / high for low, high in spreads]))
        assert neighbours[0] > 1.8 * neighbours[1]
        assert elongation[1] > elongation[0] + 0.12
