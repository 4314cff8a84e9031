"""A section being drawn: which tissue is where, and how much of each dye lies on every pixel."""

from dataclasses import dataclass

import cv2
import numpy as np

from histossl.phantom.fields import Fibres, smooth_noise, streaks
from histossl.phantom.sprites import Look, draw_sprites

CLASSES = (
    "background",
    "stroma",
    "tumour",
    "adipose",
    "lymphocytes",
    "normal",
    "mucus",
    "debris",
    "muscle",
)
CODE = {name: code for code, name in enumerate(CLASSES)}

# Pixels of the section per pixel of the region map and of the ground textures.
REGION_STEP = 4
GROUND_STEP = 2
MARGIN_PX = 64


Box = tuple[slice, slice]


@dataclass
class Section:
    """The layers of a section.

    Attributes:
        regions: (H/4, W/4) uint8, codes of `CLASSES`.
        spacing_um: µm per pixel of the layers.
        rng: source of all randomness in this section.
    """

    regions: np.ndarray
    spacing_um: float
    rng: np.random.Generator

    def __post_init__(self) -> None:
        height, width = (side * REGION_STEP for side in self.regions.shape)
        padded = (height + 2 * MARGIN_PX, width + 2 * MARGIN_PX)
        # Stamps may reach over the border, so the layers have a margin; `inner` cuts it off.
        self.haematoxylin, self.eosin, self.tumour = (np.zeros(padded, np.uint8) for _ in range(3))
        self.tumour_cells_um = np.empty((0, 2))
        self.shape = (height, width)
        self.size_um = np.array([width, height]) * self.spacing_um
        pitch_um = REGION_STEP * self.spacing_um
        self.fibres = Fibres.draw(self.regions.shape, pitch_um, self.rng).refine(REGION_STEP // GROUND_STEP)
        self.blotches = cv2.resize(
            smooth_noise(self.regions.shape, 30 / pitch_um, self.rng), self.fibres.across.shape[::-1]
        )
        self.density = smooth_noise(self.regions.shape, 150 / pitch_um, self.rng)
        grain = streaks(1.0, 1.0)
        repeats = [side // len(grain) + 1 for side in self.blotches.shape]
        self._grain = np.tile(grain, repeats)

    def fine_fibres(self, box: Box) -> np.ndarray:
        """Single fibres, some 2 µm thick, inside a box of the ground; float32, mean 0, standard deviation 1."""
        return self.fibres.sample(streaks(24, 0.8), 1.0, box)

    def bundles(self, box: Box) -> np.ndarray:
        """Bundles of fibres, some 10 µm thick, inside a box of the ground; float32, mean 0, standard deviation 1."""
        return self.fibres.sample(streaks(16, 2.2), 2.5, box)

    def grain(self, box: Box) -> np.ndarray:
        """Granules of 2 µm without direction, inside a box of the ground; float32, mean 0, standard deviation 1."""
        return self._grain[box]

    def inner(self, layer: np.ndarray) -> np.ndarray:
        """Return the layer without its margin."""
        return layer[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]

    def components(self) -> dict[str, np.ndarray]:
        """What the section takes note of: layers without margin, by name, (H, W) bool; none here."""
        return {}

    def has(self, name: str) -> bool:
        """Whether any of the section is of this class."""
        return bool((self.regions == CODE[name]).any())

    def value_at(self, region_field: np.ndarray, points_um: np.ndarray) -> np.ndarray:
        """Look up a field on the region grid at (N, 2) points x, y in µm."""
        column, row = (points_um / (REGION_STEP * self.spacing_um)).astype(int).T
        height, width = region_field.shape
        return region_field[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]

    def scatter(self, pitch_um: float, jitter: float, *names: str) -> np.ndarray:
        """Return (N, 2) points x, y in µm on a jittered hexagonal lattice, those that lie in the named classes.

        Args:
            pitch_um: distance between neighbours before jitter.
            jitter: standard deviation of the displacement, relative to the pitch.
            names: classes to keep; none keeps every point.
        """
        rows = int(self.size_um[1] / (pitch_um * 0.866)) + 2
        columns = int(self.size_um[0] / pitch_um) + 2
        row, column = np.mgrid[:rows, :columns]
        points = np.stack([(column + 0.5 * (row % 2)) * pitch_um, row * pitch_um * 0.866], axis=-1).reshape(-1, 2)
        points = points + self.rng.standard_normal(points.shape) * jitter * pitch_um
        inside = ((points >= 0) & (points < self.size_um)).all(axis=1)
        points = points[inside]
        if names:
            points = points[np.isin(self.value_at(self.regions, points), [CODE[name] for name in names])]
        return points

    def thin(self, points_um: np.ndarray, keep: float) -> np.ndarray:
        """Keep about this share of the points, more where the section is dense, fewer where it is loose."""
        probability = keep * np.clip(1 + 0.5 * self.value_at(self.density, points_um), 0.2, 1.8)
        return points_um[self.rng.random(len(points_um)) < probability]

    def stamp(self, look: Look, points_um: np.ndarray, angle: np.ndarray | None = None, tumour: bool = False) -> None:
        """Stamp a random shape at every point.

        Args:
            look: which kind of cell part.
            points_um: (N, 2) centres x, y.
            angle: (N,) direction of each, radians; None for random ones.
            tumour: whether to mark the covered pixels as tumour cell.
        """
        sprites = draw_sprites(look, self.spacing_um)
        if angle is None:
            angle = self.rng.uniform(0, np.pi, len(points_um))
        half = sprites.coverage.shape[1] // 2
        size = 2 * half + 1
        corners = np.floor(points_um / self.spacing_um).astype(int) + MARGIN_PX - half
        height, width = self.haematoxylin.shape
        for (left, top), shape in zip(corners.tolist(), sprites.choose(angle, self.rng).tolist(), strict=True):
            if left < 0 or top < 0 or left + size > width or top + size > height:
                continue
            here = (slice(top, top + size), slice(left, left + size))
            eosin = self.eosin[here]
            np.minimum(eosin, sprites.eosin_most[shape], out=eosin)
            np.maximum(eosin, sprites.eosin_least[shape], out=eosin)
            haematoxylin = self.haematoxylin[here]
            np.maximum(haematoxylin, sprites.haematoxylin[shape], out=haematoxylin)
            if tumour:
                covered = self.tumour[here]
                np.maximum(covered, sprites.coverage[shape], out=covered)

    def fill(self, outline_um: np.ndarray, haematoxylin: int, eosin: int) -> None:
        """Fill a closed outline, (K, 2) points x, y in µm, with one amount of each dye (`STEPS_PER_UNIT` a unit)."""
        fraction_bits = 4
        polygon = np.round((outline_um / self.spacing_um + MARGIN_PX) * 2**fraction_bits).astype(np.int32)
        for layer, amount in ((self.haematoxylin, haematoxylin), (self.eosin, eosin)):
            cv2.fillPoly(layer, [polygon], amount, cv2.LINE_AA, fraction_bits)
