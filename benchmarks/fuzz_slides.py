"""Damaged slides through the scripts that users run, from the file to packed patches.

    python benchmarks/fuzz_slides.py --folder build/fuzz [--slides 570] [--seed 1] [--jobs 2] [--reasons]

Makes `--slides` mutated files (`mutations.py`) and runs segment_tissue, tile_slide and pack_tiles on
each, each script in a process of its own that is forked from one that has imported it (so the time to import, about
0.4 s, is not counted). Prints what became of them, the longest time and the largest memory. Exits 1 if a script fails
or takes more than 30 s or 2 GB, a slide is left out without a reason, a sound one is left out, an output is not whole,
or another file stays behind; the damaged slides at fault are kept below `--folder`.
"""

import argparse
import json
import multiprocessing
import os
import resource
import select
import shutil
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "workflow" / "scripts"), str(REPOSITORY)]

import h5py
from benchmarks.mutations import MUTATIONS, draw_sound_files, whole

import pack_tiles
import segment_tissue
import tile_slide
from histossl.cli import run
from histossl.slides.metadata import read_metadata
from histossl.tiles.coords_file import read_coords
from histossl.tiles.tissue_file import read_tissue

MAX_S, MAX_MB = 30, 2000
GIVE_UP_S = 90
"""A script that takes longer is ended."""
TISSUE = {
    "spacing_um": 4.0,
    "threshold": "glass",
    "min_contrast": 8.0,
    "relaxed_contrast": 5.0,
    "min_saturation": 12.0,
    "max_saturation": 30.0,
    "relaxed_saturation": 8.0,
    "smooth_um": 24.0,
    "close_um": 24.0,
    "min_area_mm2": 0.0005,
    "min_hole_mm2": 0.0002,
    "max_holes": None,
    "exclude_pen": True,
}
"""As in the schema, at the size of the small slides."""
TILING = {"patch_px": 64, "spacing_um": 1.0, "overlap_px": 0, "min_tissue": 0.5}
SHARDS = {"max_patches_per_slide": None, "jpeg_quality": 90, "seed": 1, "stain": None}
OUTPUTS = {"metadata.json", "tissue.geojson", "overlay.jpg", "tiles.h5", "shard.h5"}


@dataclass
class Fate:
    """What became of one damaged slide; `broken` lists the bounds that it broke."""

    name: str
    mutation: str
    outcome: str = ""
    reason: str = ""
    seconds: float = 0.0
    memory_mb: float = 0.0
    broken: list[str] = field(default_factory=list)


def run_pipeline(number: int, seed: int, folder: Path) -> Fate:
    """Make damaged slide `number`, run the four scripts on it, and look at what they leave.

    Its folder stays where a bound is broken, else it is removed.
    """
    mutation = MUTATIONS[number % len(MUTATIONS)]
    rng = np.random.default_rng((seed, number))
    sound = {path.name: path.read_bytes() for path in (folder / "sound").iterdir()}
    data, suffix = mutation(rng, sound)
    home = folder / f"{number:04d}_{mutation.__name__}"
    home.mkdir()
    slide = home / f"slide{suffix}"
    slide.write_bytes(data)
    fate = Fate(home.name, mutation.__name__)
    results = home / "results"
    results.mkdir()
    for name, main in _stages(slide, results):
        exit_code, seconds, memory_mb, said = run_forked(main, home)
        fate.seconds, fate.memory_mb = max(fate.seconds, seconds), max(fate.memory_mb, memory_mb)
        if exit_code:
            fate.broken.append(f"{name} ended with {exit_code}: {said[-300:]!r}")
        if seconds > MAX_S:
            fate.broken.append(f"{name} took {seconds:.0f} s")
        if memory_mb > MAX_MB:
            fate.broken.append(f"{name} took {memory_mb:.0f} MB")
        if exit_code:
            break
    else:
        try:
            fate.outcome, fate.reason = judge_outputs(results)
        except Exception as error:
            fate.broken.append(f"an output is not whole: {error!r}")
        if fate.outcome != "patches" and not fate.reason:
            fate.broken.append(f"{fate.outcome} without a reason")
        if mutation is whole and fate.outcome != "patches":
            fate.broken.append(f"a sound slide is {fate.outcome}: {fate.reason}")
        if "Traceback" in fate.reason:
            fate.broken.append("the reason is a traceback")
    others = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    others -= {f"results/{output}" for output in OUTPUTS} | {slide.name, "said.txt"}
    if others:
        fate.broken.append(f"left behind: {', '.join(sorted(others))}")
    if not fate.broken:
        shutil.rmtree(home)
    return fate


def judge_outputs(results: Path) -> tuple[str, str]:
    """How far the slide came, and the reason why no farther; reading the outputs fails if one is not whole."""
    metadata = read_metadata(results / "metadata.json")
    polygons, facts = read_tissue(results / "tissue.geojson")
    picture = (results / "overlay.jpg").read_bytes()
    if picture[:2] != b"\xff\xd8" or picture[-2:] != b"\xff\xd9":
        raise ValueError("overlay.jpg")
    tiles = read_coords(results / "tiles.h5")
    with h5py.File(results / "shard.h5") as file:
        packed = len(file["offsets"]) - 1
        reason = str(file.attrs.get("reason", ""))
        if packed and file["offsets"][-1] != file["jpeg"].size:
            raise ValueError("shard.h5")
    if metadata.status != "ok":
        return "excluded", metadata.reason
    if not polygons:
        return "without tissue", str(facts.get("reason", ""))
    if not len(tiles.coords):
        return "without patches", tiles.reason
    if not packed:
        return "excluded when packed", reason
    return "patches", ""


def run_forked(main: Callable[[], None], home: Path) -> tuple[int, float, float, str]:
    """Run a script's `main` as `python script.py` does, in a forked process with `home` for temporary files.

    Returns:
        Exit code (minus the signal that ended it), seconds, largest memory of it or a process it started in MB, and
        what it printed.
    """
    said = home / "said.txt"
    started = time.monotonic()
    child = os.fork()
    if not child:
        _be_script(main, home, said)
    descriptor = os.pidfd_open(child)
    if not select.select([descriptor], [], [], GIVE_UP_S)[0]:
        os.killpg(child, signal.SIGKILL)
    os.close(descriptor)
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - started
    return os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss / 1024, said.read_text(errors="replace")


def _be_script(main: Callable[[], None], home: Path, said: Path) -> None:
    code = 70
    try:
        os.setsid()
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        os.environ["TMPDIR"] = str(home)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        run(main)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _stages(slide: Path, results: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    metadata, tissue = results / "metadata.json", results / "tissue.geojson"
    tiles, shard = results / "tiles.h5", results / "shard.h5"
    file, policy = f"--file={slide}", "--on-bad-slide=exclude"
    arguments = {
        segment_tissue: (
            *("--slide=ü $(x)", file, policy, "--assumed-spacing-um=0.5", f"--settings={json.dumps(TISSUE)}"),
            *(f"--metadata={metadata}", f"--tissue={tissue}", f"--overlay={results / 'overlay.jpg'}"),
        ),
        tile_slide: (
            *(f"--tissue={tissue}", f"--metadata={metadata}", f"--settings={json.dumps(TILING)}"),
            f"--output={tiles}",
        ),
        pack_tiles: (file, f"--coords={tiles}", f"--settings={json.dumps(SHARDS)}", policy, f"--output={shard}"),
    }
    for script, argv in arguments.items():
        yield script.__name__, partial(script.main, list(argv))


def fuzz(folder: Path, slides: int, seed: int, jobs: int) -> Iterator[Fate]:
    """Yield the fate of each of `slides` damaged slides, made below `folder`."""
    context = multiprocessing.get_context("fork")
    sound = folder / "sound"
    sound.mkdir(parents=True)
    # In a process of its own: OpenCV's threads, once started, would be missing in all that is forked later.
    drawing = context.Process(target=draw_sound_files, args=(sound,))
    drawing.start()
    drawing.join()
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        yield from pool.map(partial(run_pipeline, seed=seed, folder=folder), range(slides))


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, run, print the table, exit 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="to work in; must not exist yet")
    parser.add_argument("--slides", type=int, default=30 * len(MUTATIONS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="slides at once")
    parser.add_argument("--reasons", action="store_true", help="print every slide's reason too")
    arguments = parser.parse_args(argv)
    started = time.monotonic()
    fates = []
    for fate in fuzz(arguments.folder, arguments.slides, arguments.seed, arguments.jobs):
        fates.append(fate)
        for fault in fate.broken:
            print(f"BROKEN {fate.name}: {fault}")
        if arguments.reasons:
            print(f"{fate.name}: {fate.outcome}, {fate.seconds:.2f} s, {fate.memory_mb:.0f} MB: {fate.reason}")
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for fate in fates:
        table[fate.mutation][fate.outcome or "broken"] += 1
    outcomes = sorted({outcome for counts in table.values() for outcome in counts})
    print(f"| mutation | {' | '.join(outcomes)} |")
    print("|---" * (len(outcomes) + 1) + "|")
    for mutation, counts in table.items():
        print(f"| {mutation} | {' | '.join(str(counts[outcome]) for outcome in outcomes)} |")
    slowest, largest = max(fates, key=lambda f: f.seconds), max(fates, key=lambda f: f.memory_mb)
    print(f"longest script: {slowest.seconds:.2f} s ({slowest.name}); bound {MAX_S} s")
    print(f"largest process: {largest.memory_mb:.0f} MB ({largest.name}); bound {MAX_MB} MB")
    broken = sum(bool(fate.broken) for fate in fates)
    print(f"{len(fates)} slides in {time.monotonic() - started:.0f} s, {broken} broke a bound")
    if broken:
        sys.exit(1)


if __name__ == "__main__":
    main()
