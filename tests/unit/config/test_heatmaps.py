from histossl.config.heatmaps import heatmap_files, heatmap_slots, largest_fraction

TASK = {"encoders": ["dino"], "models": {"abmil": {}, "max": {}}, "fractions": [0.25, 1.0, 0.5]}


def test_slots_are_known_without_a_prediction():
    assert heatmap_slots(2) == ["right_1", "right_2", "wrong_1", "wrong_2"]
    assert heatmap_slots(["P 1", "P2"]) == ["P 1", "P2"]


def test_each_head_has_its_files():
    config = {"slide_tasks": {"t": TASK}, "heatmaps": {"slides": ["P 1"]}}
    folder = "results/figures/heatmaps/t/dino"
    assert heatmap_files(config) == [f"{folder}/abmil/P 1.svg", f"{folder}/max/P 1.svg"]
    assert largest_fraction(config, "t") == "1.0"
