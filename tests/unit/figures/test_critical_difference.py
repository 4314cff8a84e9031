import numpy as np
import pytest

from histossl.figures.critical_difference import draw_critical_difference, task_quality
from histossl.figures.results import read_results
from histossl.statistics.ranks import critical_distance
from tests.unit.figures.conftest import LONG, interval, outside, texts


def rows(names, tasks, figure="auc"):
    """Encoders in falling order of AUC on every task."""
    return [
        {"task": task, "encoder": name, **interval(figure, 0.9 - 0.01 * number, "", "")}
        for task in tasks
        for number, name in enumerate(names)
    ]


def draw(tmp_path, tables):
    draw_critical_difference(tables, 0.95, tmp_path / "a.svg", tmp_path / "a.png")


def test_a_task_counts_once_and_errors_count_against_an_encoder(write_table):
    slide = read_results(write_table(rows("ab", "t")), "slide")
    regression = read_results(write_table(rows("abc", "tu", "mse"), "regression.csv", "probe"), "regression")
    retrieval = regression[:3]
    names, quality = task_quality({"slide": slide, "regression": regression, "classification": retrieval})
    assert names == ["a", "b"]  # c is not in the slide task
    assert list(quality) == ["slide: t", "t", "u"]
    assert quality["t"] == pytest.approx({"a": -0.9, "b": -0.89, "c": -0.88})


def test_the_mean_over_heads_counts_where_every_head_has_a_figure(write_table):
    table = [*rows("abc", "t"), *({**row, "model": "clam_sb"} for row in rows("cb", "t")), {"model": "clam_sb"}]
    table[-1] |= {"encoder": "a", "task": "t"}
    _, quality = task_quality({"slide": read_results(write_table(table), "slide")})
    assert quality["slide: t"] == pytest.approx({"b": 0.89, "c": (0.88 + 0.9) / 2})


def test_ranks_and_distance_are_drawn(tmp_path, drawn, write_table):
    results = read_results(write_table(rows("abcdefgh", "uvwxyz")), "slide")
    draw(tmp_path, {"slide": results})
    said = texts(drawn[0])
    distance = critical_distance(8, 6, 0.95)
    assert f"critical distance {distance:.2f}" in said and "over 6 tasks" in said
    assert "a  1.00" in said and "8.00  h" in said
    bars = [line.get_xdata() for line in drawn[0].axes[0].lines if line.get_linewidth() == 3]
    assert np.array(bars) == pytest.approx(np.array([[0.97, 5.03], [1.97, 6.03], [2.97, 7.03], [3.97, 8.03]]))
    assert 4 < distance < 5


@pytest.mark.parametrize(("names", "tasks"), [("ab", "uvwxyz"), ("abcd", "uvwx"), ("", "")])
def test_few_encoders_or_tasks_are_a_sentence(tmp_path, drawn, write_table, names, tasks):
    draw(tmp_path, {"slide": read_results(write_table(rows(names, tasks)), "slide")})
    assert f"{len(names)} encoders have figures on all of {len(tasks)} tasks" in texts(drawn[0])


@pytest.mark.parametrize("count", [3, 12])
def test_many_long_names_fit(tmp_path, drawn, write_table, count):
    names = [LONG.format(index) for index in range(count)]
    draw(tmp_path, {"slide": read_results(write_table(rows(names, "uvwxyz")), "slide")})
    assert outside(drawn[0]) == []
    low, high = drawn[0].axes[0].get_ylim()
    assert all(low < text.xy[1] < high for text in drawn[0].axes[0].texts)  # else it is not drawn
