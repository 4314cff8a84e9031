import cv2
import pytest

import segment_tissue
from histossl.errors import UserError
from histossl.tiles.tissue_file import rasterise, read_tissue


@pytest.fixture
def segment(tmp_path, tissue_settings, as_json):
    def run(file, metadata, on_bad_slide="exclude"):
        settings = f"--settings={as_json(tissue_settings)}"
        outputs = [f"--output={tmp_path / 'tissue.geojson'}", f"--overlay={tmp_path / 'overlay.jpg'}"]
        policy = f"--on-bad-slide={on_bad_slide}"
        segment_tissue.main([f"--file={file}", f"--metadata={metadata}", settings, policy, *outputs])
        return read_tissue(tmp_path / "tissue.geojson")

    return run


def test_the_outline_covers_the_tissue_at_level_zero(tmp_path, segment, drawn_slide, metadata_file):
    polygons, facts = segment(drawn_slide.path, metadata_file)
    mask = rasterise(polygons, (640, 512), 1.0)
    assert (mask & drawn_slide.truth).sum() / (mask | drawn_slide.truth).sum() > 0.95
    assert facts["area_mm2"] == pytest.approx(drawn_slide.truth.sum() * 0.0005**2, rel=0.05)
    assert (facts["slide"], facts["reason"], facts["relaxed"]) == ("blob", "", False)
    assert cv2.imread(str(tmp_path / "overlay.jpg")).shape == (128, 160, 3)


def test_a_slide_left_out_has_no_tissue_and_keeps_its_reason(tmp_path, segment, excluded_metadata):
    polygons, facts = segment(tmp_path / "nowhere.svs", excluded_metadata)
    assert polygons == []
    assert "no such slide file" in facts["reason"]
    assert (tmp_path / "overlay.jpg").stat().st_size


def test_a_slide_that_cannot_be_read_is_left_out_or_ends_the_run(tmp_path, segment, metadata_file):
    with pytest.raises(UserError, match=r"gone\.svs"):
        segment(tmp_path / "gone.svs", metadata_file, "fail")
    assert not (tmp_path / "tissue.geojson").exists()
    polygons, facts = segment(tmp_path / "gone.svs", metadata_file)
    assert polygons == []
    assert "gone.svs" in facts["reason"]
