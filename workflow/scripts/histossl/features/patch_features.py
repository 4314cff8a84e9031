"""`results/features/{encoder}/patches/{dataset}.h5`: the feature vectors of a patch data set, in its order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histossl.encoders.encoder_file import EncoderCard
from histossl.errors import UserError
from histossl.features.embed import Embedder
from histossl.features.embed_runs import embed_runs
from histossl.features.geometry import Geometry
from histossl.features.readers import BATCH, TRIES, Readers
from histossl.features.slide_features import preprocessing
from histossl.features.slide_runs import STAIN_TIMES
from histossl.files import whole_file
from histossl.hdf5 import create_hdf5, write_array
from histossl.patch_datasets.patch import LabelledPatch
from histossl.patch_datasets.pictures import read_patch
from histossl.progress import Progress
from histossl.slides.guard import patches_limit_s
from histossl.stain.normaliser import Normaliser


@dataclass(frozen=True)
class PictureRun:
    """Some pictures of a data set; see `histossl.features.readers.Run`."""

    source: Path
    """The data set."""
    start: int
    """Number of its first picture."""
    patches: Sequence[LabelledPatch]
    geometry: Geometry
    """Pictures may be of any size: the readers bring each to the encoder's."""
    normaliser: Normaliser | None = None
    """Of the stain, (B, H, W, 3) uint8 to the same; None leaves it."""

    @property
    def path(self) -> Path:
        """The data set and which of its pictures, for sentences."""
        return Path(f"{self.source}, one of its patches {self.patches[0].name} to {self.patches[-1].name}")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, H, W, 3) as it is read."""
        return len(self.patches), self.geometry.input_px, self.geometry.input_px, 3

    @property
    def prepared(self) -> bool:
        """Whether it comes resized and cut to what the network takes."""
        return True

    @property
    def limit_s(self) -> int:
        """Processor time that reading it may take."""
        return patches_limit_s(len(self.patches) * (STAIN_TIMES if self.normaliser else 1))

    def read(self, start: int, out: np.ndarray) -> None:
        """Fill `out`, (n, H, W, 3) uint8, from picture `start` on.

        Raises:
            UserError: a picture is missing or damaged.
        """
        for place, patch in zip(out, self.patches[start : start + len(out)], strict=True):
            picture = read_patch(patch)
            if self.normaliser:
                picture = self.normaliser(picture[None])[0]
            place[:] = self.geometry.apply(picture)


def embed_patches(
    source: Path,
    patches: Sequence[LabelledPatch],
    readers: Readers,
    embedder: Embedder,
    progress: Progress,
    normaliser: Normaliser | None = None,
) -> np.ndarray:
    """Features of all pictures of the data set at `source`, (N, D) float32, in the order of `patches`.

    Raises:
        UserError: a picture cannot be read, or the encoder gives values that are not finite.
    """
    features = np.empty((len(patches), embedder.card.feature_dim), np.float32)
    runs = [
        PictureRun(source, start, patches[start : start + BATCH], embedder.geometry, normaliser)
        for start in range(0, len(patches), BATCH)
    ]
    for tries_left in reversed(range(TRIES)):
        failed = []
        for run, start, rows in embed_runs(runs, readers, embedder):
            if isinstance(rows, UserError):
                if not tries_left:
                    raise rows
                failed.append(run)
                continue
            first = run.start + start
            features[first : first + len(rows)] = rows
            progress.advance(len(rows), images=progress.done + len(rows))
        runs = failed
    return features


def write_patch_features(
    path: Path,
    features: np.ndarray,
    patches: Sequence[LabelledPatch],
    card: EncoderCard,
    facts: Mapping[str, str],
) -> None:
    """Write features and what is known of each patch, whole or not at all. `facts` become attributes."""
    with whole_file(path) as temporary, create_hdf5(temporary) as file:
        write_array(file, "features", features)
        write_array(file, "path", [patch.name for patch in patches])
        for column in ("label", "split", "group"):
            write_array(file, column, [getattr(patch, column) for patch in patches])
        write_array(file, "target", np.array([patch.target for patch in patches], np.float64))
        file.attrs.update({**preprocessing(card), **facts})
