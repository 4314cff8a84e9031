import json

import numpy as np
import pytest

from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import save_encoder
from histossl.slides.metadata import inspect_slide, write_metadata
from histossl.tiles.coords_file import Tiling, write_coords
from tests.unit.small_networks import CARD, one_thread  # noqa: F401


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
