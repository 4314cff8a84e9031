"""How fast nearest neighbours are found, and in how much memory: ours beside scikit-learn's.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python benchmarks/knn.py

Both search the same features in turn, on one thread; the ratio is the median of those of single rounds. `even` features
are normal and independent; the variance of `uneven` ones falls with the component, and they lie in clusters, which is
nearer to what networks give. Neighbours are compared with scikit-learn's on
float64 features. Memory is what a process of its own grows by at its peak, data not counted (Linux).
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from histossl.probes.neighbours import nearest

Search = Callable[[np.ndarray, np.ndarray, int, str], np.ndarray]


def ours(points: np.ndarray, queries: np.ndarray, k: int, metric: str) -> np.ndarray:
    """Indices of the neighbours, (Q, k)."""
    return nearest(points, queries, k, metric)[0]


def scikit_learns(points: np.ndarray, queries: np.ndarray, k: int, metric: str) -> np.ndarray:
    """Indices of the neighbours, (Q, k)."""
    search = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute").fit(points)
    return search.kneighbors(queries, return_distance=False)


SEARCHES: dict[str, Search] = {"ours": ours, "scikit-learn": scikit_learns}


def draw(kind: str, points: int, queries: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and queries, float32."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((points + queries, features), np.float32)
    if kind == "uneven":
        clusters = random.standard_normal((30, features), np.float32)
        for start in range(0, len(rows), 10000):  # in place: memory is measured
            part = rows[start : start + 10000]
            part += clusters[random.integers(0, 30, len(part))]
        rows /= np.arange(1, features + 1, dtype=np.float32) ** 0.5
    return rows[:points], rows[points:]


def main() -> None:
    """Search in turn, print times, ratios, memory and how many neighbours differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=7180)
    parser.add_argument("--features", type=int, default=384)
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--metrics", nargs="*", default=["euclidean", "cosine"])
    parser.add_argument("--kinds", nargs="*", default=["even", "uneven"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", choices=SEARCHES, help="print the peak of one search and end")
    arguments = parser.parse_args()
    sizes = (arguments.points, arguments.queries, arguments.features)
    with threadpool_limits(1):
        for kind in arguments.kinds:
            for metric in arguments.metrics:
                if arguments.memory:
                    print(peak_mb(SEARCHES[arguments.memory], *draw(kind, *sizes), arguments.k, metric))
                else:
                    compare(kind, metric, sizes, arguments.k, arguments.repeats)


def compare(kind: str, metric: str, sizes: tuple[int, int, int], k: int, repeats: int) -> None:
    """One line of figures for each search."""
    points, queries = draw(kind, *sizes)
    times: dict[str, list[float]] = {name: [] for name in SEARCHES}
    for _ in range(repeats):
        for name, search in SEARCHES.items():
            start = time.process_time()
            search(points, queries, k, metric)
            times[name].append(time.process_time() - start)
    ratios = [other / own for own, other in zip(times["ours"], times["scikit-learn"], strict=True)]
    exact = scikit_learns(points.astype(np.float64), queries[:1000].astype(np.float64), k, metric)
    differing = int((ours(points, queries[:1000], k, metric) != exact).sum())
    for name, taken in times.items():
        memory = memory_of(name, kind, metric, sizes, k)
        print(f"{kind} {metric} {name}: {statistics.median(taken):.2f} s of processor time, {memory} MB", flush=True)
    print(
        f"{kind} {metric}: ours is {statistics.median(ratios):.2f} times as fast "
        f"({min(ratios):.2f} to {max(ratios):.2f}); "
        f"{differing} of {exact.size} neighbours differ from scikit-learn's in float64",
        flush=True,
    )


def memory_of(name: str, kind: str, metric: str, sizes: tuple[int, int, int], k: int) -> str:
    """Peak memory of a search in a process of its own, MB."""
    points, queries, features = map(str, sizes)
    command = [
        sys.executable,
        str(Path(__file__)),
        "--memory",
        name,
        "--kinds",
        kind,
        "--metrics",
        metric,
        "--k",
        str(k),
    ]
    command += ["--points", points, "--queries", queries, "--features", features]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def peak_mb(search: Search, points: np.ndarray, queries: np.ndarray, k: int, metric: str) -> int:
    """How much the process grows by while it searches."""
    search(points[:100], queries[:100], k, metric)  # what libraries allocate once
    before = status_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    search(points, queries, k, metric)
    return status_mb("VmHWM") - before


def status_mb(name: str) -> int:
    """A figure of this process in /proc, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) // 1024


if __name__ == "__main__":
    main()
