import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from histossl.errors import UserError
from histossl.slides import flat_image
from histossl.slides.metadata import inspect_slide
from histossl.slides.reader import Slide
from tests.unit.slides.conftest import textured

DPI = 25400 / 0.5


@pytest.mark.parametrize("name", ["a.png", "A.PNG", "a.bmp", "a.tif", "a.tiff", "ü 1.jpg", "a.jpeg"])
def test_each_kind_is_read(tmp_path, name):
    picture = textured(200, 150)
    path = tmp_path / name
    Image.fromarray(picture).save(path)
    with Slide(path) as slide:
        assert (slide.width_px, slide.height_px, slide.level_downsamples) == (200, 150, (1.0,))
        assert slide.properties["openslide.vendor"] == "flat"
        whole = slide.read(0, 0, (200, 150), (200, 150))
        if "jp" in name:
            decoded = cv2.cvtColor(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            assert np.abs(whole.astype(int) - decoded).max() <= 3  # another version of the same decoder
        else:
            np.testing.assert_array_equal(whole, picture)
        over_edge = slide.read(-10, 140, (40, 20), (40, 20))
        np.testing.assert_array_equal(over_edge[:10, 10:], whole[140:, :30])
        assert (over_edge[10:] == 255).all() and (over_edge[:, :10] == 255).all()
        assert (slide.read(500, -70, (8, 8), (8, 8)) == 255).all()
        assert slide.thumbnail(2.0, 0.5).shape == (38, 50, 3)


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [("L", 77, 77), ("1", 1, 255), ("RGBA", (10, 20, 30, 0), 255), ("LA", (9, 255), 9)],
)
def test_other_modes_become_rgb_and_transparency_glass(tmp_path, mode, value, expected):
    path = tmp_path / "a.png"
    Image.new(mode, (20, 10), value).save(path)
    with Slide(path) as slide:
        got = slide.read(0, 0, (20, 10), (20, 10))
    assert got.shape == (10, 20, 3) and (got == expected).all()


@pytest.mark.parametrize(
    ("name", "source"),
    [("a.png", "image_resolution"), ("a.jpg", "image_resolution"), ("a.tif", "tiff_resolution")],
)
def test_resolution_is_the_scale_and_says_where_from(tmp_path, name, source):
    path = tmp_path / name
    dpi = DPI if name != "a.jpg" else 25400 / 0.508  # whole numbers in JPEG
    Image.fromarray(textured(100, 100)).save(path, dpi=(dpi, dpi))
    found = inspect_slide("s", path, None, None)
    assert (found.status, found.spacing_source, found.vendor) == ("ok", source, "flat")
    assert found.spacing_um == pytest.approx(25400 / dpi, rel=1e-3)


@pytest.mark.parametrize("dpi", [72, 96, 300])
def test_resolutions_for_print_are_refused_and_recorded(tmp_path, dpi):
    path = tmp_path / "a.png"
    Image.fromarray(textured(100, 100)).save(path, dpi=(dpi, dpi))
    assert inspect_slide("s", path, None, None).status == "excluded"
    found = inspect_slide("s", path, None, 0.5)
    assert (found.spacing_um, found.spacing_source) == (0.5, "assumed")
    assert found.spacing_refused[0].startswith("image_resolution gives")


def test_a_picture_that_states_nothing_has_nothing_refused(tmp_path):
    for name in ("a.png", "a.tif"):
        path = tmp_path / name
        tifffile.imwrite(path, textured(64, 64)) if name == "a.tif" else Image.new("RGB", (64, 64)).save(path)
        found = inspect_slide("s", path, None, 0.5)
        assert found.spacing_source == "assumed"
    assert inspect_slide("s", tmp_path / "a.png", None, 0.5).spacing_refused == ()


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    Image.new("1", (20000, 20000)).save(path)
    decoded = []
    monkeypatch.setattr(Image.Image, "convert", lambda *_: decoded.append(1))
    with pytest.raises(UserError, match=r"bomb\.png: .*(20000 x 20000 px|exceeds limit|Bomb)"):
        Slide(path)
    monkeypatch.setattr(flat_image, "MAX_PX", 100)
    Image.new("RGB", (20, 20)).save(tmp_path / "b.png")
    with pytest.raises(UserError, match="20 x 20 px, more than 100"):
        Slide(tmp_path / "b.png")
    assert not decoded


def test_more_than_eight_bits_are_refused(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((20, 20), 40000, np.uint16)).save(path)
    with pytest.raises(UserError, match=r"deep\.png: .*8 bits"):
        Slide(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif"])
def test_damage_is_a_sentence(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(textured(200, 150)).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        content = bytearray(whole)
        content[rng.integers(min(300, len(whole)))] ^= 255
        path.write_bytes(content[: rng.integers(len(whole))] if rng.random() < 0.5 else content)
        found = inspect_slide("s", path, 0.5, None)
        refused += found.status == "excluded"
        assert found.status == "ok" or name in found.reason
    assert refused > 10


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n"])
def test_what_only_has_the_name_of_a_picture_is_named(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png: not a readable picture"):
        Slide(path)
