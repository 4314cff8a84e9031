import cv2
import h5py
import numpy as np
import pytest

import pack_tiles
from histossl.errors import UserError
from histossl.phantom.patches import ARMS, draw_classes
from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide
from histossl.stain.fit import fit_stain
from histossl.tiles.coords_file import read_coords
from histossl.tiles.shards import ShardSet

COORDS = [(x, y) for y in (60, 124, 188, 252) for x in (64, 128, 192, 256)]
SETTINGS = {"max_patches_per_slide": None, "seed": 1, "jpeg_quality": 95}


@pytest.fixture
def pack(tmp_path, as_json):
    def run(slide, coords, name="shard.h5", stain=None, **changed):
        settings = f"--settings={as_json({**SETTINGS, 'stain': stain, **changed})}"
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


def test_patches_take_the_colours_of_the_tilings_reference(tmp_path, pack, write_tiles, make_slide):
    tissue = [p.image for p in draw_classes(ARMS["raw"], 1, 128, 0.5, seed=1) if p.label in ("tumour", "normal")]
    slide = make_slide(tmp_path / "a.svs", np.hstack(tissue))
    coords = write_tiles("a", slide, [(0, 0), (64, 64), (128, 0)])
    cv2.imwrite(str(tmp_path / "reference.png"), tissue[0])
    stain = {"method": "macenko", "reference": str(tmp_path / "reference.png"), "content": "0"}
    raw, changed = pack(slide, coords, "raw.h5"), pack(slide, coords, "changed.h5", stain, jpeg_quality=100)
    with Slide(slide) as opened:
        cut = np.stack([patch.copy() for patch in read_patches(opened, read_coords(coords).coords, 64, 32)])
    expected = fit_stain(stain)(cut).astype(int)
    with ShardSet([changed]) as patches:
        packed = np.stack([patches.read(index) for index in range(3)])
    assert np.abs(packed - expected).mean() < 2 < 10 < np.abs(cut - expected).mean()
    names = [h5py.File(path)["/"].attrs["stain"] for path in (raw, changed)]
    assert names == ["none", "macenko: reference.png"]
