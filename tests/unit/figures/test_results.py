import math

import pytest

from histossl.errors import UserError
from histossl.figures.results import Interval, axis_label, of_task, read_results
from tests.unit.figures.conftest import interval


def test_a_table_is_read_with_empty_cells_as_nan(write_table):
    rows = [
        {**interval("auc", "0.8", "0.7", "0.9"), **interval("auc_difference", "0.1", "-0.1", "0.2"), "control": "b"},
        {"encoder": "b", "fraction": "0.5"},
    ]
    first, second = read_results(write_table(rows), "slide")
    assert first.figure == (0.8, 0.7, 0.9) and first.difference == (0.1, -0.1, 0.2)
    assert (first.control, first.fraction, second.fraction) == ("b", 1.0, 0.5)
    assert math.isnan(second.figure.value) and not second.figure.known


def test_patch_tables_name_probes_and_their_own_figure(write_table):
    path = write_table([{**interval("mse", "2", "1", "3")}], "regression.csv", "probe")
    (result,) = read_results(path, "regression")
    assert (result.head, result.figure) == ("abmil", (2, 1, 3))
    assert "smaller is better" in axis_label("regression") and axis_label("slide") == "macro AUC"


def test_of_a_task_the_largest_fraction_counts(write_table):
    rows = [{"fraction": "0.5"}, {"fraction": "1.0", "encoder": "b"}, {"task": "other", "fraction": "0.7"}]
    results = read_results(write_table(rows), "slide")
    assert [result.encoder for result in of_task(results, "t")] == ["b"]
    assert [result.fraction for result in of_task(results, "other")] == [0.7]
    assert of_task(results, "none") == []


def test_arms_of_an_interval_never_point_inwards_and_an_unknown_one_has_none():
    assert Interval(0.5, 0.4, 0.7).arms == pytest.approx((0.1, 0.2))
    assert Interval(0.5, 0.6, 0.7).arms == pytest.approx((0, 0.2))
    assert Interval(0.5, math.nan, math.nan).arms == (0, 0)


@pytest.mark.parametrize("text", [None, "a,b\n1,2\n", "task,encoder,model,fraction,auc\nt,e,m,x,y\n"])
def test_what_is_no_such_table_is_named(tmp_path, text):
    path = tmp_path / "slide.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=r"slide\.csv: not a readable table of the kind 'slide'"):
        read_results(path, "slide")
