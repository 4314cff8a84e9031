from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from histossl.errors import UserError
from histossl.viewer.tiles import OVERLAP_PX, TILE_PX, SlideTiles


def test_tiles_are_the_slide_and_each_has_an_address(tiles, drawn_slide):
    addresses = list(tiles.addresses())
    finest = max(level for level, _, _ in addresses)
    assert 2**finest >= 640 > 2 ** (finest - 1)
    assert len(addresses) == len(set(addresses))
    tile = cv2.imdecode(np.frombuffer(tiles.read(finest, 1, 0), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    left = TILE_PX - OVERLAP_PX
    expected = drawn_slide.picture[: TILE_PX + OVERLAP_PX, left : left + TILE_PX + 2 * OVERLAP_PX]
    assert tile.shape == expected.shape
    assert np.abs(cv2.blur(tile, (9, 9)).astype(int) - cv2.blur(expected, (9, 9))).mean() < 3


@pytest.mark.parametrize("address", [(99, 0, 0), (10, 3, 0), (0, 0, 1)])
def test_no_tile_lies_outside(tiles, address):
    with pytest.raises(LookupError):
        tiles.read(*address)


def test_what_is_no_slide_is_named(tmp_path):
    (tmp_path / "a.svs").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"a\.svs: not a readable picture"):
        SlideTiles(tmp_path / "a.svs")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_flat_picture_is_right_for_many_readers_from_the_first_tile_on(tmp_path, drawn_slide, suffix):
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), drawn_slide.picture[..., ::-1])
    with SlideTiles(path) as one:
        addresses = list(one.addresses())
        expected = [one.read(*address) for address in addresses]
    for _ in range(3):
        with SlideTiles(path) as tiles, ThreadPoolExecutor(8) as threads:
            assert list(threads.map(lambda address: tiles.read(*address), addresses)) == expected


def test_a_flat_picture_cut_off_is_named(tmp_path, drawn_slide):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), drawn_slide.picture)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"a\.png: not a readable picture"):
        SlideTiles(path)
