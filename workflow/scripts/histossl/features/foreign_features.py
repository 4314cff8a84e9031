"""Feature files that CLAM and TRIDENT made, and how they become ours.

CLAM's `h5_files/{name}.h5` holds `features` (N, D) and `coords` (N, 2) without attributes, its `pt_files/{name}.pt` the
features alone; TRIDENT's `{name}.h5` has its attributes of the patches at `coords`. Neither states µm/px.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from histossl.errors import UserError
from histossl.files import whole_file
from histossl.hdf5 import CHECKSUM, create_hdf5, read_array, write_array

UNKNOWN = -1
"""Coordinate of a patch whose place is not known."""


@dataclass(frozen=True)
class ForeignFeatures:
    """The features of one slide.

    Attributes:
        features: (N, D) float32; N may be 0.
        coords: (N, 2) int64, level-0 x and y; `UNKNOWN` where the file has none.
        attributes: what the file says of the patches.
    """

    features: np.ndarray
    coords: np.ndarray
    attributes: dict[str, Any] = field(default_factory=dict)


def read_foreign_features(path: Path) -> ForeignFeatures:
    """Read a feature file of CLAM or TRIDENT, half precision widened.

    Raises:
        UserError: it is damaged or unfinished, or is no file of patch features.
    """
    _check_finished(path)
    try:
        found = _read_pt(path) if path.suffix == ".pt" else _read_h5(path)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:  # h5py has many for a damaged file
        raise UserError(f"{path}: not a feature file of CLAM or TRIDENT ({error}); make it again") from error
    broken = int(np.count_nonzero(~np.isfinite(found.features).all(axis=1)))
    if broken:
        raise UserError(
            f"{path}: the features of {broken} of {len(found.features)} patches are not finite; make it again"
        )
    return found


def describe_features(paths: Iterable[Path]) -> dict[str, Any]:
    """What can be known of an encoder from the first of its feature files that can be read and has patches.

    Raises:
        UserError: there is none.
    """
    last = UserError("no feature file was found")
    for path in paths:
        try:
            features = read_foreign_features(path).features
        except UserError as error:
            last = error
            continue
        if len(features):
            return {
                "method": "imported",
                "feature_dim": features.shape[1],
                "spacing_um": [],
                "note": "Made elsewhere: such files state neither the network nor the patches' µm/px.",
            }
        last = UserError(f"{path}: has no patches, and no file beside it has; make the features again")
    raise last


def write_foreign_features(path: Path, found: ForeignFeatures, slide: str, facts: dict[str, str]) -> None:
    """Write features as `histossl.features.slide_features` lays them out, whole or not at all.

    Args:
        path: HDF5 to write.
        found: the features.
        slide: id.
        facts: attributes: the encoder's name, the file they are from, the fingerprint, the reason where there are none.
    """
    with whole_file(path) as temporary, create_hdf5(temporary) as file:
        features = write_array(file, "features", found.features)
        features.attrs.update(encoder=facts["encoder"], name=slide, savetodir="")
        coords = write_array(file, "coords", found.coords)
        coords.attrs.update({**found.attributes, "name": slide})
        file.attrs.update(facts)


def no_features(width: int) -> ForeignFeatures:
    """Those of a slide that is left out."""
    return ForeignFeatures(np.zeros((0, width), np.float32), np.zeros((0, 2), np.int64))


def check_width(path: Path, found: ForeignFeatures, width: int) -> None:
    """Make sure that a slide has as many features a patch as the others.

    Raises:
        UserError: it has not; no fault of the slide, which would be left out for it.
    """
    own = found.features.shape[1]
    if len(found.features) and own != width:
        raise UserError(
            f"{path} has {own} features a patch, files beside it have {width}; give each encoder a folder of its own"
        )


def fingerprint_import(path: Path, code: str) -> str:
    """Fingerprint of what an import depends on; the file counts by path, size and time of change."""
    status = path.stat()
    return hashlib.sha256(json.dumps([str(path), status.st_size, status.st_mtime_ns, code]).encode()).hexdigest()


def _check_finished(path: Path) -> None:
    """CLAM writes the `.h5` batch by batch and the `.pt` at the end: one without the other was broken off."""
    last = path.parent.parent / "pt_files"
    finished = (last / path.name).with_suffix(".pt").exists()
    if path.parent.name == "h5_files" and not finished and last.is_dir() and any(last.iterdir()):
        raise UserError(f"{path}: CLAM has not finished it, for there is none in {last}; make it again")


def _read_h5(path: Path) -> ForeignFeatures:
    with h5py.File(path, "r") as file:
        for name in ("features", "coords"):
            if name not in file:
                raise ValueError(f"it has no {name!r}, but {', '.join(file) or 'nothing'}")
        features, coords = _drop_batch(read_array(file, "features")), _drop_batch(read_array(file, "coords"))
        attributes = dict(file["coords"].attrs)
        attributes.pop(CHECKSUM, None)
    features = _check_features(features)
    if coords.shape != (len(features), 2) or coords.dtype.kind not in "iu":
        raise ValueError(f"{len(features)} patches have coords of shape {coords.shape} and type {coords.dtype}")
    return ForeignFeatures(features, coords.astype(np.int64), attributes)


def _read_pt(path: Path) -> ForeignFeatures:
    import torch  # not before: it takes seconds

    try:
        tensor = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ValueError(f"{type(error).__name__} from torch.load with weights_only") from error
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"it holds a {type(tensor).__name__} instead of a tensor")
    features = _check_features(_drop_batch(tensor.detach().float().numpy() if tensor.is_floating_point() else tensor))
    return ForeignFeatures(features, np.full((len(features), 2), UNKNOWN, np.int64))


def _drop_batch(array: Any) -> Any:  # noqa: ANN401
    """Published files may have a first axis of length 1, as a batch of one bag."""
    return array[0] if array.ndim == 3 and len(array) == 1 else array


def _check_features(features: Any) -> np.ndarray:  # noqa: ANN401
    if not isinstance(features, np.ndarray) or features.dtype.kind != "f":
        raise ValueError(f"its features are of type {features.dtype}")
    if features.ndim != 2:
        raise ValueError(f"its features have the shape {features.shape} instead of patches x numbers")
    with np.errstate(over="ignore"):  # what becomes infinite is told of later
        return features.astype(np.float32, copy=False)
