"""Draw patch data sets: tissue classes in two stain arms, and a cellularity regression.

Patches are cut out of one section a patient, drawn by the same functions as the slides.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from histossl.phantom.fields import smooth_noise
from histossl.phantom.painting import paint
from histossl.phantom.section import CLASSES, CODE, REGION_STEP, Section
from histossl.phantom.stain import REFERENCE, SITES, Stain, colour, vary

DRAWN_SPACING_UM = 0.5
# Strip of the same class around a patch, which keeps neighbours' glands and fat cells out.
GAP_UM = 36.0
PATCHES_PER_PATIENT_AND_CLASS = 5
CELLULARITY_PATCHES_PER_PATIENT = 40

# Classes that may reach into a patch of each class, as in tissue.
INTRUDERS = {
    "adipose": ("stroma", "lymphocytes"),
    "background": ("stroma", "mucus"),
    "debris": ("tumour", "mucus", "lymphocytes", "stroma"),
    "lymphocytes": ("stroma", "tumour", "normal"),
    "mucus": ("debris", "stroma", "background"),
    "muscle": ("stroma", "lymphocytes"),
    "normal": ("stroma", "lymphocytes", "mucus"),
    "stroma": ("muscle", "lymphocytes", "tumour", "adipose"),
    "tumour": ("stroma", "lymphocytes", "debris"),
}


@dataclass(frozen=True)
class Patch:
    """One patch of a data set; `target` is the share of its area covered by tumour cells.

    `components` are what its section takes note of: the share of each pixel that is of it, (H, W) float32, by name.
    """

    name: str
    image: np.ndarray
    label: str
    split: str
    group: str
    target: float
    components: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Arm:
    """A data set that can be drawn.

    Attributes:
        content: seeds the tissue; arms of equal content show the same tissue.
        stains: the laboratories patients come from in turn.
        variation: of the stain from patient to patient and, by half, from patch to patch.
        groups: first letter of the patients' ids.
    """

    content: str
    stains: tuple[Stain, ...]
    variation: float
    groups: str


STUDY_STAINS = tuple(SITES.values())
ARMS = {
    "normalised": Arm("train", (REFERENCE,), 0.02, "T"),
    "raw": Arm("train", STUDY_STAINS, 0.07, "T"),
    "test": Arm("test", (REFERENCE,), 0.02, "V"),
    "cellularity": Arm("cellularity", STUDY_STAINS, 0.07, "C"),
}


def draw_classes(
    arm: Arm,
    patches_per_class: int,
    patch_px: int,
    spacing_um: float,
    seed: int,
    kind: type[Section] = Section,
) -> Iterator[Patch]:
    """Draw a classification data set, patient by patient, all classes from each.

    Args:
        arm: what to draw.
        patches_per_class: patches of each of `section.CLASSES`.
        patch_px: side of a patch, pixels.
        spacing_um: µm per pixel of the patches, at least 0.5.
        seed: the cohort's seed.
        kind: of the sections that patches are cut from.
    """
    split = "test" if arm.content == "test" else "train"
    for first in range(0, patches_per_class, PATCHES_PER_PATIENT_AND_CLASS):
        count = min(PATCHES_PER_PATIENT_AND_CLASS, patches_per_class - first)
        patient = first // PATCHES_PER_PATIENT_AND_CLASS
        rng, stain_rng, look_rng = _generators(seed, arm.content, patient)
        grid = _Grid(rows=len(CLASSES), columns=count, field_um=patch_px * spacing_um)
        wanted = np.repeat(np.arange(len(CLASSES), dtype=np.uint8), count).reshape(len(CLASSES), count)
        regions = _mix(grid.spread(wanted), grid, rng)
        subtype = ("ductal", "lobular")[int(rng.integers(2))]
        section = paint(regions, DRAWN_SPACING_UM, subtype, rng.uniform(3000, 7500), rng, kind)
        layers = section.components()
        stain = vary(arm.stains[patient % len(arm.stains)], arm.variation, stain_rng)
        group = f"{arm.groups}{patient + 1:02d}"
        for row, column in np.ndindex(wanted.shape):
            label = CLASSES[wanted[row, column]]
            image, target = _cut(section, grid, row, column, patch_px, stain, arm.variation / 2, stain_rng, look_rng)
            components = {
                name: cv2.resize(
                    layer[grid.box(row, column)].astype(np.float32), (patch_px, patch_px), interpolation=cv2.INTER_AREA
                )
                for name, layer in layers.items()
            }
            yield Patch(f"{label}_{group}_{column}", image, label, split, group, target, components)


def draw_cellularity(
    arm: Arm, patches: int, test_share: float, patch_px: int, spacing_um: float, seed: int
) -> Iterator[Patch]:
    """Draw a regression data set: patches with anything from no to full cover by tumour cells.

    Args:
        arm: what to draw.
        patches: number of patches, train and test together.
        test_share: share of the patients, rounded, whose patches are for testing; at least one, at most all but one.
        patch_px: side of a patch, pixels.
        spacing_um: µm per pixel of the patches, at least 0.5.
        seed: the cohort's seed.
    """
    per_patient = min(CELLULARITY_PATCHES_PER_PATIENT, -(-patches // 2))
    patients = -(-patches // per_patient)
    for_test = min(max(1, round(test_share * patients)), patients - 1)
    for patient in range(patients):
        count = min(per_patient, patches - patient * per_patient)
        rng, stain_rng, look_rng = _generators(seed, arm.content, patient)
        columns = min(8, count)
        grid = _Grid(rows=-(-count // columns), columns=columns, field_um=patch_px * spacing_um)
        regions = _tumour_by_share(grid, rng)
        # Files cannot be packed; so most patients have nests, which reach full cover.
        subtype = "lobular" if patient % 3 == 2 else "ductal"
        section = paint(regions, DRAWN_SPACING_UM, subtype, rng.uniform(6500, 9500), rng)
        stain = vary(arm.stains[patient % len(arm.stains)], arm.variation, stain_rng)
        group = f"{arm.groups}{patient + 1:02d}"
        split = "test" if patient >= patients - for_test else "train"
        for number in range(count):
            row, column = divmod(number, columns)
            image, target = _cut(section, grid, row, column, patch_px, stain, arm.variation / 2, stain_rng, look_rng)
            yield Patch(f"cellularity_{group}_{number:02d}", image, "", split, group, target)


def _generators(seed: int, content: str, patient: int) -> list[np.random.Generator]:
    """Separate generators for tissue, stain and focus, so that arms of equal content share tissue and focus."""
    return [np.random.default_rng([seed, zlib.crc32(content.encode()), patient, part]) for part in range(3)]


@dataclass(frozen=True)
class _Grid:
    """Where the patches of one patient lie on the section they are cut from."""

    rows: int
    columns: int
    field_um: float

    @property
    def cell(self) -> int:
        """Side of a patch with its gap, in pixels of the region map."""
        return int(np.ceil((self.field_um + GAP_UM) / (REGION_STEP * DRAWN_SPACING_UM)))

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Enlarge one value per patch to the region map."""
        return np.kron(values, np.ones((self.cell, self.cell), values.dtype))

    def box(self, row: int, column: int) -> tuple[slice, slice]:
        """The patch on the section's layers, without gap."""
        side = round(self.field_um / DRAWN_SPACING_UM)
        cell = self.cell * REGION_STEP
        top, left = (place * cell + (cell - side) // 2 for place in (row, column))
        return slice(top, top + side), slice(left, left + side)


def _mix(regions: np.ndarray, grid: _Grid, rng: np.random.Generator) -> np.ndarray:
    """Let another class reach into about half of the patches; the patch's own class keeps most of the area."""
    pitch_um = REGION_STEP * DRAWN_SPACING_UM
    height, width = regions.shape
    field = smooth_noise((height, width), 38 / pitch_um, rng)
    mixed = regions.copy()
    for top in range(0, height, grid.cell):
        for left in range(0, width, grid.cell):
            here = (slice(top, top + grid.cell), slice(left, left + grid.cell))
            others = INTRUDERS[CLASSES[regions[top, left]]]
            intruder = CODE[others[int(rng.integers(len(others)))]]
            share = max(0.0, rng.uniform(-0.25, 0.45))
            mixed[here][field[here] > np.quantile(field[here], 1 - share)] = intruder
    return mixed


def _tumour_by_share(grid: _Grid, rng: np.random.Generator) -> np.ndarray:
    """Regions with a uniformly drawn share of tumour in every patch, the rest other tissues."""
    pitch_um = REGION_STEP * DRAWN_SPACING_UM
    shape = (grid.rows * grid.cell, grid.columns * grid.cell)
    other = smooth_noise(shape, 60 / pitch_um, rng)
    regions = np.full(shape, CODE["stroma"], np.uint8)
    for name, above in (("lymphocytes", 1.0), ("adipose", 1.5)):
        regions[other > above] = CODE[name]
    regions[other < -1.1] = CODE["debris"]
    field = smooth_noise(shape, 34 / pitch_um, rng)
    for row, column in np.ndindex(grid.rows, grid.columns):
        here = tuple(slice(place * grid.cell, (place + 1) * grid.cell) for place in (row, column))
        share = np.clip(rng.uniform(-0.08, 1.2), 0, 1)
        regions[here][field[here] >= np.quantile(field[here], 1 - share)] = CODE["tumour"]
        if share == 0:
            regions[here][regions[here] == CODE["tumour"]] = CODE["stroma"]
    return regions


def _cut(
    section: Section,
    grid: _Grid,
    row: int,
    column: int,
    patch_px: int,
    stain: Stain,
    variation: float,
    stain_rng: np.random.Generator,
    look_rng: np.random.Generator,
) -> tuple[np.ndarray, float]:
    """Cut out, stain, focus and shrink one patch; its image and the share covered by tumour cells."""
    box = grid.box(row, column)
    stain = vary(stain, variation, stain_rng)
    dyes = [np.ascontiguousarray(section.inner(layer)[box]) for layer in (section.haematoxylin, section.eosin)]
    # Sections are not equally thick everywhere: both dyes vary together.
    thickness = look_rng.uniform(0.6, 1.4)
    stain = replace(
        stain,
        haematoxylin_strength=stain.haematoxylin_strength * thickness,
        eosin_strength=stain.eosin_strength * thickness,
    )
    image = colour(*dyes, stain)
    out_of_focus = look_rng.random() < 0.15
    image = cv2.GaussianBlur(image, (0, 0), look_rng.uniform(1.5, 3.5) if out_of_focus else stain.blur_px)
    image = cv2.resize(image, (patch_px, patch_px), interpolation=cv2.INTER_AREA)
    light = look_rng.uniform(0.90, 1.03) * (1 + 0.01 * look_rng.standard_normal(3))
    noise = look_rng.standard_normal(image.shape) * 2.0
    target = float((section.inner(section.tumour)[box] > 0).mean())
    return np.clip(image * light + noise, 0, 255).astype(np.uint8), target
