import numpy as np
import pytest

from histossl.heatmaps.attention import list_tested
from histossl.heatmaps.choose import Judged, choose_slides, read_judged
from tests.unit.judged_run import Judgement, write_run

NONE = np.zeros(0)


@pytest.fixture
def judged(tmp_path, drawn_slide):
    own = write_run(
        tmp_path,
        drawn_slide.path,
        [
            Judgement("sure a", "a", 0, 0.1),
            Judgement("surer a", "a", 1, 0.05),
            Judgement("surest a", "a", 1, 0.01, NONE),
            Judgement("b for a", "a", 1, 0.7),
            Judgement("sure b", "b", 0, 0.8),
        ],
    )
    seed, tested = list_tested(own / "attention.h5")
    return *read_judged(own / "predictions.csv", seed, tested), tested


def test_predictions_are_those_of_the_heads_whose_attention_was_kept(judged):
    found, classes, _ = judged
    assert classes == ["a", "b"]
    assert Judged("b for a", "a", "b", 0.7, 1) in found
    assert len(found) == 5
    assert {one.slide: one.outcome for one in found}["b for a"] == "wrong"


def test_classes_take_turns_and_the_surest_goes_first(judged):
    chosen = choose_slides(*judged, 4)
    slides = {slot: one.slide for slot, one in chosen.items() if isinstance(one, Judged)}
    assert slides == {"right_1": "surer a", "right_2": "sure b", "right_3": "sure a", "wrong_1": "b for a"}
    assert chosen["wrong_2"] == "Of class b, 0 slides were judged wrongly: none is left to draw here."
    assert list(chosen) == [f"{outcome}_{number}" for outcome in ("right", "wrong") for number in range(1, 5)]


def test_ids_are_taken_in_their_order(judged):
    chosen = choose_slides(*judged, ["surest a", "elsewhere"])
    assert chosen["slide_1"].probability == 0.99
    assert chosen["slide_2"] == "Slide elsewhere was not tested in this task."
