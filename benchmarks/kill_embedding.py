"""Embedding killed at random moments, against the same run undisturbed.

    python benchmarks/kill_embedding.py --folder build/kill_embedding [--kills 10] [--slides 20] [--seed 1]

Draws small slides, tiles them and makes an untrained encoder through the workflow. Embeds them once undisturbed; then
again in another folder, where the same command is started as often as it takes, and SIGKILL is sent at random moments
to all processes of the run (also while features are being written), to one embedding job, or to one of a job's readers.
What a kill leaves running goes on until the next. Prints a line for each kill. Exits 1 if
a file differs in a byte from the undisturbed run's, one that was complete at a kill was written again, a process
outlives the run or job it belongs to, a killed reader fails its job without a sentence, or a temporary file stays.
"""

import argparse
import contextlib
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))

import cv2
import numpy as np
import tifffile

from histossl.config.plan import batch_slides
from histossl.features.slide_features import read_fingerprint

SPACING_UM = 0.5
SLIDES_PER_JOB = 5
FEATURES = Path("results/features/net/slides/p64")
CLEAR_S = 30
"""What a killed process leaves behind must be gone by then."""
WHOM = ("all", "job", "reader", "all, writing")


@dataclass
class Kill:
    """One kill and what it met.

    Attributes:
        whom: all processes of the run, the same while a file is being written, one embedding job, or one reader.
        after_s: from the start of the run's first job, or from the kill before where that has left the run going; 0 if
            all was complete before.
        complete: how many slides' features were.
        temporary: how many temporary files lay there just after it.
        clear_s: until the last process that had to end with the killed one was gone.
        broken: what should not have been.
    """

    whom: str
    after_s: float = 0.0
    complete: int = 0
    temporary: int = 0
    clear_s: float = 0.0
    broken: str = ""


class Place:
    """A folder in which the workflow runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, folder / "said.txt"
        slides = [row["slide"] for row in csv.DictReader((folder / "slides.csv").open(encoding="utf-8"))]
        self.manifests = [str(FEATURES / f"batches/{batch}.json") for batch in batch_slides(slides, SLIDES_PER_JOB)]

    def start(self, *targets: str) -> subprocess.Popen:
        """Start the workflow as a user would, unlocking the folder where a killed run has left it locked."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        command += ["--directory", str(self.folder), "--configfile", str(self.folder / "config.json"), "--cores", "2"]
        with self.said.open("ab") as said:
            where = {"env": {**os.environ, "PATH": path}, "cwd": self.folder, "stdout": said, "stderr": said}
            if list(self.folder.glob(".snakemake/locks/*")):
                subprocess.run([*command, "--unlock"], check=True, **where)
            return subprocess.Popen([*command, *(targets or self.manifests)], start_new_session=True, **where)

    def finish(self, *targets: str) -> None:
        """Run the workflow to its end."""
        if self.start(*targets).wait():
            sys.exit(f"{self.folder}: the workflow failed:\n{self.said.read_text('utf-8')[-5000:]}")

    def features(self) -> dict[str, tuple[int, int]]:
        """Inode and time of change of each feature file that is complete, by name."""
        files = sorted(self.folder.glob(f"{FEATURES}/*.h5"))
        complete = [path for path in files if not path.name.startswith(".") and read_fingerprint(path)]
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in complete}

    def count(self) -> int:
        """Number of feature files."""
        return len(list((self.folder / FEATURES).glob("[!.]*.h5")))

    def temporary(self) -> list[str]:
        """Files that are being written, or were when their writer was killed."""
        return sorted(path.name for path in self.folder.glob("results/**/.*"))

    def writing(self) -> bool:
        """Whether a feature file is being written at this moment."""
        return any((self.folder / FEATURES).glob(".*"))

    def members(self) -> dict[int, tuple[int, str]]:
        """All processes that work in the folder: parent and script (empty where it is none)."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").resolve(strict=True) != self.folder:
                    continue
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:  # it has ended meanwhile
                continue
            if state not in "ZX":
                found[int(process.name)] = int(parent), Path(words[1]).name if len(words) > 2 else ""
        return found

    def jobs(self) -> list[int]:
        """The embedding jobs that run, also those that are just being launched."""
        members = self.members()
        scripts = {number for number, (_, name) in members.items() if name in ("launch.py", "embed_slides.py")}
        return sorted(number for number in scripts if members[number][0] not in scripts)

    def readers(self) -> dict[int, int]:
        """The readers that run, and the job of each."""
        members, jobs = self.members(), self.jobs()
        return {number: parent for number, (parent, _) in members.items() if parent in jobs and shares_patches(number)}

    def outputs(self) -> dict[str, bytes]:
        """Contents of the feature files and manifests, by name."""
        files = [path for path in (self.folder / FEATURES).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in sorted(files)}


def shares_patches(process: int) -> bool:
    """Whether a child of a job is a reader, and not one that a library has started."""
    try:
        return "memfd:patches" in Path(f"/proc/{process}/maps").read_text("utf-8", errors="replace")
    except OSError:
        return False


def draw_cohort(folder: Path, slides: int, side_px: int) -> Place:
    """Slides of blurred tissue within glass, their sheet and the configuration."""
    (folder / "slides").mkdir(parents=True)
    draw = np.random.default_rng(0)
    rows = []
    for number in range(slides):
        coarse = draw.normal(0, 1, (side_px // 8, side_px // 8, 3)).astype(np.float32)
        tissue = np.array((190, 110, 170)) + 25 * cv2.resize(coarse, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
        picture = np.full((side_px, side_px, 3), 245, np.uint8)
        margin = side_px // 16
        within = slice(margin, side_px - margin)
        picture[within, within] = np.clip(tissue, 0, 255)[within, within]
        path = folder / "slides" / f"s{number:02}.svs"
        header = f"Aperio Image Library v1\r\n{side_px}x{side_px}|AppMag = 20|MPP = {SPACING_UM}"
        options = {"tile": (256, 256), "photometric": "rgb", "compression": "jpeg", "metadata": None}
        with tifffile.TiffWriter(path) as tiff:
            tiff.write(picture, description=header, **options)
            small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
            tiff.write(small, description=header, subfiletype=1, **options)
        rows.append({"slide": path.stem, "patient": path.stem, "path": str(path)})
    place = folder / "whole"
    place.mkdir()
    with (place / "slides.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    network = {"model": "vit_tiny_patch16_224", "model_args": {"img_size": 64, "depth": 6}, "input_px": 64}
    config = {
        "slides": {"sheet": str(place / "slides.csv")},
        "tilings": {"p64": {"patch_px": 64, "spacing_um": SPACING_UM}},
        "encoders": {"net": {"timm": {**network, "weights": False}}},
        "features": {"slides_per_job": SLIDES_PER_JOB},
        "compute": {"embed_threads": 1},
    }
    (place / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return Place(place)


def embed_whole(place: Place) -> tuple[float, float]:
    """Embed undisturbed: seconds from the first job's start to its first features, and from these to the end."""
    process = place.start()
    while not place.jobs() and process.poll() is None:
        time.sleep(0.01)
    started = time.monotonic()
    while not place.features() and process.poll() is None:
        time.sleep(0.01)
    first = time.monotonic()
    if process.wait():
        sys.exit(f"the undisturbed run failed:\n{place.said.read_text('utf-8')[-5000:]}")
    return first - started, time.monotonic() - first


def kill_often(
    place: Place, slides: int, kills: int, times: tuple[float, float], draw: random.Random
) -> Iterator[Kill]:
    """Run and kill, and at last run to the end; yield each kill. `times` are those of `embed_whole`."""
    start_s, slide_s = times[0], 2 * times[1] / slides  # two jobs at a time
    blows = [WHOM[number % len(WHOM)] for number in range(kills)]
    draw.shuffle(blows)
    complete: dict[str, tuple[int, int]] = {}
    process = None
    for number, whom in enumerate(blows):
        kill = Kill(whom)
        while not kill.after_s and len(place.features()) < slides:
            # A share of what is left, so that the last kill still finds some of it.
            share = draw.uniform(0, 2 * (slides - len(place.features())) / (kills - number + 3))
            begins = process is None or process.poll() is not None
            if begins:
                process = place.start()
                while not place.jobs() and process.poll() is None:
                    time.sleep(0.01)
            last_s = share % 1 * (start_s if begins and share < 1 else slide_s)
            strike(place, process, kill, int(share), max(0.3, last_s), draw)
        found = place.features()
        kill.complete, kill.broken = len(found), "; ".join(filter(None, [kill.broken, *written_again(complete, found)]))
        complete = found
        yield kill
    if process is not None:
        process.wait()
    place.finish()
    for what in written_again(complete, place.features()):
        yield Kill("nobody", broken=what)


def written_again(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> list[str]:
    """A sentence for each file that was complete before and is another one now."""
    return [
        f"{name} was complete and is {'another' if name in now else 'gone'}"
        for name in before
        if before[name] != now.get(name)
    ]


def strike(place: Place, process: subprocess.Popen, kill: Kill, more: int, last_s: float, draw: random.Random) -> None:
    """Kill `last_s` after `more` slides, wait for all that has to end with it, and note what does not.

    Nothing happens where the run has ended before.
    """
    began, said_before = time.monotonic(), place.said.stat().st_size
    wanted = place.count() + more
    while process.poll() is None and place.count() < wanted:
        time.sleep(0.005)
    until = time.monotonic() + last_s
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    while process.poll() is None and kill.whom == "all, writing" and not place.writing():
        pass
    ending: list[int] = []
    while process.poll() is None and not ending:
        with contextlib.suppress(ProcessLookupError):  # the victim has just ended: look for another
            ending = deal_blow(place, process, kill.whom, draw)
    if not ending:
        return
    struck = time.monotonic()
    kill.after_s, kill.temporary = struck - began, len(place.temporary())
    while (left := set(ending) & set(place.members())) and time.monotonic() - struck < CLEAR_S:
        time.sleep(0.01)
    kill.clear_s = time.monotonic() - struck
    if left:
        kill.broken = f"{len(left)} process(es) left after {CLEAR_S} s"
    if kill.whom == "reader":
        time.sleep(0.2)  # tee and Snakemake pass on what the job has said
        said = place.said.read_bytes()[said_before:].decode(errors="replace")
        # One that had delivered all its patches costs nothing.
        explained = "was ended from outside (SIGKILL)" in said or "Finished jobid" in said
        if not explained or "Traceback" in said:
            kill.broken = f"the job said {said[-1000:]!r}"


def deal_blow(place: Place, process: subprocess.Popen, whom: str, draw: random.Random) -> list[int]:
    """Send SIGKILL; the processes that have to end by it, none where there is no victim yet."""
    if whom.startswith("all"):
        os.killpg(process.pid, signal.SIGKILL)  # at once: a file is written in milliseconds
        process.wait()
        return [process.pid, *place.members()]
    readers, jobs = place.readers(), place.jobs()
    victims = sorted(readers if whom == "reader" else jobs)
    if not victims:
        return []
    victim = draw.choice(victims)
    os.kill(victim, signal.SIGKILL)
    job = readers.get(victim, victim)
    return [job, *(reader for reader, parent in readers.items() if parent == job)]


def compare(whole: Place, killed: Place) -> list[str]:
    """In what the two differ."""
    ours, theirs = whole.outputs(), killed.outputs()
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, run, print the table, exit 1 if something is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="to work in; must not exist yet")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--slides", type=int, default=20)
    parser.add_argument("--side-px", type=int, default=2048, help="of the slides, with about one patch per 64 x 64 px")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    folder = arguments.folder.resolve()
    began = time.monotonic()
    whole = draw_cohort(folder, arguments.slides, arguments.side_px)
    tiles = [f"results/tiles/p64/batches/s{number:02}.json" for number in range(arguments.slides)]
    whole.finish(*tiles, "results/encoders/net/encoder.pt")
    shutil.copytree(whole.folder, folder / "killed", copy_function=shutil.copy2)
    killed = Place(folder / "killed")
    print(f"{arguments.slides} slides drawn and tiled in {time.monotonic() - began:.0f} s", flush=True)
    times = embed_whole(whole)
    print(f"undisturbed: {times[0]:.1f} s to the first features, {times[1]:.1f} s to the end\n")
    print("| kill | of | after | slides complete | temporary files | all gone in |\n" + "|---" * 6 + "|")
    broken, landed = [], 0
    fates = kill_often(killed, arguments.slides, arguments.kills, times, random.Random(arguments.seed))
    for number, kill in enumerate(fates, 1):
        landed += kill.after_s > 0
        figures = f"{kill.after_s:.1f} s | {kill.complete} | {kill.temporary} | {kill.clear_s:.2f} s"
        print(f"| {number} | {kill.whom} | {figures} |", flush=True)
        if kill.broken:
            broken.append(f"kill {number}: {kill.broken}")
    broken += [f"{name} differs" for name in compare(whole, killed)]
    broken += [f"{name} is left" for name in killed.temporary()]
    broken += [f"process {number} is left" for number in killed.members()]
    if len(whole.features()) != arguments.slides:
        broken.append(f"{len(whole.features())} of {arguments.slides} slides have features")
    if landed < arguments.kills:
        broken.append(f"only {landed} kills met a run: make --side-px larger")
    print("\n" + "\n".join(f"BROKEN {what}" for what in broken))
    print(f"{landed} kills in {time.monotonic() - began:.0f} s: {'broken' if broken else 'every file is equal'}")
    sys.exit(int(bool(broken)))


if __name__ == "__main__":
    main()
