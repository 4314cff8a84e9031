"""`encoder.pt`: weights together with all one needs to use them rightly."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from histossl.encoders.backbone import build_backbone
from histossl.errors import UserError
from histossl.files import whole_file

FORMAT = "histossl-encoder-1"


@dataclass(frozen=True)
class EncoderCard:
    """What an encoder is, and what its input must look like."""

    model: str
    """Name as timm knows it."""
    model_args: dict[str, Any]
    mean: tuple[float, float, float]
    """Of each channel, RGB in 0..1; subtracted from the input."""
    std: tuple[float, float, float]
    input_px: int
    """Side of the square image the network is given."""
    spacing_um: float | None
    """Physical size of a pixel of the patches it was trained on, µm; None where unknown, e.g. ImageNet."""
    feature_dim: int
    method: str
    """`dino`, `simclr`, ..., `untrained`, or `timm` for weights published with timm."""
    training: dict[str, Any]
    """The settings it was trained with; empty for a network that was not trained here."""
    data_hash: str
    """Fingerprint of the patches it was trained on; empty for a network that was not trained here."""


def save_encoder(path: Path, card: EncoderCard, backbone: nn.Module) -> None:
    """Write `encoder.pt`, whole or not at all. Only plain values and tensors: it loads with `weights_only=True`."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in backbone.state_dict().items()}
    card_values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(card).items()}
    with whole_file(path) as temporary:
        torch.save(
            {"format": FORMAT, "card": card_values, "weights": weights, "sha256": hash_weights(weights)}, temporary
        )


def load_encoder(path: Path) -> tuple[nn.Module, EncoderCard, str]:
    """Read `encoder.pt`.

    Returns:
        The network in evaluation mode, its card, and the SHA-256 of its weights.

    Raises:
        UserError: the file is missing, damaged, or not an encoder of this project.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such encoder file; the rules `pretrain` and `export_encoder` write it") from error
    except Exception as error:  # torch raises many kinds for a damaged file
        raise UserError(f"{path}: not a readable encoder file ({type(error).__name__}); delete it and rerun") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: not an encoder file of the format {FORMAT!r}; delete it and rerun")
    weights_hash = hash_weights(content["weights"])
    if weights_hash != content["sha256"]:
        # torch.load does not look at the checksums of its own format.
        raise UserError(f"{path}: its weights have changed since they were written; delete it and rerun")
    values = content["card"]
    card = EncoderCard(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})
    backbone = build_backbone(card.model, card.model_args, seed=0)
    try:
        backbone.load_state_dict(content["weights"])
    except RuntimeError as error:
        raise UserError(f"{path}: its weights do not fit {card.model!r} of this timm; delete it and rerun") from error
    return backbone.eval(), card, weights_hash


def hash_weights(weights: dict[str, torch.Tensor]) -> str:
    """SHA-256 over names and values: equal weights have equal hashes, whatever file they came from."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
