import pytest

from histossl.figures.forest import draw_forest
from histossl.figures.results import read_results
from tests.unit.figures.conftest import LONG, interval, outside, texts


def draw(tmp_path, table, task="t"):
    draw_forest(read_results(table, "slide"), "slide", task, 0.9, tmp_path / "a.svg", tmp_path / "a.png")


def row(encoder, value, **more):
    return {"encoder": encoder, **interval("auc", value, value - 0.1, value + 0.05), **more}


def test_marks_and_bars_are_the_numbers_of_the_table(tmp_path, drawn, write_table):
    change = interval("auc_difference", 0.2, 0.1, 0.4)
    table = [row("a", 0.8, control="b", vs_best="best", **change), row("b", 0.6, vs_best="worse")]
    draw(tmp_path, write_table([*table, row("a", 0.1, fraction="0.5")]))
    estimates, differences = drawn[0].axes
    marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line, _, _ in estimates.containers]
    assert marks == [(0.8, 0), (0.6, -1)]
    assert [label.get_text() for label in estimates.get_yticklabels()] == ["a", "b"]
    (bars,) = estimates.containers[0][2]
    assert bars.get_segments()[0][:, 0] == pytest.approx([0.7, 0.85])
    ((line, _, (bars,)),) = differences.containers
    assert line.get_xdata()[0] == 0.2 and bars.get_segments()[0][:, 0] == pytest.approx([0.1, 0.4])
    faces = [line.get_markerfacecolor() for line, _, _ in estimates.containers]
    assert faces[0] != "white" and faces[1] == "white"
    assert "90% interval" in texts(drawn[0]) and "100% of the training patients" in texts(drawn[0])


def test_heads_have_panels_and_without_controls_there_are_no_differences(tmp_path, drawn, write_table):
    draw(tmp_path, write_table([row("a", 0.8), row("a", 0.7, model="clam_sb"), row("b", 0.6, model="clam_sb")]))
    assert [axes.get_title() for axes in drawn[0].axes] == ["abmil", "clam_sb"]
    assert [len(axes.containers) for axes in drawn[0].axes] == [1, 2]
    assert drawn[0].axes[1].containers[1][0].get_ydata()[0] == -1  # a place for each encoder, whatever head has it


def test_a_value_without_an_interval_is_a_mark(tmp_path, drawn, write_table):
    draw(tmp_path, write_table([{"encoder": "a", "auc": "0.7"}, {"encoder": "b"}]))
    ((line, _, (bars,)),) = drawn[0].axes[0].containers
    assert line.get_xdata()[0] == 0.7 and bars.get_segments()[0][:, 0].tolist() == [0.7, 0.7]


@pytest.mark.parametrize("table", [[], [{"encoder": "a"}]])
def test_nothing_to_draw_is_a_sentence(tmp_path, drawn, write_table, table):
    draw(tmp_path, write_table(table))
    assert "t: no forest plot, since no encoder has macro AUC there." in texts(drawn[0]).replace("\n", " ")


def test_many_long_names_fit(tmp_path, drawn, write_table):
    change = interval("auc_difference", 0.2, 0.1, 0.4)
    table = [row(LONG.format(i), 0.5 + i / 50, model=f"head{h}", **change) for h in range(3) for i in range(12)]
    draw(tmp_path, write_table(table))
    assert outside(drawn[0]) == []
