import pytest

from histossl.figures.cost import Cost
from histossl.figures.cost_drawing import draw_cost, find_panels
from histossl.figures.results import read_results
from tests.unit.figures.conftest import LONG, interval, outside, texts


def draw(tmp_path, table, costs):
    costs = {cost.encoder: cost for cost in costs}
    results = read_results(table, "slide")
    draw_cost(results, costs, "slide", "t", 0.95, tmp_path / "a.svg", tmp_path / "a.png")


def rows(names):
    return [{"encoder": name, **interval("auc", 0.5 + n / 50, 0.4, 1.0)} for n, name in enumerate(names)]


def test_each_panel_has_the_encoders_whose_cost_is_known(tmp_path, drawn, write_table):
    costs = [Cost("a", 2_000_000, 3.0, "cuda", 200.0), Cost("b", 40_000_000, None, None, 50.0), Cost("c")]
    table = [*rows("abc"), {"encoder": "a", "model": "clam_sb", **interval("auc", 0.1, 0, 1)}]
    draw(tmp_path, write_table(table), costs)
    marks = {
        axes.get_xlabel(): [line.get_xydata().tolist()[0] for line, _, _ in axes.containers] for axes in drawn[0].axes
    }
    assert marks == {
        "pretraining here, GPU hours": [[3, 0.5]],
        "images/s embedded": [[200, 0.5], [50, 0.52]],
        "parameters, millions": [[2, 0.5], [40, 0.52]],
    }
    assert [axes.get_xscale() for axes in drawn[0].axes] == ["linear", "linear", "log"]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["a", "b"]


@pytest.mark.parametrize(
    ("devices", "words"),
    [("cpu cpu", "hours on the CPU"), ("cuda cuda", "GPU hours"), ("cpu cuda", "GPU hours, or hours on the CPU")],
)
def test_the_axis_says_hours_of_what(devices, words):
    costs = {str(n): Cost(str(n), hours=1.0, device=device) for n, device in enumerate(devices.split())}
    assert list(find_panels(costs, list(costs))) == [f"pretraining here, {words}"]


@pytest.mark.parametrize(("table", "costs"), [(rows("a"), [Cost("a")]), (rows("a"), []), ([], [Cost("a", 5)])])
def test_nothing_known_is_a_sentence(tmp_path, drawn, write_table, table, costs):
    draw(tmp_path, write_table(table), costs)
    assert "t: no cost against quality" in texts(drawn[0])


def test_many_long_names_fit(tmp_path, drawn, write_table):
    names = [LONG.format(index) for index in range(12)]
    costs = [Cost(name, 10**6 * 2**n, 3.0**n, "cuda", 9000 / 2**n) for n, name in enumerate(names)]
    draw(tmp_path, write_table(rows(names)), costs)
    assert outside(drawn[0]) == []
