import json

import numpy as np
import pytest
import torch

from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import EncoderCard, save_encoder
from histossl.slides.metadata import inspect_slide, write_metadata
from histossl.tiles.coords_file import Tiling, write_coords

CARD = EncoderCard("test_vit", {"img_size": 32}, (0.7, 0.5, 0.6), (0.2, 0.25, 0.3), 32, 1.0, 64, "dino", {}, "ab")


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks lose more to waiting threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def encoder_file(tmp_path):
    save_encoder(tmp_path / "encoder.pt", CARD, build_backbone(CARD.model, CARD.model_args, 1))
    return tmp_path / "encoder.pt"


@pytest.fixture
def excluded_metadata(tmp_path):
    path = tmp_path / "excluded" / "metadata.json"
    path.parent.mkdir()
    write_metadata(path, inspect_slide("bad", tmp_path / "nowhere.svs", None, None))
    return path


@pytest.fixture
def metadata_file(tmp_path, drawn_slide):
    write_metadata(tmp_path / "metadata.json", inspect_slide("blob", drawn_slide.path, None, None))
    return tmp_path / "metadata.json"


@pytest.fixture
def write_tiles(tmp_path):
    """Write coordinates of a slide: patches of 32 px at 1 µm/px."""

    def write(slide, slide_file, coords, reason=""):
        coords = np.asarray(coords, np.int64).reshape(-1, 2)
        path = tmp_path / "tiles" / f"{slide}.h5"
        metadata = inspect_slide(slide, slide_file, 0.5, None)
        write_coords(path, coords, np.ones(len(coords)), Tiling(32, 1.0, 0, 0.5), metadata, reason)
        return path

    return write


@pytest.fixture
def as_json():
    return json.dumps
