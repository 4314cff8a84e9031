import json
import re
from pathlib import Path

import pytest
import yaml

import compare_study
from tests.unit.tables.test_study import STUDY, read, write_patches, write_regression, write_slides

FILE = Path(__file__).parents[3] / "config/published/chen_krishnan_2022.yaml"


def compare(folder, published=FILE, **study):
    outputs = [
        f"--{kind}={folder / f'study.{suffix}'}"
        for kind, suffix in (("csv", "csv"), ("markdown", "md"), ("latex", "tex"))
    ]
    compare_study.main(
        [
            f"--published={published}",
            f"--study={json.dumps(STUDY | study)}",
            *("--slide", str(write_slides(folder / "s.csv", "dino_ours"))),
            *("--classification", str(write_patches(folder / "c.csv", "dino_ours"))),
            *("--regression", str(write_regression(folder / "r.csv", "dino_ours"))),
            *outputs,
        ]
    )
    return [(folder / f"study.{suffix}").read_text(encoding="utf-8") for suffix in ("csv", "md", "tex")]


def test_the_page_is_written_three_times_and_always_the_same(tmp_path):
    (tmp_path / "again").mkdir()
    pages = compare(tmp_path)
    assert pages == compare(tmp_path / "again")
    _, page, latex = pages
    row = "| DINO | published | 0.886 ± 0.059 | 0.852 ± 0.049 | 0.862 ± 0.052 | 0.809 ± 0.034 |"
    assert row in re.sub(" +", " ", page)
    assert "## BreastPathQ: linear regression of tumour cellularity" in page
    assert "a guess gives 2/3" in page
    assert latex.count(r"\begin{tabular}") == 4
    assert r"DINO & published & 0.886 $\pm$ 0.059 & 0.852" in latex
    assert r"100\%" in latex
    assert {row["encoder"] for row in read(tmp_path / "study.csv")} == {"", "dino_ours"}


def test_names_with_markup_come_out_as_text(tmp_path):
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    content["methods"]["dino"]["name"] = "<b>50% & more_of|it</b>"
    content["citation"] = "A & B <i>2022</i>"
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    _, page, latex = compare(tmp_path, tmp_path / "odd.yaml")
    assert "<b>" not in page.replace(r"\<b\>", "")
    assert "<i>" not in page.replace(r"\<i\>", "")
    assert r"50\% \& more\_of\textbar{}it" in latex
    assert r"A \& B" in latex


def test_folds_of_the_study_are_printed_beside_its_table(tmp_path, capsys):
    rows = [f"vits_tcga_brca_dino,1.0,{fold},{auc}" for fold, auc in enumerate([0.8, 0.9, 0.7])]
    (tmp_path / "folds.csv").write_text("\n".join(["encoder,train_fraction,fold,test_auc", *rows]))
    compare_study.main([f"--published={FILE}", f"--folds={tmp_path / 'folds.csv'}"])
    printed = capsys.readouterr().out
    assert "0.800 ± 0.100" in printed
    assert "-0.086 outside" in printed
    assert "BreastPathQ" not in printed


def test_half_of_the_arguments_are_not_enough():
    with pytest.raises(SystemExit):
        compare_study.main([f"--published={FILE}", "--csv=x.csv"])
