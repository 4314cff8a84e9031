"""Speed of training MIL heads: one ABMIL head, and all heads of a cross-validation together.

    python benchmarks/mil.py                      # one core
    python benchmarks/mil.py --device cuda --parts together

Bags of random features are written as we write them, as CLAM writes them (HDF5 in chunks of 32 rows), and as .pt files.
Then, in turn in one run:

* epoch: one head, every bag once, one core: ours; CLAM's way of training (its layers and dropouts, autograd, Adam, a
  bag read at each step, from either kind of file), written anew here; and the five matrix products that a step
  consists of, which is what the machine allows.
* together: a head for each fold and fraction, each tested on its fold: ours together; ours one after the other; CLAM's
  way one after the other. All draw the same slides. Says whether ours give the same predictions.

On one core of a CPU processor time counts, so that other load on the machine matters less; otherwise the time that
passes. Prints medians, and medians of the ratios within a round.
"""

import argparse
import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from histossl.mil.bags import read_bags
from histossl.mil.settings import HeadSettings
from histossl.mil.share import Judgement, Key, Run
from histossl.mil.training import train_together
from histossl.mil.visits import draw_epoch

HIDDEN, ATTENTION, DROPOUT = 512, 256, 0.25
CHUNK = 32
"""Rows of a chunk in CLAM's files."""
Timings = dict[str, list[float]]


class ClamsWay(nn.Module):
    """ABMIL in CLAM's small layout (Lu et al. 2021, arXiv 2004.09666), with torch's dropout in its three places."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT))
        self.content = nn.Sequential(nn.Linear(HIDDEN, ATTENTION), nn.Tanh(), nn.Dropout(DROPOUT))
        self.gate = nn.Sequential(nn.Linear(HIDDEN, ATTENTION), nn.Sigmoid(), nn.Dropout(DROPOUT))
        self.score = nn.Linear(ATTENTION, 1)
        self.classify = nn.Linear(HIDDEN, classes)

    def forward(self, bag: Tensor) -> Tensor:
        """Logits (1, classes) of a bag (N, features)."""
        patches = self.embed(bag)
        attention = torch.softmax(self.score(self.content(patches) * self.gate(patches)).T, dim=1)
        return self.classify(attention @ patches)


def train_clams_way(
    runs: Sequence[Run],
    targets: Mapping[str, int],
    read: Callable[[str], Tensor],
    balanced: bool,
    device: torch.device,
    epochs: int,
) -> None:
    """A head for each run, one after the other; each step and each test reads its bag."""
    for run in runs:
        head = ClamsWay(read(run.train[0]).shape[1], 1 + max(targets.values())).to(device)
        optimizer = torch.optim.Adam(head.parameters(), lr=2e-4, weight_decay=1e-5)
        generator = torch.Generator().manual_seed(1)
        for _ in range(epochs):
            counts = draw_epoch({slide: targets[slide] for slide in run.train}, balanced, generator)
            order = [slide for slide, count in counts.items() for _ in range(count)]
            for place in torch.randperm(len(order), generator=generator).tolist():
                bag = read(order[place]).to(device)
                loss = nn.functional.cross_entropy(head(bag), torch.tensor([targets[order[place]]], device=device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss.item()
        with torch.no_grad():
            for slide in run.test:
                torch.softmax(head.eval()(read(slide).to(device)), dim=1).cpu()


def multiply_only(bags: Sequence[Tensor]) -> None:
    """The products of a step on each bag: two forward, three backward."""
    embed, gates = torch.randn(HIDDEN, bags[0].shape[1]), torch.randn(2 * ATTENTION, HIDDEN)
    for bag in bags:
        hidden = bag @ embed.T
        on_gates = hidden @ gates.T
        on_hidden = on_gates @ gates
        on_gates.T @ hidden
        on_hidden.T @ bag


def main() -> None:
    """Write the bags, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/mil"), help="scratch, removed afterwards")
    parser.add_argument("--parts", nargs="+", choices=["epoch", "together"], default=["epoch", "together"])
    parser.add_argument("--bags", type=int, default=200)
    parser.add_argument("--patches", type=int, nargs=2, default=(2000, 10000), help="of a bag, at least and at most")
    parser.add_argument("--features", type=int, default=384, help="of a patch")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--fractions", type=float, nargs="+", default=[1.0, 0.75, 0.5, 0.25])
    parser.add_argument("--epochs", type=int, default=1, help="of the part `together`")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the part `together`, on a CPU")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.set_num_threads(1)
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    try:
        slides = write(arguments)
        if "epoch" in arguments.parts:
            measure_epoch(arguments, slides)
        if "together" in arguments.parts:
            torch.set_num_threads(arguments.threads)
            measure_together(arguments, slides, device)
    finally:
        shutil.rmtree(arguments.folder, ignore_errors=True)
    print(f"load of the machine after: {os.getloadavg()[0]:.1f}")


def measure_epoch(arguments: argparse.Namespace, slides: Sequence[str]) -> None:
    """One head on one core."""
    targets, cpu = {slide: number % 2 for number, slide in enumerate(slides)}, torch.device("cpu")
    run = [Run(Key(0, 1.0, 0), 1, slides, (), (), with_attention=False)]
    bags = [torch.from_numpy(bag.features) for bag in read_bags(slides, arguments.folder / "ours").values()]
    ways = {
        "ours": lambda: train_ours(run, targets, arguments, cpu, balanced=False, epochs=1),
        "CLAM's way, HDF5": lambda: train_clams_way(run, targets, hdf5_reader(arguments), False, cpu, 1),
        "CLAM's way, .pt": lambda: train_clams_way(run, targets, pt_reader(arguments), False, cpu, 1),
        "products alone": lambda: multiply_only(bags),
    }
    print(f"\nan epoch of ABMIL over {len(slides)} bags, {sum(map(len, bags))} patches, one core")
    show(measure(ways, arguments.repeats, time.process_time), "ours")


def measure_together(arguments: argparse.Namespace, slides: Sequence[str], device: torch.device) -> None:
    """All heads of a cross-validation."""
    targets = {slide: number % 2 for number, slide in enumerate(slides)}
    runs = []
    for fold in range(arguments.folds):
        others = [slide for number, slide in enumerate(slides) if number % arguments.folds != fold]
        for fraction in arguments.fractions:
            train = others[: max(2, round(fraction * len(others)))]
            runs.append(Run(Key(0, fraction, fold), 1, train, (), slides[fold :: arguments.folds], fraction == 1.0))
    results: dict[str, dict[tuple[Key, int, str], Judgement]] = {"together": {}, "one after the other": {}}

    def ours(name: str, groups: Sequence[Sequence[Run]]) -> None:
        for group in groups:
            results[name] |= train_ours(group, targets, arguments, device, balanced=True, epochs=arguments.epochs)

    read = hdf5_reader(arguments)
    ways = {
        "ours, together": lambda: ours("together", [runs]),
        "ours, one after the other": lambda: ours("one after the other", [[run] for run in runs]),
        "CLAM's way, HDF5": lambda: train_clams_way(runs, targets, read, True, device, arguments.epochs),
    }
    if device.type == "cuda":
        train_clams_way(runs[:1], targets, read, True, device, 1)  # what a GPU does once
    busy = device.type == "cpu" and arguments.threads == 1
    print(
        f"\n{len(runs)} heads, {len(arguments.fractions)} fractions of {arguments.folds} folds, {arguments.epochs} "
        f"epoch(s), {device.type}, {arguments.threads} thread(s)"
    )
    show(measure(ways, arguments.repeats, time.process_time if busy else time.perf_counter), "ours, together")
    together, alone = results.values()
    difference = max(np.abs(together[key].probabilities - alone[key].probabilities).max() for key in alone)
    print(f"largest difference between probabilities of ours together and one after the other: {difference:.2g}")


def train_ours(
    runs: Sequence[Run],
    targets: Mapping[str, int],
    arguments: argparse.Namespace,
    device: torch.device,
    balanced: bool,
    epochs: int,
) -> dict[tuple[Key, int, str], Judgement]:
    """As `train_mil.py` does it, from opening the files on."""
    layers = {"hidden": HIDDEN, "attention": ATTENTION, "dropout": DROPOUT}
    settings = HeadSettings("abmil", epochs, 2e-4, 1e-5, balanced, False, None, layers)
    bags = read_bags({slide for run in runs for slide in (*run.train, *run.test)}, arguments.folder / "ours")
    return train_together(runs, bags, targets, settings, "benchmark", device, "ours", arguments.threads)


def measure(ways: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float]) -> Timings:
    """Seconds of each way, which take turns."""
    times: Timings = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = clock()
            way()
            times[name].append(clock() - start)
    return times


def show(times: Timings, reference: str) -> None:
    """Print medians and how many times as long as the reference each way takes."""
    for name, taken in times.items():
        ratio = statistics.median(one / other for one, other in zip(taken, times[reference], strict=True))
        print(f"{name:28} {statistics.median(taken):8.2f} s, {ratio:5.2f} times {reference}")


def hdf5_reader(arguments: argparse.Namespace) -> Callable[[str], Tensor]:
    """Reads a slide's features as CLAM's code does from HDF5."""

    def read(slide: str) -> Tensor:
        with h5py.File(arguments.folder / "CLAM" / f"{slide}.h5", "r") as file:
            features, _ = file["features"][:], file["coords"][:]
        return torch.from_numpy(features)

    return read


def pt_reader(arguments: argparse.Namespace) -> Callable[[str], Tensor]:
    """Reads a slide's features as CLAM's code does from .pt files."""
    return lambda slide: torch.load(arguments.folder / "CLAM" / f"{slide}.pt")


def write(arguments: argparse.Namespace) -> list[str]:
    """Write the bags in all layouts; their names."""
    rng = np.random.default_rng(1)
    for layout in ("ours", "CLAM"):
        (arguments.folder / layout).mkdir(parents=True, exist_ok=True)
    names = [f"slide{number:04d}" for number in range(arguments.bags)]
    for name in names:
        rows = int(rng.integers(*arguments.patches, endpoint=True))
        features = rng.standard_normal((rows, arguments.features), np.float32)
        coords = rng.integers(0, 10**5, (rows, 2))
        with h5py.File(arguments.folder / "ours" / f"{name}.h5", "w") as file:
            file["features"], file["coords"] = features, coords
        with h5py.File(arguments.folder / "CLAM" / f"{name}.h5", "w") as file:
            for key, array in (("features", features), ("coords", coords)):
                width = array.shape[1]
                file.create_dataset(key, data=array, chunks=(CHUNK, width), maxshape=(None, width))
        torch.save(torch.from_numpy(features), arguments.folder / "CLAM" / f"{name}.pt")
    return names


if __name__ == "__main__":
    main()
