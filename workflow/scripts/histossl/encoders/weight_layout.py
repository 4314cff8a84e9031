"""A network's weights among the tensors of a file, wherever in it they lie.

Files of timm and torchvision are read, and checkpoints of DINO (also HIPT's and those of Chen & Krishnan 2022),
lightly, SimCLR, MoCo and their like. They differ in what stands before a weight's name (`teacher.module.backbone.`,
`state_dict.backbone.vit.`, ...), and a ResNet taken apart into a `nn.Sequential` has numbers for names. Both are found
from the network's own names, so that no list of layouts is needed.
"""

import math
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from histossl.encoders.weight_file import Tensors
from histossl.errors import UserError

CHANGES_THE_NETWORK = {"dist_token", "reg_token", "register_tokens"}
"""Tokens that are parts of a trunk, whatever it is."""


class NotFoundError(UserError):
    """The file lacks weights of the network under the names that the network gives them."""


@dataclass(frozen=True)
class Place:
    """Where in a file a network lies."""

    prefix: str
    """What stands before the name of each weight."""
    counted: bool
    """The network's parts are numbered instead of named, as in `nn.Sequential(*network.children())`."""
    held: int
    """How many of the network's weights are there."""


def find_network(tensors: Tensors, network: nn.Module) -> Place | None:
    """Where the weights of `network` lie among `tensors`; None where most are not there by their names.

    Of copies that are equally whole, a moving average is taken, then what has no role in its name, then a teacher: so
    DINO gives its teacher, and MoCo and BYOL the network that was trained.
    """
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    convolution = next((name for name, shape in shapes.items() if len(shape) == 4), next(iter(shapes)))
    places = []
    for counted in (False, True):
        names = spell(list(shapes), network, counted)
        anchor = spell([convolution], network, counted)[0]
        for key in sorted(tensors):
            if key == anchor or key.endswith(f".{anchor}"):
                prefix = key.removesuffix(anchor)
                places.append(Place(prefix, counted, sum(prefix + name in tensors for name in names)))
    best = max(places, key=lambda place: (place.held, _rank(place.prefix)), default=None)
    return best if best and 2 * best.held > len(shapes) else None


def _rank(prefix: str) -> int:
    words = set(re.split(r"[._]", prefix))
    if "ema" in words:
        return 3
    if words & {"student", "momentum", "target", "k"}:
        return 0
    return 1 if "teacher" in words else 2


def spell(names: Sequence[str], network: nn.Module, counted: bool) -> list[str]:
    """`names` of weights as a file has them: as they are, or with the number of each part instead of its name."""
    if not counted:
        return list(names)
    number = {name: str(index) for index, (name, _) in enumerate(network.named_children())}
    parts = [name.partition(".") for name in names]
    return [number.get(first, first) + dot + rest for first, dot, rest in parts]


def load_weights(network: nn.Module, tensors: Tensors, place: Place, source: str, strict: bool = True) -> list[str]:
    """Take every weight of `network` from a file; what is left over must be no part of the same trunk.

    Args:
        network: takes the weights; whole blocks of it may have been cut off.
        tensors: from `read_weight_file`.
        place: from `find_network`.
        source: the file and the model, for messages.
        strict: otherwise weights that the file lacks stay as they are, and what it has besides is passed over.

    Returns:
        The names, as in the file, of weights that it lacks or has besides; none where `strict`.

    Raises:
        NotFoundError: the file lacks a weight.
        UserError: a weight has another shape, or the file's network has more parts than `network`.
    """
    names = list(network.state_dict())
    spelled = spell(names, network, place.counted)
    keys = {name: place.prefix + as_in_file for name, as_in_file in zip(names, spelled, strict=True)}
    # Older files of torch do not count batches; the number has no part in the output.
    missing = [key for name, key in keys.items() if key not in tensors and not name.endswith("num_batches_tracked")]
    if missing and strict:
        raise NotFoundError(
            f"{source}: the file lacks {len(missing)} of {len(keys)} weights, {_first(missing)}; name the model that "
            "it was made from, with its `model_args`, cut a ResNet with `last_block`, or say `strict: false`"
        )
    used = set(keys.values())
    left = [key for key in tensors if key not in used]
    extra = _extra([key for key in left if key.startswith(place.prefix)], set(spelled), place)
    if extra and strict:
        raise UserError(
            f"{source}: the file's network has {len(extra)} weights that this model has not, {_first(extra)}; name the "
            "model that it was made from, with its `model_args`, or say `strict: false`"
        )
    values = {name: tensors[key] for name, key in keys.items() if key in tensors}
    own = network.state_dict()
    if "pos_embed" in values and values["pos_embed"].shape != own["pos_embed"].shape:
        print(f"{source}: position embeddings are resampled for the model's img_size", file=sys.stderr)
        values["pos_embed"] = _fit_positions(values["pos_embed"], network)
    for name, value in values.items():
        if value.shape != own[name].shape:
            raise UserError(
                f"{source}: {keys[name]!r} has the shape {tuple(value.shape)}, but the model needs "
                f"{tuple(own[name].shape)}; name the model that the file was made from, with its `model_args`"
            )
    network.load_state_dict({**own, **values})
    counts = Counter(key.removeprefix(place.prefix).partition(".")[0] for key in left)
    rest = ", ".join(f"{name} ({count})" for name, count in counts.most_common(8))
    print(f"{source}: weights under {place.prefix!r}; not used: {rest or 'none'}", file=sys.stderr)
    if missing:
        print(f"{source}: left random, as the file lacks them: {', '.join(missing)}", file=sys.stderr)
    if extra:
        print(f"{source}: passed over, as this model has not: {', '.join(extra)}", file=sys.stderr)
    return missing + extra


def _first(keys: Sequence[str]) -> str:
    return f"first {', '.join(map(repr, keys[:3]))}"


def _extra(left: Sequence[str], known: set[str], place: Place) -> list[str]:
    """Those of `left` that belong to a part that weights beside the `known` ones are of; heads do not."""
    trunk = {name.partition(".")[0] for name in known} | CHANGES_THE_NETWORK
    return [key for key in left if key.removeprefix(place.prefix).partition(".")[0] in trunk]


def _fit_positions(positions: torch.Tensor, network: nn.Module) -> torch.Tensor:
    """Position embeddings for the grid of `network`; as they are where they are none of a square grid."""
    grid: Any = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    prefix = 0 if getattr(network, "no_embed_class", False) else getattr(network, "num_prefix_tokens", 1)
    patches = positions.shape[1] - prefix if positions.ndim == 3 else -1
    if grid is None or patches < 1 or math.isqrt(patches) ** 2 != patches:
        return positions
    return resample_positions(positions, grid, prefix)


def resample_positions(positions: torch.Tensor, grid: tuple[int, int], prefix: int) -> torch.Tensor:
    """Position embeddings (1, prefix + n * n, D) for another grid, by the formula of DINO's code (Caron et al. 2021).

    timm's own resampling, which `dynamic_img_size` uses with each picture, has another bicubic kernel and other sample
    points; on going from 14 x 14 to 16 x 16 the two differ by about a twentieth of the embeddings' spread.
    """
    side = math.isqrt(positions.shape[1] - prefix)
    square = positions[:, prefix:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    # A tenth of a patch more: the original's guard against rounding, and a part of where it samples.
    scale = tuple((length + 0.1) / side for length in grid)
    fitted = nn.functional.interpolate(square, scale_factor=scale, mode="bicubic")
    return torch.cat([positions[:, :prefix], fitted.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
