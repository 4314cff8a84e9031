import json

import pytest

from histossl.errors import UserError
from histossl.tables.seen_patients import count_seen, read_seen_patients

PATIENTS = {"s1": "p1", "s2": "p1", "s3": "p3"}


@pytest.fixture
def write(tmp_path):
    def card(encoder, **values):
        path = tmp_path / encoder / "encoder.json"
        path.parent.mkdir()
        path.write_text(json.dumps(values), encoding="utf-8")
        return path

    return card


def test_what_each_encoder_had_seen(write):
    cards = [
        write("dino", method="dino", slides=["s1", "s2"]),
        write("start", method="untrained", slides=[]),
        write("published", method="timm", slides=[]),
        write("uni", method="imported"),
    ]
    assert read_seen_patients(cards, PATIENTS) == {"dino": {"p1"}, "start": set(), "published": None, "uni": None}


@pytest.mark.parametrize("values", [{}, {"method": "dino"}, {"method": "dino", "slides": ["s9"]}])
def test_a_card_that_does_not_fit_is_named(write, values):
    with pytest.raises(UserError, match=r"dino/encoder\.json: not the card"):
        read_seen_patients([write("dino", **values)], PATIENTS)


def test_a_damaged_card_is_named(tmp_path):
    (tmp_path / "encoder.json").write_text("{")
    with pytest.raises(UserError, match=r"encoder\.json: not the card"):
        read_seen_patients([tmp_path / "encoder.json"], PATIENTS)


@pytest.mark.parametrize(
    ("tested", "seen", "expected"),
    [
        (["p1", "p1", "p2"], frozenset({"p1", "p3"}), (1, 2)),
        (["p1", ""], frozenset(), (0, 1)),
        (["p1"], None, None),
        (["", ""], frozenset({"p1"}), None),
    ],
)
def test_patients_are_counted_once_and_blanks_not(tested, seen, expected):
    assert count_seen(tested, seen) == expected
