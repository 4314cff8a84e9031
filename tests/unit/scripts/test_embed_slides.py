import json
import os
import shutil
from dataclasses import replace

import cv2
import h5py
import numpy as np
import pytest
import torch

import embed_slides
from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import load_encoder, save_encoder
from histossl.errors import UserError
from histossl.features.slide_features import read_slide_features
from tests.unit.conftest import write_slide

COORDS = [(x, y) for y in (60, 124, 188) for x in (64, 128, 192)]


@pytest.fixture
def cohort(tmp_path, drawn_slide, write_tiles):
    """Three slides with patches and one without, in the order of their names."""
    files, coords = {}, {}
    for slide in ("a", "b", "ü c"):
        files[slide] = tmp_path / f"{slide}.svs"
        shutil.copy(drawn_slide.path, files[slide])
        coords[slide] = write_tiles(slide, files[slide], COORDS)
    files["none"] = tmp_path / "none.svs"
    coords["none"] = write_tiles("none", files["none"], [], "no tissue found")
    return files, coords


@pytest.fixture
def embed(tmp_path, encoder_file, cohort):
    def run(policy="exclude", code="code", precision="auto", stain=None):
        files, coords = cohort
        before = torch.get_num_threads()
        embed_slides.main(
            [
                "--name=dino",
                f"--encoder={encoder_file}",
                "--files",
                *map(str, files.values()),
                "--coords",
                *map(str, coords.values()),
                f"--features={tmp_path / 'features'}",
                f"--manifest={tmp_path / 'manifest.json'}",
                f"--settings={json.dumps({'precision': precision, 'stain': stain})}",
                f"--on-bad-slide={policy}",
                f"--code={code}",
                "--threads=1",
            ]
        )
        torch.set_num_threads(before)
        return json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))

    return run


@pytest.fixture
def written(tmp_path):
    """When each feature file was written; an older time stands for an earlier run."""

    def times(age=False):
        paths = sorted((tmp_path / "features").glob("*.h5"))
        for path in paths if age else []:
            os.utime(path, ns=(10**9, 10**9))
        return {path.stem: path.stat().st_mtime_ns for path in paths}

    return times


def changed(before, after):
    return {slide for slide in after if before.get(slide) != after[slide]}


def reason(path):
    with h5py.File(path, "r") as file:
        return file.attrs["reason"]


def test_every_slide_has_features_or_a_reason(tmp_path, embed):
    manifest = embed()
    assert [entry["slide"] for entry in manifest] == ["a", "b", "ü c", "none"]
    for slide in ("a", "b", "ü c"):
        features, coords = read_slide_features(tmp_path / f"features/{slide}.h5")
        assert features.shape == (9, 64)
        assert list(map(tuple, coords)) == COORDS
    assert read_slide_features(tmp_path / "features/none.h5")[0].shape == (0, 64)
    assert reason(tmp_path / "features/none.h5") == "no tissue found"


def test_a_second_run_computes_nothing(embed, written):
    manifest = embed()
    before = written(age=True)
    assert embed() == manifest
    assert written() == before


def test_changed_coordinates_embed_that_slide_alone(tmp_path, embed, written, cohort, write_tiles):
    first = embed()
    before = written(age=True)
    write_tiles("b", cohort[0]["b"], COORDS[:4])
    second = embed()
    assert changed(before, written()) == {"b"}
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, False, True, True]
    assert read_slide_features(tmp_path / "features/b.h5")[0].shape == (4, 64)


def test_a_damaged_feature_file_is_written_anew(tmp_path, embed, written):
    embed()
    path = tmp_path / "features/a.h5"
    path.write_bytes(path.read_bytes()[:1000])
    before = written(age=True)
    embed()
    assert changed(before, written()) == {"a"}
    assert read_slide_features(path)[0].shape == (9, 64)


def test_other_code_or_weights_embed_all_anew(embed, written, encoder_file):
    embed()
    before = written(age=True)
    embed(code="other")
    assert changed(before, written()) == set(before)
    before = written(age=True)
    _, card, _ = load_encoder(encoder_file)
    save_encoder(encoder_file, card, build_backbone(card.model, card.model_args, 2))
    embed(code="other")
    assert changed(before, written()) == set(before)


def test_another_preprocessing_of_the_same_weights_embeds_all_anew(tmp_path, embed, written, encoder_file):
    embed()
    before, first = written(age=True), read_slide_features(tmp_path / "features" / "a.h5")[0]
    backbone, card, _ = load_encoder(encoder_file)
    save_encoder(encoder_file, replace(card, mean=(0.9, 0.1, 0.9)), backbone)
    embed()
    assert changed(before, written()) == set(before)
    assert not np.allclose(read_slide_features(tmp_path / "features" / "a.h5")[0], first)


@pytest.mark.parametrize("damage", ["truncated", "gone"])
def test_a_bad_slide_is_left_out_with_its_reason_and_the_others_go_on(tmp_path, embed, cohort, damage, capsys):
    bad = cohort[0]["b"]
    if damage == "gone":
        bad.unlink()
    else:
        bad.write_bytes(bad.read_bytes()[: bad.stat().st_size // 2])
    assert [entry["slide"] for entry in embed()] == ["a", "b", "ü c", "none"]
    assert read_slide_features(tmp_path / "features/b.h5")[0].shape == (0, 64)
    assert "b.svs" in reason(tmp_path / "features/b.h5")
    assert read_slide_features(tmp_path / "features/ü c.h5")[0].shape == (9, 64)
    assert "slide b is left out" in capsys.readouterr().out


def test_a_mended_slide_is_embedded_again(tmp_path, embed, cohort, drawn_slide):
    cohort[0]["b"].write_bytes(b"rubbish")
    embed()
    shutil.copy(drawn_slide.path, cohort[0]["b"])
    embed()
    assert read_slide_features(tmp_path / "features/b.h5")[0].shape == (9, 64)


def test_with_the_policy_fail_a_bad_slide_ends_the_run(tmp_path, embed, cohort):
    cohort[0]["b"].write_bytes(b"rubbish")
    with pytest.raises(UserError, match=r"b\.svs"):
        embed("fail")
    assert not (tmp_path / "manifest.json").exists()
    assert (tmp_path / "features/a.h5").exists()


def test_a_damaged_encoder_is_not_blamed_on_the_slides(tmp_path, embed, encoder_file):
    backbone, card, _ = load_encoder(encoder_file)
    with torch.no_grad():
        next(backbone.parameters()).view(-1)[0] = float("nan")
    save_encoder(encoder_file, card, backbone)
    with pytest.raises(UserError, match="not finite"):
        embed()
    assert not (tmp_path / "features").exists()


def test_another_precision_embeds_all_anew_and_is_named(tmp_path, embed, written):
    embed()
    before = written(age=True)
    with h5py.File(tmp_path / "features/a.h5") as file:
        assert file.attrs["precision"] == "fp32"
    embed(precision="bf16")
    assert changed(before, written()) == set(before)
    with h5py.File(tmp_path / "features/a.h5") as file:
        assert file.attrs["precision"] == "bf16"


def test_a_normalised_stain_is_named_and_another_one_embeds_all_anew(tmp_path, embed, written, cohort, drawn_slide):
    write_slide(cohort[0]["a"], (drawn_slide.picture * 0.6).astype(np.uint8))  # the drawn one is all but glass
    embed()
    plain = read_slide_features(tmp_path / "features/a.h5")[0]
    reference = tmp_path / "reference.png"
    cv2.imwrite(str(reference), drawn_slide.picture[200:300, 250:350] // 2)
    stain = {"method": "reinhard", "reference": str(reference), "content": "1"}
    embed(stain=stain)
    with h5py.File(tmp_path / "features/a.h5") as file:
        assert file.attrs["stain"] == "reinhard: reference.png"
        assert np.abs(file["features"][:] - plain).max() > 0.01
    before = written(age=True)
    embed(stain=stain)
    assert written() == before
    embed(stain={**stain, "content": "2"})
    assert changed(before, written()) == set(before)
