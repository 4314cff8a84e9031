import json
import time

import numpy as np

from histossl.heatmaps.canvas import colour_ranks
from histossl.heatmaps.geojson import ATTENTION, RANK, write_geojson


def test_each_patch_is_a_tile_of_qupath_with_measurements_and_colour(tmp_path):
    coords, ranks = np.array([[100, 200], [164, 200]]), np.array([25.0, 75.0])
    write_geojson(tmp_path / "a.geojson", coords, 64.5, np.array([0.2, 0.8]), ranks, {"slide": "<b>ü"}, (10, 20))
    content = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert content["histossl"] == {"slide": "<b>ü"}
    first, second = content["features"]
    ring = [[90, 180], [154.5, 180], [154.5, 244.5], [90, 244.5], [90, 180]]
    assert first["geometry"] == {"type": "Polygon", "coordinates": [ring]}
    assert second["properties"] == {
        "objectType": "tile",
        "color": colour_ranks(ranks)[1].tolist(),
        "measurements": {RANK: 75.0, ATTENTION: 0.8},
    }


def test_fifty_thousand_patches_take_seconds(tmp_path):
    many = np.arange(50_000)
    start = time.perf_counter()
    write_geojson(tmp_path / "a.geojson", np.stack([many, many], axis=1), 256, many / many.sum(), many / 500, {})
    assert time.perf_counter() - start < 10
