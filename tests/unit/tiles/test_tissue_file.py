import json

import cv2
import numpy as np
import pytest
import shapely.geometry

from histossl.errors import UserError
from histossl.tiles.tissue_file import rasterise, read_tissue, read_tissue_facts, trace_polygons, write_tissue


def random_mask(seed=4, height=120, width=160, grain_px=5):
    """Smooth blobs with holes, islands in holes, and pieces at the edge."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(height, width)), (0, 0), grain_px)
    return noise > 0


@pytest.mark.parametrize("seed", range(4))
def test_a_mask_survives_tracing_and_filling(seed):
    mask = random_mask(seed)
    again = rasterise(trace_polygons(mask, 16.0), (160, 120), 16.0)
    assert abs(int(again.sum()) - int(mask.sum())) <= 0.01 * mask.sum()
    assert (again ^ mask).mean() < 0.01
    holes = [cv2.connectedComponents((~m).astype(np.uint8))[0] for m in (mask, again)]
    assert holes[0] == holes[1]


def test_a_mask_survives_a_scale_that_is_not_whole():
    mask = random_mask()
    again = rasterise(trace_polygons(mask, 7.3), (160, 120), 7.3)
    assert abs(int(again.sum()) - int(mask.sum())) <= 0.01 * mask.sum()


def test_areas_agree_with_shapely_at_another_scale():
    mask = random_mask(4, 480, 640, 20)
    polygons = trace_polygons(mask, 8.0)
    area = sum(shapely.geometry.Polygon(outer, holes).area for outer, *holes in polygons)
    assert area == pytest.approx(mask.sum() * 64, rel=0.01)
    finer = rasterise(polygons, (1280, 960), 4.0)
    assert finer.sum() * 16 == pytest.approx(area, rel=0.01)


def test_a_rectangle_lies_where_its_pixels_are():
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    ((outer,),) = trace_polygons(mask, 4.0)
    xs, ys = np.array(outer).T
    np.testing.assert_allclose([xs.min(), xs.max(), ys.min(), ys.max()], [120, 200, 40, 80], atol=0.06)
    assert outer[0] == outer[-1]


def test_single_pixels_and_lines_are_kept():
    mask = np.zeros((20, 20), bool)
    mask[3, 3] = mask[10, 2:15] = mask[5:9, 17] = True
    np.testing.assert_array_equal(rasterise(trace_polygons(mask, 8.0), (20, 20), 8.0), mask)


def test_an_island_in_a_hole_is_a_polygon_of_its_own():
    mask = np.zeros((60, 60), bool)
    mask[5:55, 5:55] = True
    mask[15:45, 15:45] = False
    mask[25:35, 25:35] = True
    assert sorted(len(rings) for rings in trace_polygons(mask, 1.0)) == [1, 2]
    assert (rasterise(trace_polygons(mask, 1.0), (60, 60), 1.0) ^ mask).sum() <= 4 * 30


def test_nothing_and_everything():
    assert trace_polygons(np.zeros((10, 10), bool), 2.0) == []
    assert not rasterise([], (10, 10), 2.0).any()
    full = np.ones((10, 12), bool)
    assert rasterise(trace_polygons(full, 2.0), (12, 10), 2.0).all()


def test_polygons_and_facts_survive_the_file(tmp_path):
    polygons = trace_polygons(random_mask(), 3.0)
    facts = {"slide": "Müller", "area_mm2": 1.5, "reason": ""}
    write_tissue(tmp_path / "t.geojson", polygons, facts)
    assert read_tissue(tmp_path / "t.geojson") == (polygons, {**facts, "offset_px": [0, 0]})
    written = json.loads((tmp_path / "t.geojson").read_text(encoding="utf-8"))
    assert written["type"] == "FeatureCollection"
    for feature in written["features"]:
        assert shapely.geometry.shape(feature["geometry"]).geom_type == "Polygon"


def test_a_multipolygon_drawn_elsewhere_is_read(tmp_path):
    squares = [shapely.geometry.box(100, 100, 500, 400), shapely.geometry.box(600, 600, 900, 900)]
    holed = shapely.geometry.box(1000, 0, 1600, 600) - shapely.geometry.box(1200, 200, 1400, 400)
    several = shapely.geometry.mapping(shapely.geometry.MultiPolygon([*squares, holed]))
    features = [{"type": "Feature", "properties": {}, "geometry": several}]
    path = tmp_path / "t.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    polygons, facts = read_tissue(path)
    assert (len(polygons), facts) == (3, {})
    mask = rasterise(polygons, (1000, 500), 2.0)
    assert mask.sum() * 4 == pytest.approx(shapely.geometry.shape(several).area, rel=0.02)
    assert not mask[150, 650]


def test_a_third_coordinate_is_dropped(tmp_path):
    path = tmp_path / "t.geojson"
    ring = [[0, 0, 5], [10, 0, 5], [10, 10, 5], [0, 0, 5]]
    path.write_text(json.dumps({"features": [{"geometry": {"type": "Polygon", "coordinates": [ring]}}]}))
    assert read_tissue(path)[0] == [[[[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 0.0]]]]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"features": [{"geometry": null}]}',
        '{"features": [{"geometry": {"type": "Point", "coordinates": [1, 2]}}]}',
        '{"features": [{"geometry": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}}]}',
        '{"features": [{"geometry": {"type": "Polygon", "coordinates": [[["a", "b"]]]}}]}',
        '{"features": [{"geometry": {"type": "Polygon", "coordinates": [[1, 2]]}}]}',
    ],
)
def test_what_is_no_collection_of_polygons_is_named(tmp_path, content):
    path = tmp_path / "t.geojson"
    path.write_text(content)
    with pytest.raises(UserError, match=r"t\.geojson: no GeoJSON FeatureCollection"):
        read_tissue(path)


@pytest.mark.parametrize("read", [read_tissue, read_tissue_facts])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(UserError, match=r"t\.geojson"):
        read(tmp_path / "t.geojson")


@pytest.mark.parametrize("offset_px", [(0, 0), (40, 30)])
def test_facts_alone_are_those_of_the_whole_file(tmp_path, offset_px):
    facts = {"slide": 'Müller "histossl": {', "area_mm2": 1.5, "reason": "", "relaxed": False}
    write_tissue(tmp_path / "t.geojson", trace_polygons(random_mask(), 3.0), facts, offset_px)
    assert read_tissue_facts(tmp_path / "t.geojson") == read_tissue(tmp_path / "t.geojson")[1]
    assert read_tissue_facts(tmp_path / "t.geojson")["area_mm2"] == 1.5


def test_facts_of_a_file_that_is_cut_off_are_not_believed(tmp_path):
    path = tmp_path / "t.geojson"
    write_tissue(path, trace_polygons(random_mask(), 3.0), {"area_mm2": 1.5})
    whole = path.read_bytes()
    for length in (0, 20, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"t\.geojson: not a readable tissue file"):
            read_tissue_facts(path)


def test_qupath_counts_from_the_scanned_part(tmp_path):
    polygons = trace_polygons(random_mask(), 3.0)
    write_tissue(tmp_path / "t.geojson", polygons, {}, (40, 30))
    written = json.loads((tmp_path / "t.geojson").read_text(encoding="utf-8"))
    (x, y), (left, top) = polygons[0][0][0], written["features"][0]["geometry"]["coordinates"][0][0]
    assert (left, top) == (x - 40, y - 30)
    again, _ = read_tissue(tmp_path / "t.geojson")
    np.testing.assert_allclose(np.concatenate(again[0]), np.concatenate(polygons[0]))
