import json

import compare_training
from tests.unit.figures.conftest import drawn  # noqa: F401
from tests.unit.figures.test_training_curves import make_curve, panel


def test_the_batch_of_each_card_scales_its_curve(tmp_path, drawn):  # noqa: F811
    for name, batch in (("a", 8), ("b", 16)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"training": {"batch": batch}}))
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in make_curve()))
    cards, curves = ([str(tmp_path / f"{name}.{end}") for name in "ab"] for end in ("json", "jsonl"))
    outputs = [f"--{kind}={tmp_path / f'a.{kind}'}" for kind in ("svg", "png")]
    compare_training.main(["--encoders", "a", "b", "--cards", *cards, "--curves", *curves, *outputs])
    ends = [line.get_xdata()[-1] for line in panel(drawn[0], "RankMe, dimensions").lines]
    assert ends == [50 * 8, 50 * 16]
