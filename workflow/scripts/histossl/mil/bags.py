"""Bags: the patch features of whole slides, as multiple-instance learning sees them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from histossl.errors import UserError
from histossl.features.slide_features import read_slide_features
from histossl.hdf5 import DAMAGED, check_values, read_array

GPU_SHARE = 0.5
"""Of the GPU's memory that is free at the start, for bags."""


@dataclass(frozen=True)
class Bag:
    """The patches of one slide.

    Attributes:
        features: (N, D) float32; N may be 0. Where it can be, the file's own bytes, mapped into memory.
        coords: (N, 2) int64, level-0 x and y of each patch's top left corner.
    """

    features: np.ndarray
    coords: np.ndarray


def read_bags(slides: Iterable[str], folder: Path) -> dict[str, Bag]:
    """Open the features of `slides`, each file once.

    Args:
        slides: ids of the slides that are needed.
        folder: where the feature files are, `{slide}.h5` with `features` and `coords`.

    Returns:
        One bag for each slide, in the order of the ids.

    Raises:
        UserError: a slide has no feature file, or one without as many rows of features as of coordinates, or two files
            differ in the number of features.
    """
    bags: dict[str, Bag] = {}
    dimension: tuple[str, int] | None = None
    for slide in sorted(set(slides)):
        path = Path(folder) / f"{slide}.h5"
        if not path.exists():
            raise UserError(f"{path}: slide '{slide}' is in the splits but has no features; embed it or leave it out")
        bags[slide] = map_bag(path) or read_bag(path)
        features, coords = bags[slide].features, bags[slide].coords
        if features.ndim != 2 or len(features) != len(coords):
            raise UserError(
                f"{path}: features of shape {features.shape} beside coordinates of shape {coords.shape}; they must be "
                f"(patches, features) and (patches, 2): embed the slide again"
            )
        width = bags[slide].features.shape[1]
        dimension = dimension or (slide, width)
        if width != dimension[1]:
            raise UserError(
                f"{path} has {width} features a patch but that of slide '{dimension[0]}' has {dimension[1]}; "
                f"embed all slides with the same encoder"
            )
    return bags


def map_bag(path: Path) -> Bag | None:
    """A bag whose features stay in the file until they are looked at; None where they must be read instead.

    Our files hold float32 in one piece. Other memory than the system's page cache is not needed then, however many
    processes train on the same files.
    """
    try:
        with h5py.File(path, "r") as file:
            features = file["features"]
            offset = features.id.get_offset()  # None for chunks, and for no rows
            if offset is None or offset % 4 or features.dtype != np.dtype("<f4") or features.external:
                return None
            end = offset + features.size * features.dtype.itemsize
            # Copy on write. Python's own maps each keep a file open, of which a process may have 1,024 as a rule.
            whole = torch.from_file(str(path), shared=False, size=end, dtype=torch.uint8)
            mapped = whole[offset:].view(torch.float32).view(features.shape).numpy()
            check_values(features, mapped)
            return Bag(mapped, read_array(file, "coords"))
    except DAMAGED:
        return None


def read_bag(path: Path) -> Bag:
    """A bag in memory, as float32.

    Raises:
        UserError: the file is damaged.
    """
    features, coords = read_slide_features(path)
    return Bag(features.astype(np.float32, copy=False), coords)


class DeviceBags:
    """Features as tensors on a device; on a GPU they stay there as long as they fit into a share of its memory."""

    def __init__(self, bags: Mapping[str, Bag], device: torch.device) -> None:
        self.bags, self.device = bags, device
        self.free = int(GPU_SHARE * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0
        self.placed: dict[str, Tensor] = {}

    def __getitem__(self, slide: str) -> Tensor:
        """(N, D) float32 features of a slide; on a CPU they share the bag's memory."""
        if slide in self.placed:
            return self.placed[slide]
        features = torch.from_numpy(self.bags[slide].features).to(self.device)
        if features.nbytes <= self.free:
            self.free -= features.nbytes
            self.placed[slide] = features
        return features


class PatchSums:
    """Sums over the patches of each slide, so that the scale of any set of slides is known without another pass."""

    def __init__(self, bags: Mapping[str, Bag]) -> None:
        self.count = {slide: len(bag.features) for slide, bag in bags.items()}
        self.sum = {slide: bag.features.sum(axis=0, dtype=np.float64) for slide, bag in bags.items()}
        self.square = {slide: np.square(bag.features, dtype=np.float64).sum(axis=0) for slide, bag in bags.items()}

    def scale(self, slides: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each feature over all patches of `slides`; 1 where a feature is constant."""
        count = sum(self.count[slide] for slide in slides)
        mean = np.sum([self.sum[slide] for slide in slides], axis=0) / count
        variance = np.sum([self.square[slide] for slide in slides], axis=0) / count - mean**2
        # Rounding leaves a constant feature with a tiny variance instead of none; dividing by it would blow up noise.
        constant = variance <= 1e-10 * mean**2
        deviation = np.sqrt(np.where(constant, 1.0, variance))
        return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(deviation.astype(np.float32))
