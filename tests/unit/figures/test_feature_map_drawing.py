import numpy as np

from histossl.figures.feature_map_drawing import draw_feature_map
from tests.unit.figures.conftest import outside, texts

NONE = {"silhouette": None, "purity": None, "chance": None}
SOME = {"silhouette": 0.123, "purity": 0.756, "chance": 0.11}


def rows(labels, splits):
    random = np.random.default_rng(0)
    return [
        {"label": label, "split": split, "x": str(x), "y": str(y)}
        for label, split, (x, y) in zip(labels, splits, random.normal(size=(len(labels), 2)), strict=True)
    ]


def facts(**values):
    by = {"label": SOME, "split": NONE}
    return {"reason": "", "patches": 60, "patches_labelled": 90, "neighbours": 15, "by": by, **values}


def points(axes):
    return np.concatenate([np.asarray(found.get_offsets()) for found in axes.collections])


def test_every_point_is_drawn_in_both_panels_with_its_figures(tmp_path, drawn):
    mapped = rows(["A", "B", "C"] * 20, ["raw", "test"] * 30)
    draw_feature_map("net on set", mapped, facts(), tmp_path / "a.svg", tmp_path / "a.png")
    (figure,) = drawn
    expected = sorted((float(row["x"]), float(row["y"])) for row in mapped)
    for axes in figure.axes:
        assert sorted(map(tuple, points(axes).tolist())) == expected
    assert [len(axes.get_legend().get_texts()) for axes in figure.axes] == [3, 2]
    for words in ("net on set (60 of 90 patches)", "silhouette 0.12", "purity of 15 neighbours 0.76 (chance 0.11)"):
        assert words in texts(figure)


def test_one_split_is_one_panel(tmp_path, drawn):
    draw_feature_map("t", rows(["A", "B"] * 5, [""] * 10), facts(), tmp_path / "a.svg", tmp_path / "a.png")
    assert len(drawn[0].axes) == 1


def test_many_long_names_with_markup_fit(tmp_path, drawn):
    names = [f"_<b>class</b> $x_{index} of many & a long name" for index in range(12)]
    mapped = rows(names * 3, ["a", "", "c"] * 12)
    draw_feature_map("t" * 80, mapped, facts(), tmp_path / "a.svg", tmp_path / "a.png")
    assert outside(drawn[0]) == []
    assert len(drawn[0].axes[0].get_legend().get_texts()) == 12
    assert "(none)" in texts(drawn[0])


def test_a_reason_takes_the_maps_place(tmp_path, drawn):
    draw_feature_map("net on set", [], {"reason": "No map: one class."}, tmp_path / "a.svg", tmp_path / "a.png")
    assert "net on set: No map: one class." in texts(drawn[0])
