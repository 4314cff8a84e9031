import json

import numpy as np
import pytest

from histossl.errors import UserError
from histossl.slides.metadata import SlideMetadata, inspect_slide, read_metadata, write_metadata

PLAIN = np.full((128, 128, 3), 200, np.uint8)


def test_a_good_slide_is_described(drawn_slide):
    found = inspect_slide("s", drawn_slide.path, None, None)
    assert found == SlideMetadata(
        "s", "ok", "", 640, 512, (1.0, 4.0), 0.5, "vendor", (), objective_power="20", vendor="aperio"
    )


def test_the_sheet_goes_before_the_file(drawn_slide):
    found = inspect_slide("s", drawn_slide.path, 0.7, None)
    assert (found.spacing_um, found.spacing_source) == (0.7, "sheet")


def test_resolution_tags_of_a_real_file_are_understood(tmp_path, make_slide):
    tags = {"description": "Aperio Image Library v1|AppMag = 20", "resolutionunit": "CENTIMETER"}
    path = make_slide(tmp_path / "a.svs", PLAIN, None, (1,), resolution=(1e4 / 0.46, 1e4 / 0.46), **tags)
    found = inspect_slide("s", path, None, None)
    assert found.spacing_source == "tiff_resolution"
    assert found.spacing_um == pytest.approx(0.46, rel=1e-4)


def test_a_generic_tiff_says_that_its_tags_gave_the_scale(tmp_path, make_slide):
    path = make_slide(tmp_path / "a.tif", PLAIN, None, (1,), resolution=(2e4, 2e4), resolutionunit="CENTIMETER")
    found = inspect_slide("s", path, None, None)
    assert (found.vendor, found.spacing_source, found.spacing_um) == ("generic-tiff", "tiff_resolution", 0.5)


def test_a_slide_without_scale_is_excluded_unless_one_is_assumed(tmp_path, make_slide):
    path = make_slide(tmp_path / "a.tif", PLAIN, None, (1,), resolution=(1, 1), resolutionunit="NONE")
    found = inspect_slide("s", path, None, None)
    assert (found.status, found.width_px) == ("excluded", 0)
    assert "a.tif: states no usable µm/px" in found.reason
    assumed = inspect_slide("s", path, None, 0.5)
    assert (assumed.status, assumed.spacing_um, assumed.spacing_source) == ("ok", 0.5, "assumed")


def test_refused_values_are_kept(tmp_path, make_slide):
    path = make_slide(tmp_path / "a.svs", PLAIN, 1000, (1,))
    found = inspect_slide("s", path, None, 0.5)
    assert found.spacing_source == "assumed"
    assert any(text.startswith("vendor gives 1000") for text in found.spacing_refused)


@pytest.mark.parametrize("content", [None, b"rubbish"])
def test_a_slide_that_cannot_be_opened_is_a_result_with_a_reason(tmp_path, content):
    path = tmp_path / "bad.svs"
    if content is not None:
        path.write_bytes(content)
    found = inspect_slide("s", path, 0.5, 0.5)
    assert found.status == "excluded"
    assert "bad.svs" in found.reason


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_slide_is_excluded(tmp_path, drawn_slide, kept):
    content = drawn_slide.path.read_bytes()
    path = tmp_path / "cut.svs"
    path.write_bytes(content[: int(len(content) * kept)])
    assert inspect_slide("s", path, None, None).status == "excluded"


def test_metadata_survive_the_file(tmp_path, drawn_slide):
    path = tmp_path / "metadata.json"
    for metadata in (
        inspect_slide("Müller 'x'", drawn_slide.path, None, None),
        SlideMetadata("ä", "excluded", 'why: µm\nand "more"', spacing_refused=("a", "b")),
    ):
        write_metadata(path, metadata)
        assert read_metadata(path) == metadata
        json.loads(path.read_text(encoding="utf-8"))


def test_missing_metadata_are_named(tmp_path):
    with pytest.raises(UserError, match="metadata"):
        read_metadata(tmp_path / "metadata.json")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"slide": "a"', "\xff"])
def test_damaged_metadata_are_named(tmp_path, content):
    path = tmp_path / "metadata.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"metadata\.json: not readable"):
        read_metadata(path)
