import numpy as np
import pytest

from histossl.figures.fractions import draw_fractions
from histossl.figures.results import read_results
from tests.unit.figures.conftest import LONG, interval, outside, texts


def draw(tmp_path, table, task="t", head="abmil"):
    draw_fractions(read_results(table, "slide"), task, head, 0.95, tmp_path / "a.svg", tmp_path / "a.png")


def rows(encoders, fractions):
    return [
        {"encoder": name, "fraction": str(fraction), **interval("auc", value, value - 0.1, min(value + 0.2, 1))}
        for fraction in fractions
        for number, name in enumerate(encoders)
        for value in [0.5 + 0.03 * number + 0.1 * fraction]
    ]


def test_points_and_bars_are_the_numbers_of_the_table(tmp_path, drawn, write_table):
    draw(tmp_path, write_table(rows("ab", [1.0, 0.5, 0.25])))
    axes = drawn[0].axes[0]
    for number, (line, _, (bars,)) in enumerate(axes.containers):
        fractions = np.array([0.25, 0.5, 1.0])
        values = 0.5 + 0.03 * number + 0.1 * fractions
        assert line.get_ydata() == pytest.approx(values)
        # Beside each other, by the same factor everywhere, and nearer to their own fraction than to another.
        factor = line.get_xdata() / fractions
        assert factor == pytest.approx(np.full(3, factor[0])) and 0.7 < factor[0] < 1.4
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        assert ends == pytest.approx(np.column_stack([values - 0.1, np.minimum(values + 0.2, 1)]))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["25%", "50%", "100%"]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["a", "b"]


def test_a_figure_that_is_undefined_is_left_out(tmp_path, drawn, write_table):
    table = [*rows("ab", [1.0, 0.5]), {"encoder": "c", "fraction": "1.0"}, {"encoder": "a", "fraction": "0.25"}]
    draw(tmp_path, write_table(table))
    assert len(drawn[0].axes[0].containers) == 2


@pytest.mark.parametrize(
    ("table", "words"), [(rows("ab", [1.0]), "100% of the training patients alone"), ([], "no share")]
)
def test_one_fraction_or_none_is_a_sentence(tmp_path, drawn, write_table, table, words):
    draw(tmp_path, write_table(table))
    assert words in texts(drawn[0]) and not drawn[0].axes


def test_many_long_names_fit(tmp_path, drawn, write_table):
    names = [LONG.format(index) for index in range(12)]
    draw(tmp_path, write_table(rows(names, [1.0, 0.75, 0.5, 0.25, 0.1])))
    assert outside(drawn[0]) == []
    assert len(drawn[0].legends[0].get_texts()) == 12
