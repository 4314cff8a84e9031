import cv2
import h5py
import numpy as np
import pytest

import draw_views
from histossl.tiles.shards import write_shard
from tests.unit.ssl.conftest import AUGMENTATION


@pytest.fixture
def draw(tmp_path, as_json):
    """Slides `ü` and `b` with patches of 24 px, one without a patch, and one that is not trained on."""
    for slide, value, count in (("ü", 60, 5), ("b", 120, 3), ("none", 0, 0), ("other", 250, 5)):
        patches = [np.full((24, 24, 3), value, np.uint8)] * count
        streams = [cv2.imencode(".jpg", patch)[1].tobytes() for patch in patches]
        write_shard(tmp_path / f"{slide}.h5", streams, np.zeros((count, 2)), slide, 24, 1.0)
    (tmp_path / "slides.txt").write_text("ü\nb\nnone\n", encoding="utf-8")

    def draw(name="views.jpg", seed=0):
        settings = as_json({"augmentation": AUGMENTATION, "seed": seed})
        inputs = [f"--slides={tmp_path / 'slides.txt'}", f"--shards={tmp_path}"]
        draw_views.main([f"--settings={settings}", *inputs, f"--output={tmp_path / name}"])
        return tmp_path / name

    return draw


def test_patches_of_the_slides_that_are_trained_on_are_shown(draw):
    sheet = cv2.imread(str(draw()))
    shown = {value for value in (60, 120, 250) if (abs(sheet.astype(int) - value) <= 1).all(2).sum() >= 72**2}
    assert shown == {60, 120}


def test_the_same_settings_give_the_same_picture_and_another_seed_another(draw):
    first = draw("first.jpg").read_bytes()
    assert draw("again.jpg").read_bytes() == first
    assert draw("other.jpg", seed=1).read_bytes() != first


def test_a_damaged_patch_is_named_and_replaced(draw, tmp_path, capsys):
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        file["jpeg"][: file["offsets"][-1]] = 0
    draw()
    assert "b.h5" in capsys.readouterr().err
