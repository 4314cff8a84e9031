"""Networks by their timm name."""

import difflib
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from histossl.errors import UserError


def build_backbone(
    model: str,
    model_args: dict[str, Any],
    seed: int,
    pretrained: bool | str = False,
    training_args: dict[str, Any] | None = None,
) -> nn.Module:
    """Build a network that maps images to one feature vector each, without a classification head.

    Args:
        model: name as timm knows it, e.g. `vit_small_patch16_224` or `resnet50`.
        model_args: passed on to timm, e.g. `{"img_size": 64, "depth": 4}`.
        seed: of the random initial weights. The same seed gives the same start, so that the untrained control of an
            encoder is exactly the network its training began from.
        pretrained: True downloads timm's weights; a text is the path of a weight file.
        training_args: more timm arguments that matter in training alone, e.g. `drop_path_rate`; they add no weights.

    Returns:
        A module: (B, 3, H, W) float -> (B, D) float.

    Raises:
        UserError: timm knows no such model, rejects an argument, or its weights cannot be had.
    """
    if not timm.is_model(model):
        near = difflib.get_close_matches(model, timm.list_models(), n=5)
        hint = f"near it are {', '.join(near)}" if near else "timm.list_models() lists the names"
        raise UserError(f"encoder model {model!r} is not known to timm {timm.__version__}; {hint}")
    if isinstance(pretrained, str) and not Path(pretrained).is_file():
        raise UserError(f"{pretrained!r}: no such file of weights for {model!r}; correct `weights:`")
    network = _create(model, seed, pretrained, {**model_args, **(training_args or {})})
    if isinstance(pretrained, str):
        _check_loaded(network, _create(model, seed + 1, pretrained, model_args), model, pretrained)
    return network


def _create(model: str, seed: int, pretrained: bool | str, arguments: dict[str, Any]) -> nn.Module:
    overlay = {"file": pretrained} if isinstance(pretrained, str) else None
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        return timm.create_model(
            model,
            pretrained=bool(pretrained),
            pretrained_cfg_overlay=overlay,
            num_classes=0,
            **arguments,
        )
    except Exception as error:  # networks check their arguments, and files are damaged, in many ways
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if isinstance(error, TypeError) or not pretrained:
            raise UserError(
                f"encoder model {model!r} cannot be built with the arguments {arguments} ({said}); "
                "correct `model_args:`"
            ) from error
        raise UserError(
            f"the weights of {model!r} could not be loaded ({said}); give a local file as `weights:`, "
            "or run once with network access"
        ) from error
    finally:
        torch.set_rng_state(state)


def _check_loaded(network: nn.Module, other: nn.Module, model: str, weights: str) -> None:
    """Refuse a file that lacks weights: timm passes over these in silence, and they still depend on the seed."""
    twins = other.state_dict()
    random = [name for name, values in network.state_dict().items() if not torch.equal(values, twins[name])]
    if random:
        raise UserError(f"{weights}: lacks {len(random)} weights of {model!r}, e.g. {random[0]}; give its own file")


def count_features(backbone: nn.Module, input_px: int) -> int:
    """Length of the feature vector that `backbone` gives for square images of `input_px`.

    Raises:
        UserError: the network takes no images of that size, or gives more than one vector an image.
    """
    was_training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            features = backbone(torch.zeros(1, 3, input_px, input_px))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"the encoder takes no images of {input_px} x {input_px} px ({error}); correct `input_px:`"
        ) from error
    finally:
        backbone.train(was_training)
    if features.ndim != 2:
        raise UserError(f"the encoder gives features of the shape {tuple(features.shape[1:])}; set `global_pool:`")
    return int(features.shape[1])
