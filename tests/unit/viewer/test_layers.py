import cv2
import numpy as np

from histossl.heatmaps.attention import rank_attention
from histossl.heatmaps.canvas import colour_ranks
from histossl.viewer.layers import find_attention, read_heatmaps
from tests.unit.judged_run import COORDS, RING, Judgement, falling, write_run
from tests.unit.viewer.conftest import TASKS


def test_the_heatmap_is_transparent_where_no_patch_is_and_has_the_colours_of_ranks(layers):
    metadata, rings, (heatmap,) = layers
    assert rings == [RING]
    assert (heatmap.name, heatmap.detail) == ("task · enc · abmil", "label a, predicted a (0.90)")
    picture = cv2.imdecode(np.frombuffer(heatmap.png, np.uint8), cv2.IMREAD_UNCHANGED)
    shrink = metadata.width_px // picture.shape[1]
    ranks = rank_attention(falling())
    for (x, y), rank in zip((COORDS + 32) // shrink, ranks, strict=True):
        assert picture[y, x].tolist() == [*colour_ranks(np.array(rank))[::-1], 255]
    assert picture[0, 0, 3] == 0


def test_heads_of_the_largest_fraction_are_shown_of_tasks_that_are_configured(tmp_path, drawn_slide):
    one = [Judgement("x", "a", 0, 0.1)]
    for head in ("task/enc/abmil/0.5", "task/enc/abmil/1.0", "task/enc/abmil/0.25", "old/enc/abmil/1.0"):
        write_run(tmp_path, drawn_slide.path, one, head)
    found = find_attention(tmp_path / "results", TASKS)
    assert {key: path.parent.name for key, path in found.items()} == {("task", "enc", "abmil"): "1.0"}


def test_equal_attention_is_no_layer(tmp_path, drawn_slide, layers):
    write_run(tmp_path, drawn_slide.path, [Judgement(layers[0].slide, "a", 0, 0.1, np.full(4, 0.25))])
    assert read_heatmaps(tmp_path / "results", TASKS, layers[0]) == []
