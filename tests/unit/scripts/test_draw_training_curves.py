import json

import pytest

import draw_training_curves
from histossl.errors import UserError
from tests.unit.figures.conftest import drawn, texts  # noqa: F401
from tests.unit.figures.test_training_curves import make_curve


def run(tmp_path, text):
    (tmp_path / "training.jsonl").write_text(text)
    options = [f"--{name}={tmp_path / name}" for name in ("a.svg", "a.png")]
    outputs = [option.replace("--a.svg", "--svg").replace("--a.png", "--png") for option in options]
    draw_training_curves.main(["--encoder=net", f"--curve={tmp_path / 'training.jsonl'}", *outputs])


def test_a_curve_is_drawn(tmp_path, drawn):  # noqa: F811
    run(tmp_path, "".join(json.dumps(line) + "\n" for line in make_curve()))
    assert "net, 50 steps: healthy" in texts(drawn[0])
    assert (tmp_path / "a.svg").is_file() and (tmp_path / "a.png").is_file()


def test_a_damaged_curve_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(UserError, match="not a readable training curve"):
        run(tmp_path, "{")
    assert not (tmp_path / "a.svg").exists()
