"""What a network's pictures must look like: its own settings, unless the config states others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timm.data import resolve_data_config

from histossl.errors import UserError

INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class Preprocessing:
    """Fields of `EncoderCard`, which explains them."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    input_px: int
    resize_px: int
    interpolation: str


def resolve_preprocessing(
    stated: Mapping[str, Any], published: Mapping[str, Any], img_size: int | list[int] | None = None
) -> Preprocessing:
    """Fill in what the config leaves open.

    Args:
        stated: `mean`, `std`, `input_px`, `resize_px` and `interpolation` of the config, None where it leaves one open.
        published: of the model, in timm's words: `input_size`, `crop_pct`, `interpolation`, `mean`, `std`.
        img_size: of the network, where its arguments state it.

    Returns:
        All of it. Where only `input_px` is stated, pictures are brought to that size and nothing is cropped; where
        neither is, as timm does: to `input_px / crop_pct`, cropped to `input_px`.

    Raises:
        UserError: pictures would be smaller than the network's input, or brought to it in a way that is not done here.
    """
    own = resolve_data_config(pretrained_cfg=dict(published))
    size = stated["input_px"] or (img_size[-1] if isinstance(img_size, list) else img_size)
    input_px = size or own["input_size"][-1]
    resize_px = stated["resize_px"] or size or int(input_px / own["crop_pct"])
    interpolation = stated["interpolation"] or own["interpolation"]
    if resize_px < input_px:
        raise UserError(
            f"the encoder's pictures are brought to {resize_px} px, but its input has {input_px} px; make `resize_px:` "
            "no smaller than `input_px:`"
        )
    if interpolation not in INTERPOLATIONS:
        raise UserError(
            f"the model's own interpolation is {interpolation!r}, which is not done here; state `interpolation:` as "
            f"{' or '.join(INTERPOLATIONS)}"
        )
    mean, std = tuple(stated["mean"] or own["mean"]), tuple(stated["std"] or own["std"])
    return Preprocessing(mean, std, input_px, resize_px, interpolation)
