"""The whole chain among faults, against the same run undisturbed.

    python benchmarks/faults.py --folder build/faults [--faults 18] [--seed 1]

Runs the tests' small cohort from slides to tables once undisturbed; then in another folder, where faults are injected
in turn at random moments and the same command is started again as often as it takes:

* job: SIGKILL to one job's process
* run: SIGKILL to Snakemake and all it started
* second: a second run is started in the same folder, which must be refused and leave the first alone
* remove: an intermediate file of a stopped run is deleted, before what is made from it
* corrupt: one is overwritten in its middle with noise or zeros, or cut off, as a bad copy would: the run must name it,
  and go on once it is deleted
* disk: the file system is filled up while the run works, and freed (a tmpfs; left out without the right to mount)

Prints a line for each fault, and in the end how many the chain survived. Exits 1 if a result differs from the
undisturbed run's, a damaged file went unnoticed, a temporary file stays, or a fault could not be recovered from.
"""

import argparse
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "workflow/scripts")]

from tests.workflow.conftest import Workplace
from tests.workflow.tiny import CONFIG, phantom_rows, slide_rows

from histossl.encoders.encoder_file import load_encoder

KINDS = ("job", "run", "second", "remove", "corrupt", "disk")
INTERMEDIATE = ("slides", "tiles", "shards", "encoders", "features", "splits", "slide_eval", "patch_eval")
"""Folders of results whose files are read by later jobs, in the order in which they are made."""
UNGUARDED = ("overlay.jpg",)
"""Read by people."""
NOT_COMPARED = {"logs", "benchmarks", "tensorboard", "runs", "cost", ".snakemake_timestamp"}
"""Parts of the paths of files that hold times; `comparable` leaves them out of others."""
TIMED = {"pretraining", "costs", "cost"}
"""Tables and figures of how long things took."""
FILE_TIME = re.compile(rb"\b\d{19}\b")
"""When a file was changed, ns, as records have it."""
TIMES = ("images_per_s", "waiting_share", "hours")
TMPFS_MB = 600
TRIES = 6
"""How often a run is started again after one fault."""
LONGEST_S = 900


@dataclass
class Fault:
    """One fault: its kind, what it hit, how many starts it took to go on, and what should not have been."""

    kind: str
    hit: str = ""
    starts: int = 0
    broken: str = ""
    how: str = ""
    """What was done to the file."""
    damaged: bytes = b""
    """What it holds since."""
    named: bool = False
    """Whether a sentence named the damaged file."""


class Place(Workplace):
    """A folder in which the chain runs."""

    def start(self) -> subprocess.Popen[bytes]:
        """Start the workflow as a user would, unlocking the folder where a killed run has left it locked."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "2"]
        command += ["--directory", str(self.folder), "--configfile", str(self.folder / "config.yaml")]
        command += ["--rerun-incomplete", "--keep-going"]
        environment = {**os.environ, "PATH": path}
        with self.said.open("ab") as said:
            if any(self.folder.glob(".snakemake/locks/*")):
                subprocess.run([*command, "--unlock"], env=environment, stdout=said, stderr=said, check=True)
            return subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)

    @property
    def said(self) -> Path:
        """What the runs printed."""
        return self.folder / "said.txt"

    def prepare(self) -> None:
        """Write the cohort's sheets and the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_config(CONFIG)
        self.write_sheet("slides.csv", slide_rows())
        self.write_sheet("phantom.csv", phantom_rows())

    def files(self, *folders: str) -> list[Path]:
        """Files of some folders of the results, or of all."""
        roots = [self.folder / "results" / name for name in folders] or [self.folder / "results"]
        return sorted(path for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink())

    def jobs(self) -> list[int]:
        """The scripts of this workflow that work in the folder now."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                inside = (process / "cwd").resolve(strict=True) == self.folder
            except OSError:  # it has ended meanwhile
                continue
            if inside and len(words) > 1 and "workflow/scripts/" in words[1]:
                found.append(int(process.name))
        return sorted(found)


def wait_for_jobs(place: Place, process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait so long after the first job has begun; whether the run still works."""
    while process.poll() is None and not place.jobs():
        time.sleep(0.05)
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    return process.poll() is None


def kill_run(process: subprocess.Popen[bytes], place: Place) -> None:
    """End Snakemake and all that it started at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 60
    while place.jobs() and time.monotonic() < until:  # what left the group ends by itself
        time.sleep(0.1)


def inject(place: Place, kind: str, after_s: float, draw: random.Random) -> Fault:
    """Run, and let a fault of this kind happen; the run is not working afterwards."""
    fault = Fault(kind)
    process = place.start()
    works = wait_for_jobs(place, process, after_s)
    if kind == "job":
        while works and not (jobs := place.jobs()) and process.poll() is None:
            time.sleep(0.02)
        if works and process.poll() is None and jobs:
            victim = draw.choice(jobs)
            words = Path(f"/proc/{victim}/cmdline").read_bytes().split(b"\0")
            fault.hit = Path(words[1].decode()).name
            os.kill(victim, signal.SIGKILL)
            # A job that had done its work already is no fault.
            fault.hit = f"{fault.hit}, run ended with {code}" if (code := finish(process)) else ""
    elif kind == "second" and works:
        second = place.snakemake("--cores", "1")
        refused = second.returncode != 0 and "cannot be locked" in second.stdout + second.stderr
        fault.hit = "refused" if refused else f"ended with {second.returncode}"
        fault.broken = "" if refused else "a second run was let in"
        if process.poll() is not None and process.returncode:
            fault.broken = "the first run ended"
    elif kind == "disk" and works:
        fault.hit = fill_disk(place, process, draw)
    if process.poll() is None:
        kill_run(process, place)
    if kind == "run" and works:
        fault.hit = f"after {after_s:.1f} s"
    if kind in ("remove", "corrupt") and (files := [path for path in place.files(*INTERMEDIATE) if is_read(path)]):
        victim = draw.choice(files)
        fault.hit = str(victim.relative_to(place.folder / "results"))
        forget_from(place, fault.hit.split("/")[0], after=True)
        if kind == "remove":
            victim.unlink()
        else:
            before = victim.read_bytes()
            fault.how = damage(victim, draw)
            fault.damaged = victim.read_bytes()
            if fault.damaged == before:
                fault.hit = ""
    return fault


def is_read(path: Path) -> bool:
    """Whether a later job reads this file; nothing can tell that another is damaged."""
    return path.stat().st_size > 0 and path.name not in UNGUARDED and not {"tensorboard", "made"} & set(path.parts)


def damage(path: Path, draw: random.Random) -> str:
    """Put noise or zeros in place of the file's middle half, or cut it off there; which of these."""
    size = path.stat().st_size
    kind = draw.choice(("noise", "zeros", "cut off"))
    with path.open("r+b") as file:
        file.seek(size // 4)
        if kind == "cut off":
            file.truncate()
        else:
            middle = max(1, size // 2)
            file.write(draw.randbytes(middle) if kind == "noise" else bytes(middle))
    return kind


def fill_disk(place: Place, process: subprocess.Popen[bytes], draw: random.Random) -> str:
    """Leave no room for two seconds; what the run said of it."""
    ballast = place.folder / "ballast"
    before = place.said.stat().st_size
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass
    time.sleep(2 + 3 * draw.random())
    ballast.unlink()
    finish(process)
    named = b"No space left" in place.said.read_bytes()[before:]
    if not process.returncode and not named:
        return ""  # nothing wanted to write
    return f"run ended with {process.returncode}" + ", naming the full disk" * named


def finish(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a run; its exit code."""
    try:
        return process.wait(LONGEST_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def recover(place: Place, fault: Fault) -> None:
    """Start the run as often as it takes, doing what its sentences say: deleting a file that they name as damaged."""
    while fault.starts < TRIES:
        fault.starts += 1
        began, before = time.time(), place.said.stat().st_size
        failed = finish(place.start())
        said = [place.said.read_bytes()[before:].decode(errors="replace")]
        said += [path.read_text("utf-8", "replace") for path in place.files("logs") if path.stat().st_mtime > began]
        damaged = place.folder / "results" / fault.hit
        if fault.kind == "corrupt" and damaged.exists() and is_blamed(fault.hit, said):
            damaged.unlink()
            fault.named = True
            if "shards" in damaged.parts:  # training goes on without their damaged patches, and says so
                for encoder in place.files("encoders"):
                    if encoder.name == "encoder.pt" and is_blamed(str(encoder.relative_to(place.folder)), said):
                        encoder.unlink()
        elif not failed:
            if fault.damaged and damaged.exists() and damaged.read_bytes() == fault.damaged:
                fault.broken = "the damage went unnoticed"
            return
    fault.broken = fault.broken or f"not recovered from in {TRIES} starts"


def is_blamed(name: str, said: Iterable[str]) -> bool:
    """Whether a line says that the file, named by its path in the results, has to be deleted or made again."""
    blames = re.compile(rf"{re.escape(name)}\b.*(delete|rerun|make it again)")
    return any(blames.search(line) for text in said for line in text.splitlines())


def differences(whole: Place, disturbed: Place) -> Iterator[str]:
    """What results differ, are missing or too many."""
    ours, theirs = (
        {
            str(path.relative_to(place.folder / "results")): path
            for path in place.files()
            if not NOT_COMPARED & set(path.parts)
        }
        for place in (whole, disturbed)
    )
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            yield f"{name} is missing"
        elif name not in ours:
            yield f"{name} is left over"
        elif comparable(ours[name]) != comparable(theirs[name]):
            yield f"{name} differs"


def comparable(path: Path) -> object:
    """What must be the same in both runs: all of a file but how long training took."""
    if path.name == "encoder.pt":
        _, card, weights_hash = load_encoder(path)
        return card, weights_hash
    if path.name == "training.jsonl":
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]
    if path.name == "pretraining.csv":
        with path.open(encoding="utf-8") as file:
            return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]
    return "" if path.stem in TIMED else FILE_TIME.sub(b"", path.read_bytes())


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of its own for a folder, where that can be had."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MB}m", "histossl-faults", str(folder)], check=False
    ).returncode
    try:
        yield not mounted
    finally:
        if not mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def main(argv: list[str] | None = None) -> None:
    """Run undisturbed, run among faults, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="to work in; must not exist yet")
    parser.add_argument("--faults", type=int, default=18)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    draw, folder = random.Random(arguments.seed), arguments.folder.resolve()
    whole, disturbed = Place(folder / "whole"), Place(folder / "disturbed")
    whole.prepare()
    began = time.monotonic()
    if finish(whole.start()):
        sys.exit(f"the undisturbed run failed:\n{whole.said.read_text('utf-8')[-5000:]}")
    whole_s = time.monotonic() - began
    print(f"undisturbed: {whole_s:.0f} s\n")
    print("| fault | kind | hit | starts until all was done |\n|---|---|---|---|")
    broken: list[str] = []
    with small_disk(disturbed.folder) as on_small_disk:
        disturbed.prepare()
        # With their dates, which records and fingerprints name.
        shutil.copytree(whole.folder / "results/phantom", disturbed.folder / "results/phantom")
        kinds = [kind for kind in arguments.kinds if kind != "disk" or on_small_disk]
        order = [kinds[number % len(kinds)] for number in range(arguments.faults)]
        draw.shuffle(order)
        for number, kind in enumerate(order, 1):
            fault = Fault(kind)
            while not fault.hit:
                if all_done(disturbed):
                    forget_from(disturbed, draw.choice(INTERMEDIATE))
                fault = inject(disturbed, kind, draw.uniform(0.5, whole_s / 4), draw)
            # Faults that leave a trace are mended at once; others come one upon the other.
            if kind in ("corrupt", "remove", "disk") or number == len(order):
                recover(disturbed, fault)
            hit = ", ".join(filter(None, (fault.hit, fault.how, "named" * fault.named)))
            print(f"| {number} | {kind} | {hit} | {fault.starts or 'went on with the next fault'} |", flush=True)
            if fault.broken:
                broken.append(f"fault {number} ({kind}): {fault.broken}")
        if finish(disturbed.start()):
            broken.append("the last run failed")
        broken += differences(whole, disturbed)
        broken += [
            f"{path} is left" for path in disturbed.files() if path.name.startswith(".") and ".part" in path.name
        ]
        if broken:
            shutil.copy(disturbed.said, folder / "disturbed_said.txt")
    print(f"\n{len(order)} faults injected in {time.monotonic() - began:.0f} s; broken: {len(broken)}")
    print(*broken, sep="\n")
    sys.exit(bool(broken))


def all_done(place: Place) -> bool:
    """Whether the last tables are there, so that a further fault would find nothing to disturb."""
    tables = place.folder / "results/tables"
    return not place.jobs() and (tables / "slide.csv").exists() and (tables / "classification.csv").exists()


def forget_from(place: Place, stage: str, after: bool = False) -> None:
    """Delete all that was made from this stage on, or after it, so that it is made again."""
    first = INTERMEDIATE.index(stage) + after
    for name in (*INTERMEDIATE[first:], "checkpoints", "tables", "figures"):
        shutil.rmtree(place.folder / "results" / name, ignore_errors=True)


if __name__ == "__main__":
    main()
