"""What a pretraining run is asked to do, checked as far as it can be without the patches."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from histossl.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class ViewSettings:
    """One kind of crop; `count` of them are made from every patch."""

    count: int
    px: int
    """Side of the square picture the network is given."""
    scale: tuple[float, float]
    """Smallest and largest share of the patch's area that a crop covers."""
    blur_probability: float
    solarise_probability: float


@dataclass(frozen=True)
class AugmentationSettings:
    """What is done to a patch to make views of it. Colours are in 0..1."""

    views: tuple[ViewSettings, ...]
    aspect: tuple[float, float]
    """Smallest and largest ratio of a crop's width to its height."""
    jitter_probability: float
    brightness: float
    contrast: float
    saturation: float
    """Each factor is drawn from 1 - value to 1 + value, as torchvision's ColorJitter does."""
    hue: float
    """Largest turn of the hue, as a share of the full circle."""
    stain_probability: float
    stain_scale: float
    """The amount of each stain is multiplied by a factor from 1 - value to 1 + value."""
    stain_shift: float
    """A value up to this is added to the amount of each stain (optical density, natural logarithm)."""
    grayscale_probability: float
    blur_sigma: tuple[float, float]
    """Smallest and largest standard deviation of the Gaussian, px of the view."""


@dataclass(frozen=True)
class HealthSettings:
    """How a run is examined; see `histossl.ssl.health`."""

    every_steps: int
    patches: int
    """Patches of the run's own that the encoder is examined on, the same each time."""
    on_collapse: str
    """`stop` or `continue`."""
    knn: str | None
    """Patch data set, or `dataset:split`, whose labels the nearest neighbours are to tell."""
    knn_patches: int | None
    """At most so many of them; None without `knn`."""


@dataclass(frozen=True)
class PretrainSettings:
    """One pretraining run. Everything here changes the result; what only changes speed is not here."""

    method: str
    method_settings: dict[str, Any]
    model: str
    model_args: dict[str, Any]
    training_args: dict[str, Any]
    """More arguments to timm that hold in training alone and add no weights, e.g. `drop_path_rate`."""
    input_px: int
    """Side of the pictures that the finished encoder is given."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    seed: int
    batch: int
    """Patches a step over all processes together."""
    accumulate: int
    """Parts that a batch is worked through in, for networks whose batch doesn't fit into memory. Batch norm and what
    compares samples with each other (SimCLR's negatives, KoLeo) see a part at a time."""
    epochs: float | None
    steps: int | None
    """Length of the run; one of the two is given."""
    sampling: str
    """`uniform`: each patch once an epoch; `slide_balanced`: each slide equally often."""
    optimizer: str
    learning_rate: float
    """The peak, reached after the warm-up; not scaled by the batch."""
    final_learning_rate: float
    warmup_epochs: float
    weight_decay: float
    final_weight_decay: float
    gradient_clip: float | None
    precision: str
    augmentation: AugmentationSettings
    health: HealthSettings


def read_settings(values: dict[str, Any], methods: Collection[str]) -> PretrainSettings:
    """Turn the JSON of `--settings` into `PretrainSettings`.

    Args:
        values: keys as the fields of `PretrainSettings`, but for `method_settings`, which stands under the method's
            own name: `{"method": "dino", "dino": {...}, ...}`. Settings of other methods are passed over.
        methods: the methods there are.

    Raises:
        UserError: a key is missing or unknown, or a value is out of range.
    """
    method = values.get("method")
    if method not in methods:
        raise UserError(f"pretraining method {method!r} is unknown; choose one of {', '.join(sorted(methods))}")
    plain = {key: value for key, value in values.items() if key not in methods}
    plain["augmentation"] = read_augmentation(plain.get("augmentation", {}))
    plain["health"] = fill(HealthSettings, plain.get("health", {}), "health")
    settings = fill(PretrainSettings, {**plain, "method_settings": values.get(method, {})}, "pretraining")
    check(settings)
    return settings


def read_augmentation(values: dict[str, Any]) -> AugmentationSettings:
    """Turn the settings under `augmentation` into `AugmentationSettings`.

    Raises:
        UserError: a key is missing or unknown.
    """
    views = tuple(
        fill(ViewSettings, {**view, "scale": tuple(view.get("scale", ()))}, "augmentation.views")
        for view in values.get("views", ())
    )
    return fill(AugmentationSettings, {**values, "views": views}, "augmentation")


def check(settings: PretrainSettings) -> None:
    """Raise a UserError where values contradict each other."""
    if (settings.epochs is None) == (settings.steps is None):
        raise UserError(
            f"pretraining has epochs={settings.epochs} and steps={settings.steps}; give exactly one of the two"
        )
    if settings.batch % settings.accumulate:
        raise UserError(
            f"a batch of {settings.batch} can't be worked through in {settings.accumulate} parts of one size; "
            "change `batch` or `accumulate`"
        )
    if settings.epochs is not None and settings.warmup_epochs >= settings.epochs:
        raise UserError(
            f"warmup_epochs is {settings.warmup_epochs:g} in a run of {settings.epochs:g} epochs, so that the learning "
            "rate would never fall; lower `warmup_epochs` or raise `epochs`"
        )
    choices = {
        "sampling": ("uniform", "slide_balanced"),
        "optimizer": ("adamw", "lars", "sgd"),
        "precision": ("fp32", "bf16", "fp16"),
    }
    for key, allowed in choices.items():
        if getattr(settings, key) not in allowed:
            raise UserError(
                f"pretraining setting {key!r} is {getattr(settings, key)!r}; choose one of {', '.join(allowed)}"
            )
    for view in settings.augmentation.views:
        if not 0 < view.scale[0] <= view.scale[1] <= 1:
            raise UserError(f"a view's scale is {list(view.scale)}; give two shares of the area, 0 < low <= high <= 1")


def fill(kind: type[T], values: dict[str, Any], where: str) -> T:
    """Make the dataclass `kind` of exactly the keys it has.

    Raises:
        UserError: a key is missing or unknown; `where` says in which part of the settings.
    """
    names = {field.name for field in fields(kind)}
    if names != set(values):
        missing, unknown = sorted(names - set(values)), sorted(set(values) - names)
        raise UserError(
            f"the settings of {where} don't fit:"
            + (f" missing {', '.join(missing)};" if missing else "")
            + (f" unknown {', '.join(unknown)};" if unknown else "")
            + " see the configuration reference"
        )
    return kind(**values)
