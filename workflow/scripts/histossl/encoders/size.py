"""How large the network of an encoder file is."""

from pathlib import Path

import torch

from histossl.errors import UserError

STATISTICS = ("running_mean", "running_var")
"""Of batch normalisation: stored beside the parameters, not learned."""


def count_parameters(path: Path) -> int:
    """Number of parameters in `encoder.pt`, without building the network or reading its weights.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["weights"]
    except Exception as error:  # torch raises many kinds for a damaged file
        raise UserError(f"{path}: not a readable encoder file ({type(error).__name__}); delete it and rerun") from error
    return sum(
        tensor.numel()
        for name, tensor in weights.items()
        if tensor.is_floating_point() and name.rpartition(".")[2] not in STATISTICS
    )
