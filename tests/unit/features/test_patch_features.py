import os
import signal
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from histossl.errors import UserError
from histossl.features import patch_features
from histossl.features.patch_features import embed_patches, write_patch_features
from histossl.features.readers import Readers
from histossl.patch_datasets.patch import LabelledPatch
from histossl.patch_datasets.pictures import read_picture
from histossl.progress import Progress


@pytest.fixture
def patches(tmp_path):
    """Seven pictures of different sizes, the first of the encoder's own."""
    rng = np.random.default_rng(0)
    listed = []
    for i, px in enumerate([32, 32, 48, 20, 64, 32, 32]):
        rough = rng.integers(0, 256, (4, 4, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"ü{i}.png"), cv2.resize(rough, (px, px), interpolation=cv2.INTER_CUBIC))
        listed.append(LabelledPatch(tmp_path / f"ü{i}.png", f"ü{i}.png", "TUM", "train", "p", 0.25 * i))
    return listed


def embed(patches, embedder, count=2, normaliser=None):
    with Readers(count, 3 * 32 * 32) as readers:
        progress = Progress("embed", len(patches), "patches")
        return embed_patches(Path("crc"), patches, readers, embedder, progress, normaliser)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("run", [2, 256])
def test_rows_are_the_pictures_one_by_one(patches, embedder, count, run, monkeypatch):
    monkeypatch.setattr(patch_features, "BATCH", run)
    expected = np.concatenate([embedder.embed(read_picture(patch.path)[None]) for patch in patches])
    np.testing.assert_allclose(embed(patches, embedder, count), expected, atol=1e-5)


def test_no_pictures_are_no_rows(embedder):
    assert embed([], embedder).shape == (0, 64)


class Inverted:
    def __call__(self, patches):
        return 255 - patches


def test_the_stain_is_normalised_before_pictures_are_resized(patches, embedder):
    expected = np.concatenate([embedder.embed(255 - read_picture(patch.path)[None]) for patch in patches])
    np.testing.assert_allclose(embed(patches, embedder, normaliser=Inverted()), expected, atol=1e-5)


def test_pictures_are_red_green_blue_whatever_they_are_stored_as(tmp_path):
    cv2.imwrite(str(tmp_path / "c.png"), np.full((4, 5, 3), (10, 20, 200), np.uint8))
    cv2.imwrite(str(tmp_path / "g.png"), np.full((4, 5), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "d.png"), np.full((4, 5, 3), 256 * 77, np.uint16))
    assert read_picture(tmp_path / "c.png")[0, 0].tolist() == [200, 20, 10]
    for name in ("g.png", "d.png"):
        picture = read_picture(tmp_path / name)
        assert (picture.shape, picture.dtype) == ((4, 5, 3), np.uint8)
        assert picture[0, 0].tolist() == [77, 77, 77]


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_a_picture_that_cannot_be_read_is_named(tmp_path, patches, embedder, content):
    if content is None:
        patches[4].path.unlink()
    else:
        patches[4].path.write_bytes(content)
    with pytest.raises(UserError, match=r"ü4\.png: missing or not a readable picture"):
        embed(patches, embedder)


def test_features_and_labels_survive_the_file_in_order(tmp_path, patches, embedder):
    patches[3] = LabelledPatch(patches[3].path, patches[3].name)
    features = np.random.default_rng(1).normal(size=(7, 64)).astype(np.float32)
    facts = {"encoder": "dino", "dataset": "crc", "weights_sha256": "w"}
    write_patch_features(tmp_path / "f.h5", features, patches, embedder.card, facts)
    with h5py.File(tmp_path / "f.h5", "r") as file:
        np.testing.assert_array_equal(file["features"][:], features)
        assert file["path"].asstr()[:].tolist() == [patch.name for patch in patches]
        assert file["label"].asstr()[:].tolist() == ["TUM", "TUM", "TUM", "", "TUM", "TUM", "TUM"]
        assert file["split"].asstr()[3] == file["group"].asstr()[3] == ""
        assert np.isnan(file["target"][3])
        np.testing.assert_array_equal(np.delete(file["target"][:], 3), [0, 0.25, 0.5, 1, 1.25, 1.5])
        assert (file.attrs["encoder"], file.attrs["dataset"], file.attrs["input_px"]) == ("dino", "crc", 32)


def test_a_hiccup_costs_nothing_and_a_crash_names_some_pictures(tmp_path, patches, embedder, monkeypatch):
    read, note = patch_features.read_patch, tmp_path / "note"

    def crash(patch):
        if patch.name == "ü4.png" and not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGSEGV)
        return read(patch)

    expected = embed(patches, embedder)
    monkeypatch.setattr(patch_features, "read_patch", crash)
    np.testing.assert_array_equal(embed(patches, embedder), expected)
    monkeypatch.setattr(patch_features, "read_patch", lambda _: os.kill(os.getpid(), signal.SIGSEGV))
    with pytest.raises(UserError, match=r"crc, one of its patches ü0\.png to ü6\.png: the decoder crashed on it"):
        embed(patches, embedder)
