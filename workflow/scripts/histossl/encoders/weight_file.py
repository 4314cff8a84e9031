"""Reading a file of weights without running code that it may hold."""

import argparse
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path, PosixPath

import numpy as np
import torch
from timm.models import load_state_dict

from histossl.errors import UserError

Tensors = dict[str, torch.Tensor]

# What training scripts leave beside the weights, and what is harmless to build: DINO's `args`, and the NumPy numbers
# of its schedules, which stand in the optimizer's state.
SCALAR = np.float64(0).__reduce__()[0]
HARMLESS = [
    argparse.Namespace,
    PosixPath,
    np.dtype,
    *{type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "?")},
    (SCALAR, "numpy.core.multiarray.scalar"),
    (SCALAR, "numpy._core.multiarray.scalar"),
]
LFS_POINTER = b"version https://git-lfs"


def read_weight_file(path: Path) -> Tensors:
    """All tensors of a checkpoint (`torch.save` or safetensors) by their path in it, e.g. `state_dict.conv1.weight`.

    Nothing but tensors and plain values is unpickled: a checkpoint of strangers can run no code.

    Raises:
        UserError: the file is missing, damaged, or holds objects that only its own code can load.
    """
    try:
        if path.suffix == ".safetensors":
            return load_state_dict(str(path))
        with torch.serialization.safe_globals(HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file of weights; correct `weights:`") from error
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        with path.open("rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise UserError(f"{path}: stands for a file in Git LFS; fetch that with `git lfs pull`") from error
        foreign = _foreign_objects(path) if isinstance(error, pickle.UnpicklingError) else ""
        if foreign:
            raise UserError(
                f"{path}: holds more than weights ({foreign}), and such objects could run code when loaded; if you "
                "trust the file, load it where that code is installed and save its dictionary of weights alone"
            ) from error
        raise UserError(f"{path}: not a readable file of weights ({type(error).__name__}); fetch it again") from error
    return dict(_flatten(content, ""))


def _foreign_objects(path: Path) -> str:
    """Names of up to three kinds of objects that are not loaded; empty where the file is damaged instead."""
    try:
        with torch.serialization.safe_globals(HARMLESS):
            return ", ".join(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))[:3])
    except Exception:  # not a file of torch's
        return ""


def _flatten(content: object, path: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        yield path, content.detach()
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flatten(value, f"{path}.{key}" if path else str(key))
