"""`encoder.pt`: weights together with all one needs to use them rightly, and `encoder.json`, the same without them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from histossl.encoders.backbone import build_backbone
from histossl.errors import UserError
from histossl.files import whole_file, write_text_whole

FORMAT = "histossl-encoder-1"
TUPLES = ("mean", "std", "slides", "spacing_um", "unmatched")
"""Of a card; JSON and torch have lists."""


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
    spacing_um: tuple[float, ...]
    """Scales of the patches it was trained on, µm/px; empty where that has no meaning, e.g. ImageNet."""
    feature_dim: int
    method: str
    """`dino`, `simclr`, ..., `untrained`, or `timm` for weights published with timm."""
    training: dict[str, Any]
    """The settings it was trained with; empty for a network that was not trained here."""
    data_hash: str
    """Fingerprint of the patches it was trained on; empty for a network that was not trained here."""
    patch_px: int | None = None
    """Side of the patches it was trained on, px; None for a network that was not trained here."""
    slides: tuple[str, ...] = ()
    """The slides whose patches it was trained on; empty for a network that was not trained here."""
    last_block: str | None = None
    """Where a ResNet was cut; see `histossl.encoders.backbone`."""
    resize_px: int | None = None
    """Length that the shorter side of a patch is brought to before `input_px` are cut from its middle; None takes
    `input_px`, so that nothing is cut off a square."""
    interpolation: str = "bilinear"
    """How it is brought to that length: `bilinear` or `bicubic`, with antialiasing, as Pillow does."""
    pooling: str = ""
    """How tokens become one vector: empty is the network's own way; see `histossl.encoders.pooling`."""
    unmatched: tuple[str, ...] = ()
    """Weights that were left random or passed over when a file was read with `strict: false`."""


def save_encoder(
    path: Path, card: EncoderCard, backbone: nn.Module, curve: Sequence[Mapping[str, object]] = ()
) -> None:
    """Write `encoder.pt` and its card as JSON beside it, each whole or not at all.

    Only plain values and tensors are in it: it loads with `weights_only=True`.

    Args:
        path: `encoder.pt`; the card goes to `encoder.json`.
        card: what it is.
        backbone: the network.
        curve: the lines of the training curve; their numbers are kept, as one column a figure.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in backbone.state_dict().items()}
    card_values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(card).items()}
    content = {
        "format": FORMAT,
        "card": card_values,
        "weights": weights,
        "sha256": hash_weights(weights),
        "curve": _columns(curve),
    }
    write_text_whole(path.with_suffix(".json"), json.dumps(card_values, indent=1, ensure_ascii=False) + "\n")
    with whole_file(path) as temporary, temporary.open("wb") as file:  # torch's own writer hides why it fails
        torch.save(content, file)


def _columns(curve: Sequence[Mapping[str, object]]) -> dict[str, torch.Tensor]:
    """Each figure of the curve as a column (rows,) float64, NaN where a row has none: small and quick to load."""
    names = dict.fromkeys(name for row in curve for name, value in row.items() if _is_number(value))
    rows = [[float(row[name]) if _is_number(row.get(name)) else float("nan") for name in names] for row in curve]
    return {name: torch.tensor([row[index] for row in rows], dtype=torch.float64) for index, name in enumerate(names)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    tuples = {key: tuple(values[key]) for key in TUPLES if key in values}
    card = EncoderCard(**{**values, **tuples})
    backbone = build_backbone(card.model, card.model_args, seed=0, last_block=card.last_block, pooling=card.pooling)
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
