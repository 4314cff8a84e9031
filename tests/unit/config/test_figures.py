from histossl.config import figures
from tests.unit.config.test_plan import CONFIG


def config(**changes):
    """Two trained encoders with figures of one slide task and two patch tasks."""
    slide = {**CONFIG["slide_tasks"]["subtype"], "models": {"abmil": {}, "mean": {}}}
    return {**CONFIG, "slide_tasks": {"subtype": slide}, "figures": {"feature_map": {"patches": 9}}, **changes}


def test_each_map_is_of_an_encoder_and_a_data_set_that_a_task_uses():
    names = ("whole", "without", "other", "published")
    assert sorted(figures.feature_maps(config())) == sorted(f"results/figures/feature_maps/crc/{n}" for n in names)
    assert figures.feature_maps(config(patch_tasks={})) == []
    assert figures.map_settings(config()) == {"patches": 9}


def test_curves_are_of_trained_encoders_and_compared_where_there_are_several():
    folder = "results/figures/training"
    assert figures.training_curves(config()) == [f"{folder}/{n}" for n in ("whole", "without", "other")] + [folder]
    one = {"whole": CONFIG["encoders"]["whole"], "published": {"timm": {}}}
    assert figures.training_curves(config(encoders=one)) == [f"{folder}/whole"]


def test_fractions_are_drawn_where_there_are_several():
    heads = [f"results/figures/fractions/subtype/{head}" for head in ("abmil", "mean")]
    assert figures.fraction_curves(config()) == heads
    task = {**config()["slide_tasks"]["subtype"], "fractions": [1.0]}
    assert figures.fraction_curves(config(slide_tasks={"subtype": task})) == []


def test_each_task_has_a_forest_plot_a_kind_and_one_plot_of_its_cost():
    plots = ["slide/subtype", "classification/tissue", "regression/cells", "few_shot/tissue"]
    assert figures.forest_plots(config()) == [f"results/figures/forest/{plot}" for plot in plots]
    assert figures.cost_plots(config()) == [f"results/figures/cost/{plot}" for plot in plots[:3]]


def test_a_slide_task_and_a_patch_task_of_one_name_have_their_own_plots():
    named = config(patch_tasks={"subtype": CONFIG["patch_tasks"]["cells"]})
    assert figures.cost_plots(named) == [f"results/figures/cost/{kind}/subtype" for kind in ("slide", "regression")]


def test_ranks_are_drawn_over_several_tasks():
    assert figures.rank_plots(config()) == ["results/figures/critical_difference"]
    assert figures.rank_plots(config(patch_tasks={})) == []


def test_all_figures_are_svg_and_png():
    asked = figures.figures(config())
    assert len(asked) == len(set(asked)) == 2 * (4 + 4 + 2 + 4 + 3 + 1)
    assert {file.rpartition(".")[2] for file in asked} == {"svg", "png"}


def test_files_of_encoders_are_empty_where_there_are_none():
    encoders = {"whole": CONFIG["encoders"]["whole"], "net": {"timm": {}}, "mine": {"features": {"folder": "f"}}}
    assert figures.encoder_files(config(encoders=encoders)) == {
        "whole": {"encoder": "results/encoders/whole/encoder.pt", "curve": "results/encoders/whole/training.jsonl"},
        "net": {"encoder": "results/encoders/net/encoder.pt", "curve": ""},
        "mine": {"encoder": "", "curve": ""},
    }
