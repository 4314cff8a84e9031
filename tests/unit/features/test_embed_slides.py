import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from histossl.errors import UserError
from histossl.features import embed_runs, readers, slide_runs
from histossl.features.embed import Embedder
from histossl.features.embed_slides import embed_slides, plan_job, store
from histossl.features.geometry import Geometry
from histossl.features.readers import Readers
from histossl.features.slide_features import read_fingerprint, read_slide_features
from histossl.slides.metadata import inspect_slide
from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide
from histossl.tiles.coords_file import Tiling, write_coords

COORDS = np.array([[x, y] for y in range(0, 448, 64) for x in range(0, 576, 64)])


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    """A slide of 63 patches in nine runs, of two batches each."""
    monkeypatch.setattr(slide_runs, "RUN", 7)
    monkeypatch.setattr(readers, "BATCH", 4)
    monkeypatch.setattr(embed_runs, "BATCH", 4)


@pytest.fixture
def job(tmp_path, drawn_slide):
    """Write coordinates, patches of 64 px at the slide's own scale, and plan their job."""

    def plan(name, coords=COORDS, reason=""):
        slide = tmp_path / f"{name}.svs"
        shutil.copy(drawn_slide.path, slide)
        path = tmp_path / f"{name}.h5"
        metadata = inspect_slide(name, slide, None, None)
        write_coords(path, coords, np.ones(len(coords)), Tiling(64, 0.5, 0, 0.5), metadata, reason)
        return plan_job(slide, path, tmp_path / "features", "encoder", "code")

    return plan


def embed(jobs, embedder, count=2, normaliser=None):
    with Readers(count, 3 * 64 * 64) as started:
        return [(job.tiles.slide, features) for job, features in embed_slides(jobs, started, embedder, normaliser)]


@pytest.mark.parametrize("count", [1, 3])
def test_features_are_those_of_the_patches_one_by_one(job, embedder, drawn_slide, count):
    (_, features), *_ = embed([job("a")], embedder, count)
    cuts = [drawn_slide.picture[y : y + 64, x : x + 64] for x, y in COORDS]
    small = [np.asarray(Image.fromarray(cut).resize((32, 32), Image.Resampling.BILINEAR)) for cut in cuts]
    expected = np.concatenate([embedder.embed(patch[None]) for patch in small])
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert np.abs(features - np.roll(expected, 1, axis=0)).max() > 0.05


def test_a_crop_is_cut_once(job, embedder, drawn_slide):
    embedder.geometry = Geometry(48, 32)
    (_, features), *_ = embed([job("a")], embedder)
    expected = np.concatenate([embedder.embed(drawn_slide.picture[None, y : y + 64, x : x + 64]) for x, y in COORDS])
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_features_do_not_depend_on_what_else_is_embedded_or_on_how_many_readers(job, embedder):
    (_, alone), *_ = embed([job("a")], embedder, 1)
    together = dict(embed([job("b", COORDS[:30]), job("a"), job("c", COORDS[5:])], embedder, 3))
    np.testing.assert_array_equal(together["a"], alone)
    assert (len(together["b"]), len(together["c"])) == (30, 58)


@pytest.mark.parametrize("geometry", [Geometry(32, 32), Geometry(48, 32, "bicubic"), Geometry(64, 32)])
def test_patches_resized_on_the_device_give_the_same(job, embedder, monkeypatch, geometry):
    embedder.geometry = geometry
    (_, by_readers), *_ = embed([job("a")], embedder)
    monkeypatch.setattr(embedder, "resizes", True)
    (_, on_device), *_ = embed([job("a")], embedder)
    np.testing.assert_allclose(on_device, by_readers, atol=1e-5)  # the layout in memory differs, and so does rounding


def test_a_slide_without_patches_is_not_opened(job, embedder):
    empty = job("none", COORDS[:0], "no tissue found")
    empty.slide_file.unlink()
    ((slide, features),) = embed([empty], embedder)
    assert (slide, features.shape) == ("none", (0, 64))


def test_a_slide_truncated_in_mid_batch_costs_itself_alone(job, embedder):
    jobs = [job("a"), job("bad"), job("c"), job("gone")]
    jobs[1].slide_file.write_bytes(jobs[1].slide_file.read_bytes()[:150_000])
    jobs[3].slide_file.unlink()
    found = dict(embed(jobs, embedder))
    assert list(found) == ["a", "c", "bad", "gone"]
    assert "bad.svs" in str(found["bad"])
    assert "gone.svs: no such slide file" in str(found["gone"])
    np.testing.assert_array_equal(found["a"], found["c"])


def crash_on(name, crashes=100, note=None):
    read = slide_runs.read_patches_into

    def crash(slide, *arguments):
        if slide.path.name == name and (note is None or len(note.read_text()) < crashes):
            if note:
                note.write_text(note.read_text() + "x")
            os.kill(os.getpid(), signal.SIGSEGV)
        read(slide, *arguments)

    return crash


def test_a_slide_that_crashes_its_decoder_is_one_slide_lost(job, embedder, monkeypatch):
    monkeypatch.setattr(slide_runs, "read_patches_into", crash_on("b.svs"))
    found = dict(embed([job("a"), job("b"), job("c")], embedder))
    assert "b.svs: the decoder crashed on it (SIGSEGV)" in str(found["b"])
    assert len(found["a"]) == len(found["c"]) == 63


def test_trouble_that_passes_costs_nothing(tmp_path, job, embedder, monkeypatch):
    (tmp_path / "note").touch()
    monkeypatch.setattr(slide_runs, "read_patches_into", crash_on("b.svs", 1, tmp_path / "note"))
    found = dict(embed([job("a"), job("b")], embedder, 1))
    np.testing.assert_array_equal(found["b"], found["a"])


def test_features_that_are_no_numbers_name_the_slide_and_the_others_go_on(job, embedder):
    whole = embedder.launch
    calls = iter(range(100))

    def launch(parts):
        launched = whole(parts)
        if next(calls) in (20, 40):
            return replace(launched, features=launched.features * np.nan)
        return launched

    embedder.launch = launch
    found = dict(embed([job("a"), job("b"), job("c", COORDS[:3])], embedder, 1))
    assert "b.svs: the encoder gave features that are not finite numbers" in str(found["b"])
    assert (len(found["a"]), len(found["c"])) == (63, 3)


def test_the_stain_is_normalised_before_patches_are_resized(job, embedder):
    seen = embed([job("a", COORDS[:8])], embedder, 1, normaliser=Inverted())[0][1]
    with Slide(job("a").slide_file) as slide:
        patches = np.stack(list(read_patches(slide, COORDS[:8], 64, 64)))
    np.testing.assert_allclose(seen, embedder.embed(255 - patches), atol=1e-5)


class Inverted:
    def __call__(self, patches):
        assert patches.shape[1:] == (64, 64, 3)
        return 255 - patches


def test_reading_goes_on_while_the_network_works(job, embedder, monkeypatch, tmp_path):
    """The second slide is opened before the first is done."""
    opened = tmp_path / "opened"

    class Noted(Slide):
        def __init__(self, path):
            super().__init__(path)
            with opened.open("a") as file:
                file.write(f"{Path(path).name} {time.monotonic()}\n")

    monkeypatch.setattr(slide_runs, "Slide", Noted)
    whole = embedder.launch
    embedder.launch = lambda parts: (time.sleep(0.05), whole(parts))[1]
    done = {}
    with Readers(2, 3 * 64 * 64) as started:
        for one, _ in embed_slides([job("a"), job("b")], started, embedder):
            done[one.slide_file.name] = time.monotonic()
    first = {line.split()[0]: float(line.split()[1]) for line in reversed(opened.read_text().splitlines())}
    assert first["b.svs"] < done["a.svs"]


def test_what_is_stored_says_what_came_of_a_slide(job, embedder):
    good, bad = job("a"), job("b")
    facts = {"encoder": "dino", "weights_sha256": "w"}
    features = np.ones((63, 64), np.float32)
    line = {"slide": "a", "fingerprint": good.fingerprint, "reason": "", "files": ["a.h5"]}
    assert store(good, features, embedder.card, facts) == line
    assert store(bad, UserError("b.svs: torn"), embedder.card, facts)["reason"] == "b.svs: torn"
    np.testing.assert_array_equal(read_slide_features(good.output)[0], features)
    assert read_slide_features(bad.output)[0].shape == (0, 64)
    assert (read_fingerprint(good.output), read_fingerprint(bad.output)) == (good.fingerprint, "")


def test_a_job_changes_with_its_slide_and_its_patches(job):
    before = job("a")
    assert job("b", COORDS[:9]).fingerprint != before.fingerprint
    os.utime(before.slide_file, (10**9, 10**9))
    again = plan_job(before.slide_file, before.coords_file, before.output.parent, "encoder", "code")
    assert again.fingerprint != before.fingerprint


def test_a_hiccup_that_is_no_crash_costs_nothing_either(tmp_path, job, embedder, monkeypatch):
    """OpenSlide's handles stay in error: the second try needs a new one."""
    read = slide_runs.read_patches_into
    note = tmp_path / "note"

    def stumble(slide, *arguments):
        if not note.exists() or getattr(slide, "broken", False):
            note.touch()
            slide.broken = True
            raise UserError("a hiccup")
        read(slide, *arguments)

    monkeypatch.setattr(slide_runs, "read_patches_into", stumble)
    ((_, features),) = embed([job("a")], embedder, 1)
    assert len(features) == 63


def test_patches_that_are_large_are_read_one_at_a_time(job, embedder, monkeypatch):
    """Not all of a slot at once: a slot is sized by what the network takes."""
    sizes = []
    read = slide_runs.read_patches_into
    monkeypatch.setattr(slide_runs, "read_patches_into", lambda *a: (sizes.append(len(a[3])), read(*a)))
    planned = job("a", COORDS[:9])
    run = next(slide_runs.cut_runs(0, planned.slide_file, planned.tiles, None, Geometry(32, 32)))
    run.read(0, np.empty(run.shape, np.uint8))
    assert set(sizes) == {1}


def test_time_is_allowed_for_large_patches_and_for_stain():
    usual, large, stained = (
        slide_runs.SlideRun(0, 0, Path("a"), np.zeros((100, 2)), 1.0, px, normaliser).limit_s
        for px, normaliser in ((256, None), (2048, None), (256, Inverted()))
    )
    assert large > 20 * usual / 4
    assert usual < stained < large


def test_a_batch_is_launched_before_the_last_is_fetched(job, embedder):
    order = []
    launch, fetch = embedder.launch, embedder.fetch
    embedder.launch = lambda parts: (order.append("launch"), launch(parts))[1]
    embedder.fetch = lambda launched: (order.append("fetch"), fetch(launched))[1]
    embed([job("a")], embedder, 1)
    assert order[:4] == ["launch", "launch", "fetch", "launch"]
    assert order.count("launch") == order.count("fetch") == 18


def test_mixed_precision_is_near(job, embedder):
    (_, full), *_ = embed([job("a")], embedder)
    mixed = Embedder(embedder.backbone, embedder.card, torch.device("cpu"), "fp16")
    (_, half), *_ = embed([job("a")], mixed)
    assert (np.linalg.norm(half - full, axis=1) / np.linalg.norm(full, axis=1)).max() < 1e-2
