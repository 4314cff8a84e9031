import json

import cv2
import h5py
import numpy as np
import pytest

import embed_patches


@pytest.fixture
def source(tmp_path):
    for name, grey in (("TUM/ü.png", 120), ("TUM/b.png", 90), ("STR/c.png", 200)):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "set" / name), np.full((32, 32, 3), grey, np.uint8))
    return tmp_path / "set"


@pytest.fixture
def embed(tmp_path, encoder_file):
    def run(source):
        options = ["--name=dino", f"--encoder={encoder_file}", "--dataset=crc", "--batch=2", "--threads=1"]
        settings = json.dumps({"precision": "auto", "layout": "", "stain": None})
        output = tmp_path / "features.h5"
        embed_patches.main([*options, f"--source={source}", f"--settings={settings}", f"--output={output}"])
        with h5py.File(output, "r") as file:
            return file["path"].asstr()[:].tolist(), file["label"].asstr()[:].tolist(), file["features"][:]

    return run


def test_a_folder_and_a_sheet_of_the_same_pictures_agree(embed, source):
    names, labels, features = embed(source)
    assert names == ["STR/c.png", "TUM/b.png", "TUM/ü.png"]
    assert labels == ["STR", "TUM", "TUM"]
    (source / "sheet.csv").write_text("path,label\nTUM/ü.png,TUM\nSTR/c.png,STR\nTUM/b.png,TUM\n", encoding="utf-8")
    names, _, from_sheet = embed(source / "sheet.csv")
    assert names == ["TUM/ü.png", "STR/c.png", "TUM/b.png"]
    np.testing.assert_allclose(from_sheet, features[[2, 0, 1]], atol=1e-5)
