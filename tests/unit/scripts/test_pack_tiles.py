import cv2
import numpy as np
import pytest

import pack_tiles
from histossl.errors import UserError
from histossl.tiles.shards import ShardSet

COORDS = [(x, y) for y in (60, 124, 188, 252) for x in (64, 128, 192, 256)]
SETTINGS = {"max_patches_per_slide": None, "seed": 1, "jpeg_quality": 95}


@pytest.fixture
def pack(tmp_path, as_json):
    def run(slide, coords, name="shard.h5", **changed):
        settings = f"--settings={as_json({**SETTINGS, **changed})}"
        files = [f"--file={slide}", f"--coords={coords}", f"--output={tmp_path / name}"]
        pack_tiles.main([*files, settings, "--on-bad-slide=exclude"])
        return tmp_path / name

    return run


def test_patches_are_those_of_the_slide_in_order(pack, write_tiles, drawn_slide):
    patches = ShardSet([pack(drawn_slide.path, write_tiles("a", drawn_slide.path, COORDS))])
    assert (len(patches), patches.patch_px, patches.spacing_um) == (16, 32, 1.0)
    for index, (x, y) in enumerate(COORDS):
        cut = cv2.resize(drawn_slide.picture[y : y + 64, x : x + 64], (32, 32), interpolation=cv2.INTER_AREA)
        assert np.abs(patches.read(index).astype(int) - cut).mean() < 5


def test_a_draw_is_repeatable_and_no_larger_than_asked(pack, write_tiles, drawn_slide):
    coords = write_tiles("a", drawn_slide.path, COORDS)
    first = pack(drawn_slide.path, coords, max_patches_per_slide=5).read_bytes()
    assert len(ShardSet([pack(drawn_slide.path, coords, max_patches_per_slide=5)])) == 5
    assert pack(drawn_slide.path, coords, "again.h5", max_patches_per_slide=5).read_bytes() == first
    assert pack(drawn_slide.path, coords, "other.h5", max_patches_per_slide=5, seed=2).read_bytes() != first


def test_a_slide_without_patches_gives_an_empty_shard(tmp_path, pack, write_tiles):
    empty = pack(tmp_path / "gone.svs", write_tiles("b", tmp_path / "gone.svs", [], "no tissue found"))
    with pytest.raises(UserError, match="none of the 1 shards"):
        ShardSet([empty])
