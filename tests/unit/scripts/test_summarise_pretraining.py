import csv
import json

import summarise_pretraining
from tests.unit.tables.test_pretraining import CARD, EXAMINED, START, line


def test_every_encoder_has_a_row_in_each_format_with_its_markup_escaped(tmp_path):
    verdicts = {"simclr": "healthy", "dino_2": "constant output: a_b | 50% of *all*"}
    for name, verdict in verdicts.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(CARD))
        curve = [START, line(10, 10.0, 0.1, **{**EXAMINED, "verdict": verdict})]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in curve))
    ends = {"csv": "csv", "markdown": "md", "latex": "tex"}
    summarise_pretraining.main(
        [
            *("--encoders", *verdicts),
            *("--cards", *(str(tmp_path / f"{name}.json") for name in verdicts)),
            *("--curves", *(str(tmp_path / f"{name}.jsonl") for name in verdicts)),
            *(f"--{kind}={tmp_path / f'pretraining.{end}'}" for kind, end in ends.items()),
        ]
    )
    with (tmp_path / "pretraining.csv").open(newline="") as file:
        rows = {row["encoder"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(verdicts)
    assert rows["simclr"]["verdict"] == "healthy"
    assert rows["dino_2"]["verdict"] == "constant output: a_b | 50% of *all* (step 10)"
    assert rows["simclr"]["knn"] == ""
    markdown, latex = ((tmp_path / f"pretraining.{end}").read_text() for end in ("md", "tex"))
    assert r"a_b \| 50% of \*all\*" in markdown
    assert r"a\_b \textbar{} 50\% of {*}all{*}" in latex
    assert "# Pretraining" in markdown
