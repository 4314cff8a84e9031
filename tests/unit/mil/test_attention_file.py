import h5py
import numpy as np

from histossl.mil import training
from histossl.mil.attention_file import write_attention
from histossl.mil.bags import Bag
from histossl.splits.split_file import Member


def judged(slide: str, fold: int, attention: list[float] | None) -> training.TestedSlide:
    member = Member(0, 1.0, fold, "test", slide, f"patient of {slide}", "a", 0)
    return training.TestedSlide(
        member, 3, np.array([1.0]), None if attention is None else np.array(attention, np.float32)
    )


def test_each_slide_has_the_attention_of_the_first_fold_that_kept_it(tmp_path):
    bags = {slide: Bag(np.zeros((2, 4), np.float32), np.array([[0, 1], [2, 3]])) for slide in "xy"}
    slides = [
        judged("x", 0, [0.5, 0.5]),
        judged("y", 0, None),
        judged("x", 1, [1.0, 0.0]),
        judged("y", 1, [0.25, 0.75]),
    ]
    write_attention(tmp_path / "attention.h5", slides, bags, {"task": "t"})
    with h5py.File(tmp_path / "attention.h5") as file:
        assert dict(file.attrs) == {"task": "t", "fraction": 1.0, "seed": 3}
        assert {slide: int(group.attrs["fold"]) for slide, group in file.items()} == {"x": 0, "y": 1}
        assert file["x/attention"][:].tolist() == [0.5, 0.5]
        assert file["y/coords"][:].tolist() == [[0, 1], [2, 3]]
