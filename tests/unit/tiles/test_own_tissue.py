import json

import cv2
import numpy as np
import pytest
import shapely.geometry

from histossl.errors import UserError
from histossl.tiles.own_tissue import read_own_tissue
from histossl.tiles.tissue_file import rasterise, trace_polygons, write_tissue

SLIDE_PX = (1000, 800)


def feature(left, top, right, bottom, name=None):
    properties = {"objectType": "annotation"} | ({"classification": {"name": name}} if name else {})
    geometry = shapely.geometry.mapping(shapely.geometry.box(left, top, right, bottom))
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def area(polygons):
    return rasterise(polygons, SLIDE_PX, 1.0).sum()


@pytest.fixture
def write(tmp_path):
    def write(content):
        (tmp_path / "own.geojson").write_text(json.dumps(content), encoding="utf-8")
        return tmp_path / "own.geojson"

    return write


SQUARE, OTHER = feature(100, 100, 300, 200), feature(500, 500, 600, 600)


@pytest.mark.parametrize(
    "content",
    [{"type": "FeatureCollection", "features": [SQUARE, OTHER]}, [SQUARE, OTHER]],
)
def test_what_qupath_exports_is_taken(write, content):
    assert area(read_own_tissue(write(content), SLIDE_PX)) == 20_000 + 10_000


def test_a_single_feature_is_taken(write):
    assert area(read_own_tissue(write(SQUARE), SLIDE_PX)) == 20_000


def test_of_several_classes_tissue_is_taken_and_what_qupath_ignores_is_not(write):
    drawn = [feature(0, 0, 100, 100, "Tissue"), feature(200, 0, 300, 300, "Artefact"), feature(300, 300, 400, 400)]
    assert area(read_own_tissue(write(drawn), SLIDE_PX)) == 10_000
    ignored = [feature(0, 0, 100, 100, "Tumor"), feature(200, 0, 300, 300, "Ignore*")]
    assert area(read_own_tissue(write(ignored), SLIDE_PX)) == 10_000


def test_our_own_file_is_taken(tmp_path):
    mask = np.zeros((80, 100), bool)
    mask[10:30, 20:60] = True
    write_tissue(tmp_path / "t.geojson", trace_polygons(mask, 10.0), {})
    assert area(read_own_tissue(tmp_path / "t.geojson", SLIDE_PX)) == 80_000


def test_a_mask_of_any_size_covers_the_whole_slide(tmp_path):
    mask = np.zeros((201, 251), np.uint8)  # 4 px of the slide a pixel, but for rounding
    mask[50:100, 25:75] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    assert area(read_own_tissue(tmp_path / "mask.png", SLIDE_PX)) == pytest.approx(200 * 200, rel=0.01)


def test_an_empty_mask_is_no_tissue(tmp_path, write):
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((80, 100), np.uint8))
    assert read_own_tissue(tmp_path / "mask.png", SLIDE_PX) == []
    assert read_own_tissue(write([]), SLIDE_PX) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([feature(2000, 100, 2100, 200)], "lie outside the slide of 1000 x 800 px"),
        ([{"geometry": {"type": "Point", "coordinates": [1, 2]}}], "not a GeoJSON of polygons"),
        ("text", "not a GeoJSON of polygons"),
        (3, "not a GeoJSON of polygons"),
    ],
)
def test_what_does_not_fit_is_named(write, content, sentence):
    with pytest.raises(UserError, match=rf"own\.geojson.*{sentence}"):
        read_own_tissue(write(content), SLIDE_PX)


def test_a_missing_file_a_text_and_a_mask_of_another_slide_are_named(tmp_path):
    with pytest.raises(UserError, match="no such tissue file"):
        read_own_tissue(tmp_path / "gone.png", SLIDE_PX)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match="neither GeoJSON nor a readable picture"):
        read_own_tissue(tmp_path / "text.png", SLIDE_PX)
    cv2.imwrite(str(tmp_path / "square.png"), np.zeros((100, 100), np.uint8))
    with pytest.raises(UserError, match="other proportions"):
        read_own_tissue(tmp_path / "square.png", SLIDE_PX)


def test_outlines_of_qupath_start_at_the_scanned_part(write):
    ((ring,),) = read_own_tissue(write(SQUARE), SLIDE_PX, (50, 20))
    assert np.min(ring, axis=0).tolist() == [150, 120]
