import json

import cv2
import numpy as np
import pytest

import segment_tissue
from histossl.errors import UserError
from histossl.slides.metadata import read_metadata
from histossl.tiles.tissue_file import rasterise, read_tissue


@pytest.fixture
def segment(tmp_path, tissue_settings, as_json):
    def run(file, *flags, on_bad_slide="exclude", **spacings):
        outputs = [f"--{name}={tmp_path / file}" for name, file in OUTPUTS.items()]
        own = ["--slide=ü 1", f"--file={file}", *(f"--{key.replace('_', '-')}={um}" for key, um in spacings.items())]
        segment_tissue.main(
            [*own, f"--settings={as_json(tissue_settings)}", f"--on-bad-slide={on_bad_slide}", *flags, *outputs]
        )
        return read_metadata(tmp_path / OUTPUTS["metadata"]), *read_tissue(tmp_path / OUTPUTS["tissue"])

    return run


OUTPUTS = {"metadata": "m/metadata.json", "tissue": "m/tissue.geojson", "overlay": "m/overlay.jpg"}


def test_the_outline_covers_the_tissue_at_level_zero(tmp_path, segment, drawn_slide, capsys):
    metadata, polygons, facts = segment(drawn_slide.path)
    mask = rasterise(polygons, (640, 512), 1.0)
    assert (mask & drawn_slide.truth).sum() / (mask | drawn_slide.truth).sum() > 0.95
    assert facts["area_mm2"] == pytest.approx(drawn_slide.truth.sum() * 0.0005**2, rel=0.05)
    assert (facts["slide"], facts["reason"], facts["relaxed"], facts["excluded"]) == ("ü 1", "", False, [])
    assert (metadata.slide, metadata.status, metadata.spacing_um, metadata.spacing_source) == (
        "ü 1",
        "ok",
        0.5,
        "vendor",
    )
    assert cv2.imread(str(tmp_path / OUTPUTS["overlay"])).shape == (400, 500, 3)
    assert capsys.readouterr().out == ""


def test_ink_is_left_out_and_told_to_the_grid(segment, drawn_slide, make_slide, tmp_path):
    marked = drawn_slide.picture.copy()
    cv2.line(marked, (40, 60), (600, 90), (20, 120, 60), 30)
    _, polygons, facts = segment(make_slide(tmp_path / "marked.svs", marked), sheet_spacing_um=4.0)
    ink = rasterise(facts["excluded"], (640, 512), 1.0)
    assert ink[75, 300]
    assert not rasterise(polygons, (640, 512), 1.0)[75, 300]
    assert facts["pen_mm2"] > 0


def test_settings_reach_the_ladder(segment, drawn_slide):
    assert segment(drawn_slide.path, sheet_spacing_um=0.3)[0].spacing_um == 0.3


def test_an_outline_of_ones_own_replaces_segmentation(tmp_path, segment, drawn_slide):
    mask = np.zeros((64, 80), np.uint8)
    mask[:32, :40] = 255
    cv2.imwrite(str(tmp_path / "mine.png"), mask)
    _, polygons, facts = segment(drawn_slide.path, "--own-tissue", str(tmp_path / "mine.png"))
    assert rasterise(polygons, (640, 512), 1.0).sum() == 320 * 256
    assert facts["source"].endswith("mine.png")
    assert facts["area_mm2"] == pytest.approx(0.32 * 0.256 / 4, rel=0.02)
    assert segment(drawn_slide.path)[2]["source"] == "segmented"


def test_an_outline_that_does_not_fit_leaves_the_slide_out(tmp_path, segment, drawn_slide):
    (tmp_path / "mine.geojson").write_text(json.dumps({"features": 3}))
    metadata, polygons, facts = segment(drawn_slide.path, "--own-tissue", str(tmp_path / "mine.geojson"))
    assert (metadata.status, polygons) == ("excluded", [])
    assert "mine.geojson" in facts["reason"]


def test_a_slide_without_scale_is_left_out(segment, drawn_slide, make_slide, tmp_path):
    metadata, polygons, facts = segment(make_slide(tmp_path / "plain.tif", drawn_slide.picture, spacing_um=None))
    assert (metadata.status, polygons) == ("excluded", [])
    assert facts["reason"] == metadata.reason
    assert "states no usable µm/px" in metadata.reason


@pytest.mark.parametrize("content", [b"rubbish", None])
def test_a_slide_that_cannot_be_read_is_left_out_or_ends_the_run(tmp_path, segment, content, capsys):
    bad = tmp_path / "bad.svs"
    if content:
        bad.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.svs"):
        segment(bad, on_bad_slide="fail")
    assert not (tmp_path / "m").exists()
    metadata, polygons, facts = segment(bad)
    assert (metadata.status, polygons) == ("excluded", [])
    assert "bad.svs" in facts["reason"]
    assert "slide ü 1 is left out" in capsys.readouterr().out
    assert (tmp_path / OUTPUTS["overlay"]).stat().st_size


def test_a_slide_without_colours_keeps_its_dark_tissue(segment, drawn_slide, make_slide, tmp_path):
    grey = cv2.cvtColor(drawn_slide.picture, cv2.COLOR_RGB2GRAY) // 2 + 60
    dark = np.where(drawn_slide.truth, grey // 3, 240).astype(np.uint8)
    _, polygons, facts = segment(make_slide(tmp_path / "grey.svs", cv2.merge([dark] * 3)), sheet_spacing_um=4.0)
    mask = rasterise(polygons, (640, 512), 1.0)
    assert (mask & drawn_slide.truth).sum() > 0.9 * drawn_slide.truth.sum()
    assert facts["pen_mm2"] == 0
