from histossl.config.heatmaps import heatmap_files, largest_fraction

TASK = {"encoders": ["dino"], "models": {"abmil": {}, "max": {}}, "fractions": [0.25, 1.0, 0.5]}


def test_each_head_has_its_files():
    config = {"slide_tasks": {"t": TASK}, "heatmaps": {"slides": ["P 1"]}}
    folder = "results/figures/heatmaps/t/dino"
    assert heatmap_files(config) == [f"{folder}/abmil/slide_1.svg", f"{folder}/max/slide_1.svg"]
    assert largest_fraction(config, "t") == "1.0"
