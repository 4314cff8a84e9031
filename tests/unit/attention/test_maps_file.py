import numpy as np
import pytest

from histossl.attention.maps_file import AttentionMaps, read_maps, write_maps
from histossl.errors import UserError

RNG = np.random.default_rng(0)
FOUND = AttentionMaps(
    "dino",
    ["a (1, 2)", "ü <b>"],
    RNG.integers(0, 256, (2, 8, 8, 3), np.uint8),
    RNG.random((2, 3, 4, 4), np.float32),
    "of the class token",
    0.875,
)


def test_what_is_written_is_read(tmp_path):
    write_maps(tmp_path / "maps.h5", FOUND)
    found = read_maps(tmp_path / "maps.h5")
    np.testing.assert_array_equal(found.maps, FOUND.maps)
    np.testing.assert_array_equal(found.pictures, FOUND.pictures)
    assert (found.encoder, found.names, found.whose, found.field, found.reason) == (
        *("dino", FOUND.names, FOUND.whose, 0.875),
        "",
    )
    write_maps(tmp_path / "none.h5", AttentionMaps.none("simclr", "it is a ResNet"))
    found = read_maps(tmp_path / "none.h5")
    assert (found.encoder, found.names, found.reason, len(found.maps)) == ("simclr", [], "it is a ResNet", 0)


def test_the_same_maps_are_the_same_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_maps(tmp_path / name, FOUND)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_damaged_file_is_named(tmp_path):
    write_maps(tmp_path / "maps.h5", FOUND)
    content = (tmp_path / "maps.h5").read_bytes()
    place = content.index(FOUND.maps.tobytes())
    (tmp_path / "maps.h5").write_bytes(content[:place] + b"\0\1\2\3" + content[place + 4 :])
    with pytest.raises(UserError, match=r"maps\.h5.*delete it and rerun"):
        read_maps(tmp_path / "maps.h5")
    with pytest.raises(UserError, match=r"none\.h5"):
        read_maps(tmp_path / "none.h5")
