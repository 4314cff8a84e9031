"""Train a head for every repeat, fraction, fold and seed of a task, all together, and predict what each has not seen.

The heads are hundreds of small models over the same slides. They go through a task's bags side by side: on a GPU all
at once, on a CPU shared out over threads. What comes out is what training them one by one gives.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import torch

from histossl.errors import UserError
from histossl.mil.attention_stack import AttentionStack, has_gated_attention
from histossl.mil.bags import Bag, DeviceBags, PatchSums
from histossl.mil.models import build_model
from histossl.mil.module_stack import ModuleStack
from histossl.mil.settings import HeadSettings
from histossl.mil.share import Judgement, Key, Run, Share
from histossl.mil.stack import Beginner
from histossl.mil.visits import stable_seed
from histossl.progress import Progress
from histossl.splits.split_file import Member


@dataclass(frozen=True)
class TestedSlide:
    """A slide of the test set as the head that has not seen its patient judged it.

    Attributes:
        member: repeat, fraction, fold, slide, patient, label.
        seed: the seed of the settings by which the head was trained.
        probabilities: one for each class, in the order of the class names.
        attention: (N,) weights of the patches, which sum to one; empty for a slide without patches. Of the first
            repeat's heads that were trained with the first seed; None of others.
    """

    member: Member
    seed: int
    probabilities: np.ndarray
    attention: np.ndarray | None


def cross_validate(
    members: Sequence[Member],
    bags: Mapping[str, Bag],
    settings: HeadSettings,
    seeds: Sequence[int],
    task: str,
    device: torch.device,
    label: str,
    threads: int = 1,
) -> list[TestedSlide]:
    """Train one head for each repeat, fraction, fold and seed; return its judgement of every slide of its test set.

    A slide without patches takes no part in training. In the test set it gets the class frequencies of the training
    slides: it stays in the table, so that encoders are compared on the same slides, and it is judged as a guess is.

    The random numbers of a head depend on the task, repeat, fraction, fold and seed alone: neither other heads, nor the
    number of threads, nor the encoder change them, and heads of different encoders start from the same numbers.

    Args:
        members: the splits.
        bags: the patches of each slide.
        settings: how each head is built and trained.
        seeds: repeat everything with each of these.
        task: name of the task, which enters the random state.
        device: where to compute.
        label: what the progress lines begin with.
        threads: how many train heads side by side on a CPU.

    Raises:
        UserError: a class has no slide with patches in a training set, or a loss is no longer a finite number.
    """
    classes = sorted({member.label for member in members})
    sets: dict[Key, dict[str, list[Member]]] = {}
    for member in members:
        key = Key(member.repeat, member.fraction, member.fold)
        sets.setdefault(key, {"train": [], "val": [], "test": []})[member.set].append(member)
    counts = {key: count_classes(task, key, chosen["train"], bags, classes) for key, chosen in sets.items()}
    first = min(key.repeat for key in sets)
    runs = [
        Run(
            key,
            seed,
            *(
                sorted(m.slide for m in chosen[name] if len(bags[m.slide].features))
                for name in ("train", "val", "test")
            ),
            with_attention=(key.repeat, seed) == (first, seeds[0]),
        )
        for key, chosen in sets.items()
        for seed in seeds
    ]
    targets = {member.slide: classes.index(member.label) for member in members if member.set != "test"}
    judged = train_together(runs, bags, targets, settings, task, device, label, threads)

    tested = []
    for run in runs:
        guess = Judgement(counts[run.key] / counts[run.key].sum(), np.zeros(0, np.float32))
        for member in sets[run.key]["test"]:
            judgement = judged.get((run.key, run.seed, member.slide), guess)
            attention = judgement.attention if run.with_attention else None
            tested.append(TestedSlide(member, run.seed, judgement.probabilities, attention))
    return tested


def count_classes(
    task: str, key: Key, train: Sequence[Member], bags: Mapping[str, Bag], classes: Sequence[str]
) -> np.ndarray:
    """How many slides with patches each class has in a training set.

    Raises:
        UserError: a class has none.
    """
    found = [member.label for member in train if len(bags[member.slide].features)]
    counts = np.array([found.count(name) for name in classes])
    for name, count in zip(classes, counts, strict=True):
        if not count:
            raise UserError(
                f"task '{task}': no training slide of class '{name}' has patches in fold {key.fold} of fraction "
                f"{key.fraction}; raise `fractions`, lower `folds`, or look why its slides have no tissue"
            )
    return counts


def train_together(
    runs: Sequence[Run],
    bags: Mapping[str, Bag],
    targets: Mapping[str, int],
    settings: HeadSettings,
    task: str,
    device: torch.device,
    label: str,
    threads: int,
) -> dict[tuple[Key, int, str], Judgement]:
    """Train and test a head for each run; what they say, by key, seed and slide.

    Each thread has heads of its own and goes through the bags by itself, so that nothing depends on which is faster.

    Raises:
        UserError: a loss is no longer a finite number.
    """
    sums = PatchSums(bags) if settings.standardise else None
    progress = Progress(label, settings.epochs * sum(len(run.train) for run in runs), "steps")
    lock, stopped = threading.Lock(), threading.Event()

    def report(steps: int, **figures: float) -> None:
        with lock:
            if stopped.is_set():
                raise CancelledError
            progress.advance(steps, **figures)

    on_device = DeviceBags(bags, device)
    sizes = {slide: len(bag.features) for slide, bag in bags.items()}
    shares = [
        build_share(share, task, settings, on_device, targets, sums, report)
        for share in share_out(runs, sizes, threads if device.type == "cpu" else 1)
    ]
    torch_threads = torch.get_num_threads()
    # One of torch's own threads for each of ours: sums of several would depend on their number.
    with ThreadPoolExecutor(len(shares), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(train_and_test, share) for share in shares]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        finally:
            stopped.set()
            torch.set_num_threads(torch_threads)
    return {key: judgement for future in futures for key, judgement in future.result().items()}


def train_and_test(share: Share) -> dict[tuple[Key, int, str], Judgement]:
    """Train the heads of a share, then test them."""
    share.train()
    return share.test()


def share_out(runs: Sequence[Run], sizes: Mapping[str, int], shares: int) -> list[list[Run]]:
    """Divide runs into at most so many shares of about equal work, in patches: the largest first, each to the least."""
    work = {id(run): sum(sizes[slide] for slide in run.train) for run in runs}
    parts: list[list[Run]] = [[] for _ in range(min(shares, len(runs)))]
    for run in sorted(runs, key=lambda run: -work[id(run)]):
        min(parts, key=lambda part: sum(work[id(run)] for run in part)).append(run)
    return parts


def build_share(
    runs: Sequence[Run],
    task: str,
    settings: HeadSettings,
    bags: DeviceBags,
    targets: Mapping[str, int],
    sums: PatchSums | None,
    report: Callable[..., None],
) -> Share:
    """New heads for some runs."""
    features, classes = bags[runs[0].train[0]].shape[1], 1 + max(targets.values())
    beginners, draws = [], []
    for run in runs:
        seed = stable_seed(task, *run.key, run.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = build_model(settings.model, features, classes, settings.layers)
        dropout = torch.Generator(bags.device).manual_seed(stable_seed("dropout", seed))
        beginners.append(Beginner(module, dropout, sums.scale(run.train) if sums else None))
        draws.append(torch.Generator().manual_seed(stable_seed("draws", seed)))
    kind = AttentionStack if has_gated_attention(beginners[0].module) else ModuleStack
    stack = kind(beginners, settings.learning_rate, settings.weight_decay, bags.device)
    return Share(task, settings, runs, stack, draws, bags, targets, report)
