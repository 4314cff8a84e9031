"""Train bag classifiers over every fold, fraction and seed of a task, and predict the slides each has not seen."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from histossl.errors import UserError
from histossl.mil.bags import Bag
from histossl.mil.heads import BagClassifier
from histossl.progress import Progress
from histossl.splits.split_file import Member


@dataclass(frozen=True)
class HeadSettings:
    """How one head is built and trained.

    Attributes:
        model: `abmil`, `mean` or `max`.
        epochs: passes over the training slides.
        learning_rate: of Adam, constant.
        weight_decay: of Adam (added to the gradient, as in CLAM).
        hidden: units of the patch embedding.
        attention: units of each attention gate.
        dropout: probability of dropping a unit in training.
        balanced: draw the slides of an epoch with replacement so that every class is equally likely; otherwise each
            slide is seen once an epoch.
        standardise: scale each feature by the mean and the standard deviation of all patches of the training slides.
            The field takes features as they come; small or untrained networks differ in scale by orders of
            magnitude, and one learning rate would then favour one of them.
    """

    model: str
    epochs: int
    learning_rate: float
    weight_decay: float
    hidden: int
    attention: int
    dropout: float
    balanced: bool
    standardise: bool


@dataclass(frozen=True)
class TestedSlide:
    """A slide of the test set as the head that has not seen its patient judged it.

    Attributes:
        member: fraction, fold, slide, patient, label.
        seed: the seed of the settings by which the head was trained.
        probabilities: one for each class, in the order of the class names.
        attention: (N,) weights of the patches, which sum to one; empty for a slide without patches.
    """

    member: Member
    seed: int
    probabilities: np.ndarray
    attention: np.ndarray


class PatchSums:
    """Sums over the patches of each slide, so that the scale of any set of slides is known without another pass."""

    def __init__(self, bags: Mapping[str, Bag]) -> None:
        self.count = {slide: len(bag.features) for slide, bag in bags.items()}
        self.sum = {slide: bag.features.sum(axis=0, dtype=np.float64) for slide, bag in bags.items()}
        self.square = {slide: np.square(bag.features, dtype=np.float64).sum(axis=0) for slide, bag in bags.items()}

    def scale(self, slides: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each feature over all patches of `slides`; 1 where a feature is constant."""
        count = sum(self.count[slide] for slide in slides)
        mean = np.sum([self.sum[slide] for slide in slides], axis=0) / count
        variance = np.sum([self.square[slide] for slide in slides], axis=0) / count - mean**2
        # Rounding leaves a constant feature with a tiny variance instead of none; dividing by it would blow up noise.
        constant = variance <= 1e-10 * mean**2
        deviation = np.sqrt(np.where(constant, 1.0, variance))
        return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(deviation.astype(np.float32))


def cross_validate(
    members: Sequence[Member],
    bags: Mapping[str, Bag],
    settings: HeadSettings,
    seeds: Sequence[int],
    task: str,
    device: torch.device,
    label: str,
) -> Iterator[TestedSlide]:
    """Train one head for each fraction, fold and seed; yield its judgement of every slide of its test set.

    A slide without patches takes no part in training. In the test set it gets the class frequencies of the training
    slides: it stays in the table, so that encoders are compared on the same slides, and it is judged as a guess is.

    The random state of a head depends on the task, fraction, fold and seed alone: neither the order of execution nor
    the encoder changes it, and heads of different encoders start from the same numbers.

    Args:
        members: the splits.
        bags: the patches of each slide.
        settings: how each head is built and trained.
        seeds: repeat everything with each of these.
        task: name of the task, which enters the random state.
        device: where to compute.
        label: what the progress lines begin with.

    Raises:
        UserError: a class has no slide with patches in a training set.
    """
    classes = sorted({member.label for member in members})
    sums = PatchSums(bags) if settings.standardise else None
    tensors = {slide: torch.from_numpy(bag.features) for slide, bag in bags.items()}
    runs: dict[tuple[int, float, int], dict[str, list[Member]]] = {}
    for member in members:
        sets = runs.setdefault((member.repeat, member.fraction, member.fold), {"train": [], "val": [], "test": []})
        sets[member.set].append(member)

    progress = Progress(label, len(runs) * len(seeds) * settings.epochs, "epochs")
    for (repeat, fraction, fold), sets in runs.items():
        train, validation = (
            [(member.slide, classes.index(member.label)) for member in sets[name] if len(tensors[member.slide])]
            for name in ("train", "val")
        )
        counts = np.bincount([target for _, target in train], minlength=len(classes))
        for name, count in zip(classes, counts, strict=True):
            if not count:
                raise UserError(
                    f"task '{task}': no training slide of class '{name}' has patches in fold {fold} of fraction "
                    f"{fraction}; raise `fractions`, lower `folds`, or look why its slides have no tissue"
                )
        scale = sums.scale([slide for slide, _ in train]) if sums else None
        for seed in seeds:
            torch.manual_seed(stable_seed(task, repeat, fraction, fold, seed))
            head = train_head(train, validation, tensors, settings, len(classes), scale, device, progress)
            with torch.inference_mode():
                for member in sets["test"]:
                    bag = tensors[member.slide]
                    if len(bag):
                        logits, attention = head(bag.to(device))
                        probabilities = torch.softmax(logits.double(), dim=0).cpu().numpy()
                        yield TestedSlide(member, seed, probabilities, attention.cpu().numpy())
                    else:
                        yield TestedSlide(member, seed, counts / counts.sum(), np.zeros(0, np.float32))


def train_head(
    train: Sequence[tuple[str, int]],
    validation: Sequence[tuple[str, int]],
    bags: Mapping[str, Tensor],
    settings: HeadSettings,
    classes: int,
    scale: tuple[Tensor, Tensor] | None,
    device: torch.device,
    progress: Progress,
) -> BagClassifier:
    """Train one head, a slide at a time, and return it at the epoch with the lowest validation loss.

    Without validation slides the last epoch is returned. Random numbers come from torch's global state.

    Args:
        train: slide id and class index of each training slide.
        validation: the same for validation.
        bags: (N, D) float32 patches of each slide, N > 0 for the slides named above.
        settings: how the head is built and trained.
        classes: number of classes.
        scale: mean and standard deviation of the features, or None.
        device: where to compute.
        progress: advanced by one an epoch.
    """
    width = bags[train[0][0]].shape[1]
    head = BagClassifier(
        settings.model, width, classes, settings.hidden, settings.attention, settings.dropout, scale
    ).to(device)
    optimizer = torch.optim.Adam(
        head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    targets = torch.tensor([target for _, target in train])
    weights = 1.0 / torch.bincount(targets)[targets] if settings.balanced else None

    best_loss, best_state = float("inf"), None
    for _ in range(settings.epochs):
        head.train()
        if weights is None:
            order = torch.randperm(len(train))
        else:
            order = torch.multinomial(weights, len(train), replacement=True)
        epoch_loss = torch.zeros((), device=device)
        for index in order.tolist():
            slide, target = train[index]
            loss = bag_loss(head, bags[slide], target, device)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            epoch_loss += loss.detach()
        if validation:
            head.eval()
            with torch.inference_mode():
                losses = [bag_loss(head, bags[slide], target, device) for slide, target in validation]
            validation_loss = torch.stack(losses).mean().item()
            if validation_loss < best_loss:
                best_loss = validation_loss
                best_state = {name: value.clone() for name, value in head.state_dict().items()}
        progress.advance(loss=epoch_loss.item() / len(train))
    if best_state is not None:
        head.load_state_dict(best_state)
    return head.eval()


def bag_loss(head: BagClassifier, bag: Tensor, target: int, device: torch.device) -> Tensor:
    """Cross-entropy of one bag."""
    logits, _ = head(bag.to(device))
    return torch.nn.functional.cross_entropy(logits, torch.tensor(target, device=device))


def stable_seed(*parts: object) -> int:
    """A seed below 2**63 that depends on the parts' text alone; Python's own `hash` of text changes at each start."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
