"""The heads by their names in the configuration."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from histossl.mil.clam import ClamMB, ClamSB
from histossl.mil.dsmil import Dsmil
from histossl.mil.heads import BagClassifier
from histossl.mil.transmil import TransMil

MODELS: dict[str, type[nn.Module]] = {"clam_sb": ClamSB, "clam_mb": ClamMB, "transmil": TransMil, "dsmil": Dsmil}
POOLINGS = ("abmil", "mean", "max")
"""Models that are one class and differ in the pooling."""


def build_model(name: str, features: int, classes: int, layers: Mapping[str, Any]) -> nn.Module:
    """A head with fresh weights, drawn from torch's global random state.

    `forward` of a bag (N, D), N > 0, gives logits (classes,) and attention (N,); `loss(bag, target)` a scalar.

    Args:
        name: of the model.
        features: width of the patch features.
        classes: number of classes.
        layers: the model's own settings.
    """
    if name in POOLINGS:
        return BagClassifier(name, features, classes, **layers)
    return MODELS[name](features, classes, **layers)
