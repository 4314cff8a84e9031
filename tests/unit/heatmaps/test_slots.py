from histossl.heatmaps.slots import heatmap_slots


def test_slots_are_known_without_a_prediction():
    assert heatmap_slots(2) == ["right_1", "right_2", "wrong_1", "wrong_2"]
    assert heatmap_slots(["P 1", "P2"]) == ["slide_1", "slide_2"]
