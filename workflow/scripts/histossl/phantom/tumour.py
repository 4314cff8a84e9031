"""Where tumour cells lie in a tumour region: in cohesive nests, or in single files between the fibres.

Both arrangements place the same number of cells of the same looks, so that nothing but their arrangement tells them
apart, as between ductal and lobular carcinoma of the breast.
"""

import numpy as np

from histossl.phantom.fields import smooth_noise
from histossl.phantom.section import CODE, REGION_STEP, Section
from histossl.phantom.structures import TUMOUR_BODY, TUMOUR_NUCLEUS, TUMOUR_PITCH_UM

NEST_UM = 34.0
FILE_CELLS = (5, 14)
# Closer than in a nest, where a cell overlaps six others and not two: both then cover the same area.
FILE_PITCH_UM = 10.0


def nests(section: Section, candidates_um: np.ndarray, count: int) -> np.ndarray:
    """Return `count` of the candidate points, gathered in islands of some 60 µm.

    Args:
        section: the section to place cells in.
        candidates_um: (N, 2) points of a packed lattice inside the tumour regions.
        count: how many to take.
    """
    islands = smooth_noise(section.regions.shape, NEST_UM / (REGION_STEP * section.spacing_um), section.rng)
    order = np.argsort(-section.value_at(islands, candidates_um), kind="stable")
    return candidates_um[order[:count]]


def files(section: Section, candidates_um: np.ndarray, count: int) -> np.ndarray:
    """Return up to `count` points in single files that follow the fibres and keep clear of each other.

    Args:
        section: the section to place cells in.
        candidates_um: (N, 2) points inside the tumour regions, where files may start.
        count: how many cells to place.
    """
    rng = section.rng
    pitch_um = REGION_STEP * section.spacing_um
    free = section.regions == CODE["tumour"]
    clear = max(1, round(TUMOUR_PITCH_UM / pitch_um))
    placed: list[np.ndarray] = []
    total = 0
    starts = candidates_um[rng.permutation(len(candidates_um))]
    # Walk many files at once, all cells of one step together; then accept them one by one where there is room.
    paths = np.empty((len(starts), FILE_CELLS[1], 2))
    here, heading = starts.copy(), np.zeros_like(starts)
    for step in range(FILE_CELLS[1]):
        paths[:, step] = here
        angle = section.fibres.direction(here[:, 0], here[:, 1])
        ahead = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        ahead *= np.where((ahead * heading).sum(axis=1) < 0, -1, 1)[:, None]
        heading = ahead
        here = here + ahead * FILE_PITCH_UM * rng.uniform(0.92, 1.08, (len(starts), 1))
    lengths = rng.integers(FILE_CELLS[0], FILE_CELLS[1] + 1, len(starts))
    height, width = free.shape
    for path, length in zip(paths, lengths, strict=True):
        if total >= count:
            break
        cells = path[: min(length, count - total)]
        column, row = (cells / pitch_um).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        inside[inside] = free[row[inside], column[inside]]
        length = len(cells) if inside.all() else int(np.argmin(inside))
        if length < min(3, count - total):
            continue
        placed.append(cells[:length] + rng.standard_normal((length, 2)) * 0.5)
        total += length
        for y, x in zip(row[:length].tolist(), column[:length].tolist(), strict=True):
            free[max(0, y - clear) : y + clear + 1, max(0, x - clear) : x + clear + 1] = False
    return np.concatenate(placed) if placed else np.empty((0, 2))


ARRANGEMENTS = {"ductal": nests, "lobular": files}


def draw_tumour(section: Section, arrangement: str, cells_per_mm2: float) -> None:
    """Draw tumour cells: bodies first, then large irregular nuclei with membranes and nucleoli.

    Args:
        section: the section to draw on.
        arrangement: "ductal" for nests, "lobular" for single files.
        cells_per_mm2: mean number of cells in tumour regions; a full lattice has about 10 000.
    """
    candidates = section.scatter(TUMOUR_PITCH_UM, 0.10, "tumour")
    area_mm2 = (section.regions == CODE["tumour"]).sum() * (REGION_STEP * section.spacing_um / 1000) ** 2
    count = min(len(candidates), round(area_mm2 * cells_per_mm2))
    cells = ARRANGEMENTS[arrangement](section, candidates, count)
    section.tumour_cells_um = cells
    angle = section.fibres.direction(cells[:, 0], cells[:, 1]) + section.rng.standard_normal(len(cells)) * 0.5
    section.stamp(TUMOUR_BODY, cells, angle, tumour=True)
    section.stamp(TUMOUR_NUCLEUS, cells, angle)
