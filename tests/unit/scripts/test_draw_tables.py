"""The scripts that draw tables: fractions, forest plots, ranks and cost."""

import pytest

import draw_cost
import draw_critical_difference
import draw_forest
import draw_fractions
from histossl.figures.cost import Cost, write_costs
from tests.unit.figures.conftest import drawn, interval, texts, write_table  # noqa: F401

ROWS = [
    {"task": task, "encoder": encoder, "fraction": fraction, **interval("auc", "0.8", "0.7", "0.9")}
    for task in "uvwxy"
    for encoder in "abc"
    for fraction in ("1.0", "0.5")
]


@pytest.fixture
def run(tmp_path, write_table):  # noqa: F811
    table = write_table(ROWS)
    write_costs(tmp_path / "cost.csv", [Cost("a", 10, 1.0, "cpu", 5.0)])

    def call(script, *arguments):
        given = [argument.format(table=table, folder=tmp_path) for argument in arguments]
        script.main([*given, "--level=0.95", f"--svg={tmp_path / 'a.svg'}", f"--png={tmp_path / 'a.png'}"])
        assert (tmp_path / "a.svg").stat().st_size and (tmp_path / "a.png").stat().st_size

    return call


def test_each_script_draws_its_figure(run, drawn):  # noqa: F811
    run(draw_fractions, "--table={table}", "--task=u", "--model=abmil")
    run(draw_forest, "--table={table}", "--kind=slide", "--task=u")
    run(draw_critical_difference, "--tables", "{table}", "--kinds", "slide")
    run(draw_cost, "--table={table}", "--kind=slide", "--task=u", "--costs={folder}/cost.csv")
    expected = ("share of the training patients", "u, 100% of the", "mean rank over 5 tasks", "hours on the CPU")
    for figure, words in zip(drawn, expected, strict=True):
        assert words in texts(figure)


def test_a_task_that_the_table_lacks_is_a_sentence(run, drawn):  # noqa: F811
    run(draw_fractions, "--table={table}", "--task=none", "--model=abmil")
    run(draw_forest, "--table={table}", "--kind=slide", "--task=none")
    run(draw_cost, "--table={table}", "--kind=slide", "--task=none", "--costs={folder}/cost.csv")
    assert all("none" in texts(figure) and not figure.axes for figure in drawn)
