import math

import numpy as np
import pytest

from histossl.figures.training_curves import COMPARED, draw_comparison, draw_training, find_collapses, find_series
from tests.unit.figures.conftest import LONG, outside, texts


def make_curve(steps=50, teacher=True, verdict="healthy", **more):
    """A line each ten steps; every second one is an examination."""
    lines = []
    for step in range(0, steps + 1, 10):
        line = {"step": step, "loss": 5 - step / 50, "feature_std": 0.5, "learning_rate": 0.1, "hours": step / 9}
        if teacher:
            line |= {"teacher_entropy_share": 0.3, "mean_teacher_entropy_share": 0.8}
        if step % 20 == 0 or step == steps:
            line |= {"eval_feature_std": 0.1 + step / 100, "rankme": 2.0 + step, "verdict": "healthy", **more}
        lines.append(line)
    lines[-1]["verdict"] = verdict
    return lines


def paths(tmp_path):
    return tmp_path / "a.svg", tmp_path / "a.png"


def panel(figure, title):
    (axes,) = [axes for axes in figure.axes if axes.get_title() == title]
    return axes


def test_lines_are_the_numbers_of_the_curve(tmp_path, drawn):
    curve = make_curve(knn_balanced_accuracy=0.6)
    draw_training("net", curve, *paths(tmp_path))
    (loss,) = panel(drawn[0], "loss of a batch").lines
    assert loss.get_xydata().tolist() == [[line["step"], line["loss"]] for line in curve]
    fixed, batch = panel(drawn[0], "spread of features").lines
    assert fixed.get_xydata().tolist() == [
        [line["step"], line["eval_feature_std"]] for line in curve if "rankme" in line
    ]
    assert len(batch.get_xdata()) == len(curve)
    assert "net, 50 steps: healthy" in texts(drawn[0])


def test_what_a_method_lacks_has_no_panel(tmp_path, drawn):
    draw_training("net", make_curve(teacher=False), *paths(tmp_path))
    titles = [axes.get_title() for axes in drawn[0].axes if axes.get_visible()]
    assert titles == ["loss of a batch", "spread of features", "RankMe, dimensions", "learning rate"]


def test_a_collapse_is_named_and_drawn(tmp_path, drawn):
    curve = make_curve(verdict="constant features: x")
    assert find_collapses(curve) == [(50, "constant features: x")]
    draw_training("net", curve, *paths(tmp_path))
    assert "constant features: x (step 50)" in texts(drawn[0])
    assert panel(drawn[0], "loss of a batch").lines[-1].get_xdata() == [50, 50]


def test_values_that_are_no_numbers_are_left_out():
    curve = [{"step": 0, "rankme": math.nan}, {"step": 1, "rankme": 2.0}, {"step": 2}, {"step": 3, "rankme": None}]
    steps, values = find_series(curve, "rankme")
    assert (steps.tolist(), values.tolist()) == ([1], [2])
    assert all(len(part) == 0 for part in find_series(curve, "loss"))


def test_nothing_to_draw_is_a_sentence(tmp_path, drawn):
    draw_training("net", [{"step": 0, "loss": math.nan, "verdict": "not finite: x"}], *paths(tmp_path))
    assert "net: no curve" in texts(drawn[0])


def test_encoders_are_compared_by_the_images_that_they_have_seen(tmp_path, drawn):
    curves = {"a": make_curve(50), "b": make_curve(30)}
    draw_comparison(curves, {"a": 64, "b": 128}, *paths(tmp_path))
    for line, (name, batch) in zip(panel(drawn[0], "RankMe, dimensions").lines, [("a", 64), ("b", 128)], strict=True):
        examined = [each for each in curves[name] if "rankme" in each]
        assert line.get_xydata().tolist() == [[each["step"] * batch, each["rankme"]] for each in examined]
    assert [axes.get_title() for axes in drawn[0].axes] == list(COMPARED[:2])  # neither has KNN


@pytest.mark.parametrize("curves", [{"a": make_curve()}, {"a": make_curve(), "b": [{"step": 0, "loss": 1.0}]}])
def test_one_encoder_is_not_compared(tmp_path, drawn, curves):
    draw_comparison(curves, dict.fromkeys(curves, 8), *paths(tmp_path))
    assert "Nothing to compare" in texts(drawn[0])


def test_many_long_names_fit(tmp_path, drawn):
    curves = {LONG.format(index): make_curve(knn_balanced_accuracy=0.6) for index in range(12)}
    draw_comparison(curves, dict.fromkeys(curves, 8), *paths(tmp_path))
    draw_training(LONG, make_curve(verdict="constant output: " + "long " * 40), *paths(tmp_path))
    assert [outside(figure) for figure in drawn] == [[], []]
    assert len(drawn[0].legends[0].get_texts()) == 12
    assert np.ptp([text.get_window_extent().x0 for text in drawn[0].legends[0].get_texts()]) > 0  # two columns
