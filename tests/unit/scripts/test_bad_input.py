"""What can be wrong with the input of embedding, or end it: a clear sentence, and what is finished stays."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import tifffile
import torch

import embed_patches
import embed_slides
from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import save_encoder
from histossl.errors import UserError
from histossl.features.slide_features import read_slide_features
from tests.unit.small_networks import CARD

SIDE = 512
COORDS = [(x, y) for y in range(0, SIDE, 64) for x in range(0, SIDE, 64)]
SCRIPTS = Path(__file__).parents[3] / "workflow/scripts"


def write_jpeg_slide(path, picture):
    header = f"Aperio Image Library v1\r\n{SIDE}x{SIDE}|AppMag = 20|MPP = 0.5"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(picture, description=header, tile=(128, 128), photometric="rgb", compression="jpeg", metadata=None)


@pytest.fixture
def arguments(tmp_path, encoder_file, write_tiles):
    """Of a batch of three slides of 64 patches, a to c."""
    files, coords = [], []
    for seed, slide in enumerate("abc"):
        files.append(tmp_path / f"{slide}.svs")
        coarse = np.random.default_rng(seed).integers(60, 110, (SIDE // 8, SIDE // 8, 3), np.uint8)
        write_jpeg_slide(files[-1], cv2.resize(coarse, (SIDE, SIDE)))
        coords.append(write_tiles(slide, files[-1], COORDS))

    def listed(precision="fp32"):
        settings = json.dumps({"precision": precision, "stain": None})
        paths = {"--encoder": encoder_file, "--features": tmp_path / "features", "--manifest": tmp_path / "all.json"}
        options = [f"{name}={path}" for name, path in paths.items()]
        slides = ["--files", *map(str, files), "--coords", *map(str, coords)]
        fixed = ["--name=net", "--on-bad-slide=exclude", "--code=c", "--threads=1"]
        return [*fixed, *options, *slides, f"--settings={settings}"]

    return listed


@pytest.fixture
def embed(tmp_path, arguments):
    def run(precision="fp32"):
        embed_slides.main(arguments(precision))
        return {line["slide"]: line["reason"] for line in json.loads((tmp_path / "all.json").read_text("utf-8"))}

    return run


def rows(tmp_path):
    return {slide: len(read_slide_features(tmp_path / f"features/{slide}.h5")[0]) for slide in "abc"}


def states(tmp_path):
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (tmp_path / "features").glob("*.h5")}


def test_a_slide_torn_in_the_middle_is_listed_and_the_batch_goes_on(tmp_path, embed):
    slide = tmp_path / "b.svs"
    whole = slide.read_bytes()
    middle, end = int(0.4 * len(whole)), int(0.6 * len(whole))
    slide.write_bytes(whole[:middle] + bytes(end - middle) + whole[end:])
    reasons = embed()
    assert (reasons["a"], reasons["c"]) == ("", "")
    assert "b.svs: damaged at level-0 x=" in reasons["b"]
    assert rows(tmp_path) == {"a": 64, "b": 0, "c": 64}
    before = states(tmp_path)
    slide.write_bytes(whole)
    assert set(embed().values()) == {""}
    assert rows(tmp_path)["b"] == 64
    assert {name for name, state in states(tmp_path).items() if state != before[name]} == {"b.h5"}


def test_an_encoder_that_overflows_on_some_patches_leaves_out_their_slide(tmp_path, embed, encoder_file):
    backbone = build_backbone(CARD.model, CARD.model_args, 1)
    weight = backbone.patch_embed.proj.weight
    with torch.no_grad():
        weight.fill_(
            1.2e5 / weight[0].numel()
        )  # half precision ends at 65,504; only what is brighter than half exceeds
    save_encoder(encoder_file, replace(CARD, mean=(0.0,) * 3, std=(1.0,) * 3), backbone)
    picture = np.full((SIDE, SIDE, 3), 40, np.uint8)
    for slide in "ac":
        write_jpeg_slide(tmp_path / f"{slide}.svs", picture)
    picture[300:400, 300:400] = 255
    write_jpeg_slide(tmp_path / "b.svs", picture)
    reasons = embed("fp16")
    assert "b.svs: the encoder gave features that are not finite numbers in fp16; try" in reasons["b"]
    assert rows(tmp_path) == {"a": 64, "b": 0, "c": 64}
    assert embed("fp32")["b"] == ""
    assert rows(tmp_path)["b"] == 64


def hold_groups(path):
    with h5py.File(path, "w") as file:
        file.create_group("features")
        file.create_group("coords")
        file.attrs["fingerprint"] = "x"


def hold_single_values(path):
    with h5py.File(path, "w") as file:
        file["features"], file["coords"] = 1.0, 1
        file.attrs["fingerprint"] = "x"


def hold_something_else(path):
    with h5py.File(path, "w") as file:
        file["x"] = 1


STRANGE = {
    "groups": hold_groups,
    "single values": hold_single_values,
    "something else": hold_something_else,
    "a link to nowhere": lambda path: path.symlink_to("nowhere/b.h5"),
    "half of it": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(4000)),
}


def test_what_another_program_left_in_a_feature_file_s_place_is_replaced(tmp_path, embed):
    embed()
    path, before = tmp_path / "features/b.h5", states(tmp_path)
    good = path.read_bytes()
    for name, leave in STRANGE.items():
        path.unlink()
        leave(path)
        embed()
        assert path.read_bytes() == good, name
        after = states(tmp_path)
        assert (after["a.h5"], after["c.h5"]) == (before["a.h5"], before["c.h5"]), name


def test_a_folder_in_a_feature_file_s_place_is_named(tmp_path, embed):
    (tmp_path / "features/b.h5").mkdir(parents=True)
    with pytest.raises(UserError, match=r"b\.h5: a folder is where a file has to be written; move it away"):
        embed()
    assert not (tmp_path / "all.json").exists()


def test_two_slides_of_one_file_have_the_same_features(tmp_path, embed):
    (tmp_path / "b.svs").unlink()
    (tmp_path / "b.svs").symlink_to("a.svs")
    embed()
    first, second = (read_slide_features(tmp_path / f"features/{slide}.h5")[0] for slide in "ab")
    np.testing.assert_array_equal(first, second)


def fill_disk(path):
    """Let the temporary file of `path` be one that takes nothing, as on a full disk."""
    path.parent.mkdir(exist_ok=True)
    path.with_name(f".{path.stem}.{zlib.crc32(path.name.encode()):08x}.part.h5").symlink_to("/dev/full")


def test_a_full_disk_leaves_what_is_finished_and_the_next_run_goes_on_from_there(tmp_path, embed):
    fill_disk(tmp_path / "features/b.h5")
    with pytest.raises(OSError, match="No space left on device") as caught:
        embed()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "features/b.h5"))
    before = states(tmp_path)
    assert list(before) == ["a.h5"]
    assert not list(tmp_path.rglob(".*"))
    embed()
    assert rows(tmp_path) == {"a": 64, "b": 64, "c": 64}
    assert states(tmp_path)["a.h5"] == before["a.h5"]


def test_a_full_disk_leaves_no_half_of_a_patch_data_set(tmp_path, encoder_file):
    (tmp_path / "set/TUM").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "set/TUM/a.png"), np.full((32, 32, 3), 90, np.uint8))
    settings = json.dumps({"precision": "fp32", "layout": "", "stain": None})
    options = ["--name=net", f"--encoder={encoder_file}", "--dataset=crc", "--threads=1", f"--settings={settings}"]
    command = [*options, f"--source={tmp_path / 'set'}", f"--output={tmp_path / 'features/crc.h5'}"]
    fill_disk(tmp_path / "features/crc.h5")
    with pytest.raises(OSError, match="No space left on device"):
        embed_patches.main(command)
    assert not list((tmp_path / "features").iterdir())
    (tmp_path / "set/TUM/b.png").write_bytes((tmp_path / "set/TUM/a.png").read_bytes()[:60])
    with pytest.raises(UserError, match=r"TUM/b\.png: missing or not a readable picture"):
        embed_patches.main(command)


def children(process):
    return [int(text) for text in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "victim", "exit_code", "said"),
    [
        (signal.SIGTERM, "job", 143, ""),
        (signal.SIGINT, "group", 130, ""),
        (signal.SIGKILL, "reader", 1, "was ended from outside (SIGKILL); run again"),
    ],
)
def test_a_signal_ends_the_job_soon_without_noise_or_orphans(
    tmp_path, arguments, encoder_file, number, victim, exit_code, said
):
    slow = {"model": "vit_base_patch16_224", "model_args": {"img_size": 64, "patch_size": 4}}
    card = replace(CARD, **slow, input_px=64, feature_dim=768)
    save_encoder(encoder_file, card, build_backbone(card.model, card.model_args, 1))
    command = [sys.executable, str(SCRIPTS / "embed_slides.py"), *arguments()]
    # A background job of a shell starts with Ctrl-C ignored, and so would what it starts.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heard)
    while not (readers := [one for one in children(job.pid) if has_patches(one)]) and job.poll() is None:
        time.sleep(0.01)
    time.sleep(0.5)
    if victim == "group":
        os.killpg(job.pid, number)
    else:
        os.kill(job.pid if victim == "job" else readers[0], number)
    _, error = job.communicate(timeout=60)
    assert job.returncode == exit_code, error
    assert said in error
    assert "Traceback" not in error
    assert bool(error) == bool(said)
    assert not [one for one in readers if Path(f"/proc/{one}").exists()]
    assert not list((tmp_path / "features").rglob(".*"))


def has_patches(process):
    try:
        return "memfd:patches" in Path(f"/proc/{process}/maps").read_text("utf-8", errors="replace")
    except OSError:
        return False
