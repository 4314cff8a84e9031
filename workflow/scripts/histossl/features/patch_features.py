"""`results/features/{encoder}/patches/{dataset}.h5`: the feature vectors of a patch data set, in its order."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch

from histossl.encoders.encoder_file import EncoderCard
from histossl.features.embed import Embedder
from histossl.features.prefetch import prefetch
from histossl.features.resize import resize
from histossl.files import whole_file
from histossl.patch_datasets.listing import LabelledPatch
from histossl.patch_datasets.pictures import read_picture


def embed_patches(patches: Sequence[LabelledPatch], embedder: Embedder, batch: int, threads: int) -> np.ndarray:
    """Features of all pictures, (N, D) float32, in the order of `patches`.

    Pictures of different sizes are allowed: each is brought to the encoder's input size.
    """
    side = embedder.card.input_px

    def read(some: Sequence[LabelledPatch]) -> np.ndarray:
        pictures = [torch.from_numpy(read_picture(patch.path)).permute(2, 0, 1)[None] for patch in some]
        return torch.cat([resize(picture, side) for picture in pictures]).permute(0, 2, 3, 1).numpy()

    return embedder.embed_all(prefetch(read, [patches[i : i + batch] for i in range(0, len(patches), batch)], threads))


def write_patch_features(
    path: Path, features: np.ndarray, patches: Sequence[LabelledPatch], card: EncoderCard, facts: dict[str, str]
) -> None:
    """Write features and what is known of each patch, whole or not at all. `facts` become attributes."""
    with whole_file(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("features", data=features)
        text = h5py.string_dtype("utf-8")
        file.create_dataset("path", data=[patch.name for patch in patches], dtype=text)
        for column in ("label", "split", "group"):
            file.create_dataset(column, data=[getattr(patch, column) for patch in patches], dtype=text)
        file.create_dataset("target", data=[patch.target for patch in patches], dtype=np.float64)
        file.attrs.update(model=card.model, mean=card.mean, std=card.std, input_px=card.input_px, **facts)
