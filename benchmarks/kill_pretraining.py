"""Pretraining killed at random moments, against the same run undivided.

    python benchmarks/kill_pretraining.py --folder build/kills [--kills 20] [--processes 1 2 2,1] [--seed 1]

For each of `--processes` (`2,1` alternates from piece to piece) a small DINO run is trained once undivided and once cut
into pieces by `--kills` kills; each piece is started by the same command, scripts/launch.py with scripts/pretrain.py.
SIGKILL, SIGTERM and SIGUSR1 go to all processes, to the launcher or to one process, at random moments: while the piece
starts, while it trains, while it writes a checkpoint. Now and then the newest checkpoint is damaged before the next
piece. Prints a line for each piece. Exits 1 if a cut run of a constant number of processes differs from the undivided
one in a bit of the weights or a figure of the curve, one of changing numbers by more than rounding, a piece that was
asked to end leaves no checkpoint of its last step, or a process outlives its piece.
"""

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPTS = REPOSITORY / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

import cv2
import numpy as np
import torch

from histossl.config.load import load_config
from histossl.config.plan import pretrain_settings
from histossl.encoders.encoder_file import load_encoder
from histossl.tiles.shards import write_shard

PATCH_PX = 64
PATCHES = 512
VIEW = {"scale": [0.4, 1.0], "blur_probability": 0.5, "solarise_probability": 0.1}
PRETRAIN = {
    "method": "dino",
    "tiling": "p64",
    "model": "vit_tiny_patch16_224",
    "model_args": {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 2, "num_heads": 2},
    "training_args": {"drop_path_rate": 0.1},
    "input_px": 32,
    "batch": 16,
    "precision": "fp32",
    "warmup_epochs": 1,
    "augmentation": {"views": [{"count": 2, "px": 32, **VIEW}, {"count": 4, "px": 16, **VIEW, "scale": [0.1, 0.4]}]},
    "dino": {"output_dim": 512, "hidden_dim": 64, "bottleneck_dim": 32},
}
"""Large enough that a step takes a few hundredths of a second: with nothing to do, kills would fall between steps."""
TIMED = {"images_per_s", "waiting_share", "hours", "gpu_memory_gb"}
CHECKPOINT_EVERY_S = 0.3
CLEAR_S = 30
"""All processes of a piece must be gone by then."""
ROUNDING = 0.02
"""Largest relative difference of a loss where the number of processes changes: sums are taken in another order."""
BLOWS = [
    (number, whom) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1) for whom in ("all", "launcher", "one")
]
MOMENTS = ["training", "training", "training", "saving", "saving", "starting"]


@dataclass
class Piece:
    """What became of one piece of a run."""

    processes: int
    blow: str = ""
    moment: str = ""
    exit_code: int = 0
    began_after: int | None = None
    """Steps that lay behind when training began; None if it was killed before."""
    saved: int = 0
    """Steps behind the newest checkpoint that it left."""
    damage: str = ""
    clear_s: float = 0.0
    """From the kill until the last process was gone."""
    broken: str = ""


class Run:
    """One run, whole or in pieces, in a folder of its own."""

    def __init__(self, folder: Path, shards: Path, slides: Path, steps: int) -> None:
        self.folder, self.shards, self.slides, self.steps = folder, shards, slides, steps
        self.said = folder / "said.txt"
        folder.mkdir(parents=True)

    @property
    def ended(self) -> bool:
        """Whether the encoder is there."""
        return (self.folder / "encoder.pt").exists()

    def command(self, processes: int) -> list[str]:
        """The command of each piece."""
        config = {"slides": {"sheet": ""}, "tilings": {"p64": {"patch_px": PATCH_PX, "spacing_um": 1.0}}}
        config["encoders"] = {"dino": {"pretrain": {**PRETRAIN, "steps": self.steps}}}
        settings = pretrain_settings(load_config(config, REPOSITORY / "config/schemas/config.schema.yaml"), "dino")
        options = {
            "name": "dino",
            "settings": json.dumps(settings),
            "slides": self.slides,
            "shards": self.shards,
            "output": self.folder / "encoder.pt",
            "curve": self.folder / "curve.jsonl",
            "checkpoints": self.folder / "checkpoints",
            "checkpoint-every-s": CHECKPOINT_EVERY_S,
            "workers": processes,
            "threads": processes,
        }
        launch = [str(SCRIPTS / "launch.py"), "--gpus=0", f"--processes={processes}", str(SCRIPTS / "pretrain.py")]
        return [sys.executable, *launch, *(f"--{name}={value}" for name, value in options.items())]

    def start(self, processes: int) -> subprocess.Popen:
        """Start a piece; what it says goes to a file."""
        with self.said.open("wb") as said:
            return subprocess.Popen(self.command(processes), stderr=said, start_new_session=True)

    def began_after(self) -> int | None:
        """How many steps lay behind this piece when it began to train; None before."""
        said = self.said.read_text("utf-8", errors="replace")
        if found := re.search(r"resuming after (\d+) of", said):
            return int(found[1])
        return 0 if "training for" in said else None

    def checkpoints(self) -> list[Path]:
        """The checkpoints, oldest first."""
        return sorted(self.folder.glob("checkpoints/*/step-*.pt"))

    def saved(self) -> int:
        """Steps behind the newest checkpoint, or all of them."""
        kept = self.checkpoints()
        return self.steps if self.ended else int(kept[-1].stem.split("-")[1]) if kept else 0

    def saving(self) -> bool:
        """Whether a checkpoint is being written at this moment."""
        return any(self.folder.glob("checkpoints/*/.step-*"))

    def members(self) -> list[int]:
        """All processes of the piece that runs: launcher, training processes, loaders."""
        mark, found = str(self.folder / "checkpoints").encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
            except OSError:  # it has ended meanwhile
                pass
        return sorted(found)

    def result(self) -> tuple[str, list[dict[str, float]]]:
        """Hash of the weights, and the curve without what depends on the clock."""
        lines = (self.folder / "curve.jsonl").read_text("utf-8").splitlines()
        curve = [{key: value for key, value in json.loads(line).items() if key not in TIMED} for line in lines]
        return load_encoder(self.folder / "encoder.pt")[2], curve


def draw_shards(folder: Path) -> tuple[Path, Path]:
    """Two shards of blurred noise and the list of their slides."""
    draw = np.random.default_rng(0)
    for slide in ("a", "b"):
        coarse = draw.integers(0, 256, (PATCHES // 2 * 8, 8, 3), np.uint8)
        patches = cv2.resize(coarse, (PATCH_PX, PATCHES // 2 * PATCH_PX)).reshape(-1, PATCH_PX, PATCH_PX, 3)
        streams = [cv2.imencode(".jpg", patch)[1].tobytes() for patch in patches]
        write_shard(folder / "shards" / f"{slide}.h5", streams, np.zeros((len(streams), 2)), slide, PATCH_PX, 1.0)
    slides = folder / "slides.txt"
    slides.write_text("a\nb\n")
    return folder / "shards", slides


def train_whole(run: Run, processes: int) -> float:
    """Train `run` undivided; the seconds that training took, without the start."""
    process = run.start(processes)
    while run.began_after() is None and process.poll() is None:
        time.sleep(0.05)
    began = time.monotonic()
    if process.wait():
        sys.exit(f"the undivided run failed:\n{run.said.read_text('utf-8')}")
    return time.monotonic() - began


def cut(run: Run, counts: list[int], kills: int, training_s: float, draw: random.Random) -> Iterator[Piece]:
    """Train `run` in pieces and yield each; `training_s` is how long the undivided run trains."""
    number_of_processes = cycle(counts)
    blows = [BLOWS[i % len(BLOWS)] for i in range(kills)]
    draw.shuffle(blows)
    for number, (signal_number, whom) in enumerate(blows):
        piece = Piece(next(number_of_processes), f"{signal_number.name} to {whom}", draw.choice(MOMENTS))
        process = run.start(piece.processes)
        # A part of what is left, so that the run does not end before the last kill.
        left_s = training_s * (1 - run.saved() / run.steps)
        wait_for_moment(run, process, piece.moment, draw, left_s / (kills - number + 1))
        strike(run, process, piece.processes, signal_number, whom, draw)
        struck = time.monotonic()
        while run.members() and time.monotonic() - struck < CLEAR_S:
            time.sleep(0.02)
        piece.clear_s = time.monotonic() - struck
        left = run.members()
        for member in left:
            os.kill(member, signal.SIGKILL)
        piece.exit_code = process.wait()
        judge(run, piece, signal_number, left)
        piece.damage = damage_newest(run, draw) if draw.random() < 0.25 else ""
        yield piece
        if run.ended:
            return
    piece = Piece(next(number_of_processes))
    piece.exit_code = run.start(piece.processes).wait()
    piece.began_after, piece.saved = run.began_after(), run.saved()
    if piece.exit_code:
        piece.broken = run.said.read_text("utf-8")[-1000:]
    yield piece


def wait_for_moment(run: Run, process: subprocess.Popen, moment: str, draw: random.Random, longest_s: float) -> None:
    """Return at a random moment of the kind `moment`, or when the run has ended."""
    if moment == "starting":
        time.sleep(draw.uniform(0, 4))
        return
    while run.began_after() is None and process.poll() is None:
        time.sleep(0.01)
    until = time.monotonic() + draw.uniform(0, longest_s)
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    while moment == "saving" and process.poll() is None and not run.saving():
        pass


def strike(
    run: Run, process: subprocess.Popen, processes: int, number: signal.Signals, whom: str, draw: random.Random
) -> None:
    """Send the signal: to the launcher, to one of several training processes, or to all."""
    members = run.members()
    # One process alone is its own launcher, and its children are loaders.
    training = [member for member in members if processes > 1 and parent_of(member) == process.pid]
    whose = {"all": members, "launcher": [process.pid], "one": [draw.choice(training or [process.pid])]}[whom]
    for member in whose:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, number)


def parent_of(process: int) -> int:
    """The process that started `process`; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def judge(run: Run, piece: Piece, number: signal.Signals, left: list[int]) -> None:
    """Note what the piece has left behind, and what it should not have."""
    said = run.said.read_text("utf-8", errors="replace")
    piece.began_after = run.began_after()
    piece.saved = run.saved()
    if left:
        piece.broken = f"{len(left)} process(es) left after {CLEAR_S} s"
    elif not run.ended and not piece.exit_code:
        piece.broken = "exit code 0 without an encoder"
    elif "Traceback" in said and number != signal.SIGKILL:
        piece.broken = f"a traceback: {said[-1000:]}"
    elif number != signal.SIGKILL and piece.moment != "starting" and not run.ended:
        stopped = re.search(r"stopped after step (\d+)", said)
        if stopped is None or int(stopped[1]) != piece.saved:
            piece.broken = f"asked to end, the newest checkpoint is of step {piece.saved}: {said[-300:]}"


def damage_newest(run: Run, draw: random.Random) -> str:
    """Cut the newest checkpoint short or flip a bit in it; say which. Nothing where there is none."""
    if not run.checkpoints():
        return ""
    newest = run.checkpoints()[-1]
    content = bytearray(newest.read_bytes())
    if draw.random() < 0.5:
        newest.write_bytes(content[: draw.randrange(len(content))])
        return "cut short"
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    newest.write_bytes(content)
    return "bit flipped"


def equal(whole: Run, pieces: Run, exactly: bool) -> str:
    """`yes`, or in what the two runs differ."""
    (weights, curve), (other_weights, other_curve) = whole.result(), pieces.result()
    if exactly:
        differing = [
            name for name, same in (("weights", weights == other_weights), ("curve", curve == other_curve)) if not same
        ]
        return f"no: {', '.join(differing)}" if differing else "yes, bit for bit"
    steps, other_steps = [line["step"] for line in curve], [line["step"] for line in other_curve]
    if steps != other_steps:
        return "no: curve"
    worst = max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(curve, other_curve, strict=True))
    return f"{'yes' if worst < ROUNDING else 'no'}: losses to {worst:.1g}"


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, run, print the tables, exit 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="to work in; must not exist yet")
    parser.add_argument("--kills", type=int, default=20, help="of each run")
    parser.add_argument("--processes", nargs="+", default=["1", "2"], help="`2,1` alternates from piece to piece")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True)
    torch.set_num_threads(1)
    shards, slides = draw_shards(folder)
    broken = False
    for processes in arguments.processes:
        counts = [int(count) for count in processes.split(",")]
        started = time.monotonic()
        whole = Run(folder / f"whole-{processes}", shards, slides, arguments.steps)
        training_s = train_whole(whole, counts[0])
        whole_s = time.monotonic() - started
        pieces = Run(folder / f"pieces-{processes}", shards, slides, arguments.steps)
        print(f"\nprocesses: {processes}; undivided: {whole_s:.0f} s, {training_s:.0f} s of it training\n")
        print("| piece | processes | signal | while | exit code | began after | newest checkpoint | then | gone in |")
        print("|---" * 9 + "|")
        fates = []
        for number, piece in enumerate(cut(pieces, counts, arguments.kills, training_s, random.Random(arguments.seed))):
            fates.append(piece)
            began = "" if piece.began_after is None else piece.began_after
            print(
                f"| {number + 1} | {piece.processes} | {piece.blow} | {piece.moment} | {piece.exit_code} | {began} "
                f"| {piece.saved} | {piece.damage} | {piece.clear_s:.1f} s |",
                flush=True,
            )
            if piece.broken:
                print(f"BROKEN piece {number + 1}: {piece.broken}")
        verdict = equal(whole, pieces, exactly=len(set(counts)) == 1) if pieces.ended else "no: it never ended"
        kills = sum(bool(piece.blow) for piece in fates)
        print(f"\n{kills} kills in {time.monotonic() - started:.0f} s; equal to the undivided run: {verdict}")
        broken = broken or not verdict.startswith("yes") or any(piece.broken for piece in fates)
    sys.exit(int(broken))


if __name__ == "__main__":
    main()
