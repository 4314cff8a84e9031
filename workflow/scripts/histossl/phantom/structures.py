"""What each tissue looks like: one ground (extracellular texture) and one drawing of its cells per tissue.

Sizes follow histology textbooks (e.g. Young et al., Wheater's Functional Histology): lymphocyte nuclei 6-7 µm,
epithelial nuclei 6-9 µm, tumour nuclei 8-13 µm, adipocytes 40-80 µm, crypts 60-80 µm.
"""

from collections.abc import Callable

import cv2
import numpy as np
from scipy.spatial import Voronoi

from histossl.phantom.fields import rounded
from histossl.phantom.section import CODE, GROUND_STEP, REGION_STEP, Box, Section
from histossl.phantom.sprites import Look
from histossl.phantom.stain import STEPS_PER_UNIT

Dyes = tuple[np.ndarray, np.ndarray]

TUMOUR_PITCH_UM = 11.0

LYMPHOCYTE = Look((6.0, 7.4), (5.6, 6.8), (1.25, 1.75), 0.25, texture=0.22, rim=0.1)
FIBROBLAST = Look((11.0, 18.0), (2.2, 4.0), (0.85, 1.35), 0.30, irregular=0.04, texture=0.15)
SMOOTH_MUSCLE = Look((14.0, 22.0), (2.6, 3.8), (0.7, 1.0), 0.45, irregular=0.02, texture=0.15)
EPITHELIUM = Look((7.5, 9.5), (4.8, 6.0), (0.95, 1.30), 0.25, irregular=0.03, texture=0.15, rim=0.15)
TUMOUR_NUCLEUS = Look((8.0, 12.0), (6.8, 9.4), (0.50, 1.05), 0.20, irregular=0.08, texture=0.26, rim=0.45, nucleoli=2)
TUMOUR_BODY = Look((12.5, 16.5), (10.5, 13.5), (0.18, 0.30), 0.40, irregular=0.05, texture=0.12)
PYKNOTIC = Look((1.2, 4.2), (1.0, 3.6), (0.9, 1.7), 0.25, irregular=0.10, texture=0.1)
GHOST = Look((8.0, 13.0), (7.0, 11.0), (0.05, 0.20), 0.55, irregular=0.10, texture=0.25)
GOBLET = Look((10.0, 15.0), (8.0, 11.0), (0.08, 0.2), 0.04, irregular=0.05, texture=0.1)
DUST = Look((2.0, 6.0), (1.5, 4.0), (0.3, 0.9), 0.2, irregular=0.12, texture=0.1)


def _stroma_ground(section: Section, box: Box) -> Dyes:
    """Wavy collagen: pink bundles of fibres with white clefts between them."""
    bundles, fine, blotches = section.bundles(box), section.fine_fibres(box), section.blotches[box]
    eosin = 0.50 + 0.10 * bundles + 0.12 * fine + 0.09 * blotches
    clefts = np.clip(1.3 * (bundles + 0.45 * blotches + 1.75), 0.0, 1.0)
    return 0.10 * clefts, np.maximum(eosin, 0.22) * clefts


def _muscle_ground(section: Section, box: Box) -> Dyes:
    """Smooth muscle: dense, evenly pink, finely striped."""
    eosin = 0.66 + 0.07 * section.fine_fibres(box) + 0.07 * section.bundles(box) + 0.05 * section.blotches[box]
    return np.full_like(eosin, 0.17), np.maximum(eosin, 0.1)


def _adipose_ground(section: Section, box: Box) -> Dyes:
    """The walls between fat cells; the cells themselves are cut out of it."""
    eosin = 0.42 + 0.06 * section.fine_fibres(box)
    return np.full_like(eosin, 0.08), eosin


def _lymphocytes_ground(section: Section, box: Box) -> Dyes:
    """Pale ground between lymphocytes."""
    eosin = 0.26 + 0.07 * section.grain(box) + 0.06 * section.blotches[box]
    return np.full_like(eosin, 0.18), np.maximum(eosin, 0.02)


def _mucus_ground(section: Section, box: Box) -> Dyes:
    """Pools of pale blue-grey mucin: faint streaks, thin threads, small bubbles."""
    bundles, fine, blotches = section.bundles(box), section.fine_fibres(box), section.blotches[box]
    threads = np.exp(-((bundles * 7) ** 2)) + 0.4 * np.exp(-(((bundles - 1.1) * 8) ** 2))
    haematoxylin = 0.15 + 0.03 * bundles + 0.025 * fine + 0.06 * blotches + 0.025 * section.grain(box)
    eosin = 0.05 + 0.02 * bundles + 0.02 * fine
    return np.maximum(haematoxylin + 0.13 * threads, 0.02), np.maximum(eosin + 0.05 * threads, 0.0)


def _debris_ground(section: Section, box: Box) -> Dyes:
    """Necrosis: granular, dirty pink without structure."""
    grain, blotches = section.grain(box), section.blotches[box]
    eosin = 0.44 + 0.11 * grain + 0.16 * blotches
    haematoxylin = 0.18 + 0.06 * grain - 0.06 * blotches
    holes = np.clip(2.0 * (blotches + 0.12 * grain + 1.35), 0.05, 1.0)
    return np.maximum(haematoxylin, 0.04) * holes, np.maximum(eosin, 0.08) * holes


# Tumour and normal glands lie in the same stroma as the rest; their cells are drawn on it.
GROUNDS: tuple[tuple[tuple[str, ...], Callable[[Section, Box], Dyes]], ...] = (
    (("stroma", "tumour", "normal"), _stroma_ground),
    (("muscle",), _muscle_ground),
    (("adipose",), _adipose_ground),
    (("lymphocytes",), _lymphocytes_ground),
    (("mucus",), _mucus_ground),
    (("debris",), _debris_ground),
)


def lay_grounds(section: Section) -> None:
    """Fill both dye layers with every region's ground, blended over a few µm at region borders."""
    haematoxylin, eosin = np.zeros_like(section.blotches), np.zeros_like(section.blotches)
    ratio = REGION_STEP // GROUND_STEP
    strip = 64
    for names, ground in GROUNDS:
        mask = np.isin(section.regions, [CODE[name] for name in names]).astype(np.float32)
        if not mask.any():
            continue
        mask = cv2.blur(mask, (3, 3))
        left, first, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
        # Strips keep the intermediate arrays in the processor's cache.
        for top in range(first, first + height, strip):
            bottom = min(top + strip, first + height)
            weight = cv2.resize(mask[top:bottom, left : left + width], None, fx=ratio, fy=ratio)
            box = (slice(top * ratio, bottom * ratio), slice(left * ratio, (left + width) * ratio))
            weight *= 1 + 0.05 * section.grain(box)
            for total, part in zip((haematoxylin, eosin), ground(section, box), strict=True):
                total[box] += weight * part
    for total, layer in ((haematoxylin, section.haematoxylin), (eosin, section.eosin)):
        steps = cv2.convertScaleAbs(cv2.max(total, 0), alpha=STEPS_PER_UNIT)
        section.inner(layer)[:] = cv2.resize(steps, section.shape[::-1], interpolation=cv2.INTER_LINEAR)


def draw_adipocytes(section: Section) -> None:
    """Fat cells: rounded Voronoi cells, empty, with thin walls and an occasional flat nucleus on the wall."""
    centres = section.scatter(46.0, 0.17)
    if len(centres) < 5:
        return
    diagram = Voronoi(centres)
    chosen = np.flatnonzero(section.value_at(section.regions, centres) == CODE["adipose"])
    outlines, nuclei, angles = [], [], []
    for point in chosen:
        region = diagram.regions[diagram.point_region[point]]
        if -1 in region or not region:
            continue
        corners = diagram.vertices[region]
        middle = corners.mean(axis=0)
        if np.abs(corners - middle).max() > 60:
            continue
        reach = np.hypot(*(corners - middle).T).mean()
        wall_um = section.rng.uniform(0.5, 1.6)
        outlines.append(rounded(middle + (corners - middle) * (1 - wall_um / reach), cut=0.16))
        if section.rng.random() < 0.45:
            side = section.rng.integers(len(corners))
            nuclei.append((corners[side] + corners[side - 1]) / 2)
            angles.append(np.arctan2(*(corners[side] - corners[side - 1])[::-1]))
    for outline in outlines:
        section.fill(outline, haematoxylin=0, eosin=2)
    if nuclei:
        section.stamp(FIBROBLAST, np.array(nuclei), np.array(angles))


def draw_stroma_cells(section: Section) -> None:
    """Fibroblasts along the fibres, and a few stray lymphocytes, in all fibrous tissue."""
    points = section.thin(section.scatter(17.0, 0.3, "stroma", "tumour", "normal"), 0.42)
    section.stamp(FIBROBLAST, points, _along(section, points, 0.2))
    section.stamp(LYMPHOCYTE, section.thin(section.scatter(14.0, 0.3, "stroma", "tumour"), 0.05))
    section.stamp(LYMPHOCYTE, section.thin(section.scatter(10.0, 0.3, "normal"), 0.22))


def draw_muscle_cells(section: Section) -> None:
    """Cigar-shaped nuclei in line with the muscle fibres."""
    points = section.thin(section.scatter(21.0, 0.3, "muscle"), 0.6)
    section.stamp(SMOOTH_MUSCLE, points, _along(section, points, 0.06))


def draw_lymphocytes(section: Section) -> None:
    """Crowded small dark round nuclei."""
    section.stamp(LYMPHOCYTE, section.thin(section.scatter(7.6, 0.16, "lymphocytes"), 0.85))


def draw_mucus_cells(section: Section) -> None:
    """A few cells that float in mucus."""
    section.stamp(LYMPHOCYTE, section.thin(section.scatter(24.0, 0.35, "mucus"), 0.12))


def draw_debris_cells(section: Section) -> None:
    """Ghosts of dead cells and the dust of broken nuclei."""
    section.stamp(GHOST, section.thin(section.scatter(15.0, 0.35, "debris"), 0.45))
    section.stamp(PYKNOTIC, section.thin(section.scatter(8.0, 0.45, "debris"), 0.45))


def draw_dust(section: Section) -> None:
    """Specks on bare glass."""
    points = section.scatter(60.0, 0.4, "background")
    section.stamp(DUST, points[section.rng.random(len(points)) < 0.03])


def draw_glands(section: Section) -> None:
    """Normal glands: a ring of columnar cells with nuclei at the base, goblet cells, a white lumen."""
    rng = section.rng
    centres = section.scatter(78.0, 0.07, "normal")
    if not len(centres):
        return
    bearing = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    goblets, nuclei, angles, lumina = [], [], [], []
    for centre in centres:
        radius = rng.uniform(28, 36)
        stretch, turn = rng.uniform(1.0, 1.25), rng.uniform(0, np.pi)
        wobble = 1 + sum(rng.uniform(-0.06, 0.06) * np.cos(k * bearing + rng.uniform(0, 6.3)) for k in (2, 3, 4))
        ring = np.stack([np.cos(bearing) * wobble * stretch, np.sin(bearing) * wobble / stretch], axis=1)
        ring = radius * ring @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        section.fill(centre + ring * 1.05, haematoxylin=6, eosin=int(rng.integers(40, 60)))  # basement membrane
        section.fill(centre + ring, haematoxylin=int(rng.integers(22, 34)), eosin=int(rng.integers(34, 46)))
        lumina.append(centre + ring * rng.uniform(0.15, 0.42))
        place = _evenly(int(2 * np.pi * radius / 5.8), 0.25, rng)
        base = _around(ring, place * len(ring))
        nuclei.append(centre + base * rng.uniform(0.80, 0.89, (len(place), 1)))
        angles.append(np.arctan2(base[:, 1], base[:, 0]))
        place = _evenly(int(rng.integers(6, 15)), 0.3, rng)
        goblets.append(centre + _around(ring, place * len(ring)) * rng.uniform(0.52, 0.64, (len(place), 1)))
    section.stamp(GOBLET, np.concatenate(goblets))
    for lumen in lumina:
        section.fill(lumen, haematoxylin=3, eosin=3)
    section.stamp(EPITHELIUM, np.concatenate(nuclei), np.concatenate(angles))


def _evenly(count: int, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """`count` places around a circle, 0 to 1, about evenly spaced."""
    return np.mod((np.arange(count) + rng.uniform(-jitter, jitter, count)) / count, 1.0)


def _around(ring: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Points on a closed ring at fractional indices; (N, 2)."""
    before = np.floor(place).astype(int)
    share = (place - before)[:, None]
    return ring[before % len(ring)] * (1 - share) + ring[(before + 1) % len(ring)] * share


def _along(section: Section, points_um: np.ndarray, spread: float) -> np.ndarray:
    """The fibres' direction at each point, with some spread (radians)."""
    angle = section.fibres.direction(points_um[:, 0], points_um[:, 1])
    return angle + section.rng.standard_normal(len(points_um)) * spread
