"""How the heads of a task are built and trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EarlyStopping:
    """When a head is trained no further, by its validation loss, as CLAM does it.

    Attributes:
        patience: epochs in a row without a lower loss.
        min_epochs: epochs that are trained in any case.
    """

    patience: int
    min_epochs: int


@dataclass(frozen=True)
class HeadSettings:
    """How heads are built and trained.

    Attributes:
        model: its name.
        epochs: passes over the training slides.
        learning_rate: of Adam, constant.
        weight_decay: of Adam (added to the gradient, as in CLAM).
        balanced: draw the slides of an epoch with replacement so that every class is equally likely; otherwise each
            slide is seen once an epoch.
        standardise: scale each feature by the mean and the standard deviation of all patches of the training slides.
            The field takes features as they come; small or untrained networks differ in scale by orders of
            magnitude, and one learning rate would then favour one of them.
        early_stopping: or None, to train all epochs.
        layers: the model's own settings, arguments of its constructor.
    """

    model: str
    epochs: int
    learning_rate: float
    weight_decay: float
    balanced: bool
    standardise: bool
    early_stopping: EarlyStopping | None
    layers: Mapping[str, Any]

    @classmethod
    def from_config(cls, settings: Mapping[str, Any]) -> "HeadSettings":
        """From the configuration's keys; those that are not common to all models are the model's own."""
        common = {name: settings[name] for name in cls.__dataclass_fields__ if name in settings}
        own = {name: value for name, value in settings.items() if name not in common}
        if common["early_stopping"] is not None:
            common["early_stopping"] = EarlyStopping(**common["early_stopping"])
        return cls(**common, layers=own)
