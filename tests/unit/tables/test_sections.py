import csv
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

import make_tables
import print_tables
from histossl.errors import UserError
from histossl.tables.comparison import Resampling, judge
from histossl.tables.predictions import write_predictions
from histossl.tables.render import Figures, Section, latex, latex_text, markdown, markdown_text, write_table

RESAMPLING = Resampling(resamples=300, seed=1, level=0.95)
CLASSES = ["a, b", 'c"<d>', "e & f_|g%"]


def softmax(values):
    return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)


def slide_rows(encoder, strength, fraction="1.0", classes=CLASSES, patients=60, leaked=()):
    rng = np.random.default_rng(len(encoder))
    for patient in range(patients):
        label = patient // 4 % len(classes)
        for copy in range(1 + patient % 2):
            scores = softmax(rng.normal(size=(1, len(classes))) + strength * np.eye(len(classes))[label])[0]
            fixed = ("sub_type", encoder, "abmil", fraction, 0, patient % 4, 1, f"s{patient}-{copy}", f"p{patient}")
            yield *fixed, classes[label], int(patient in leaked), *scores.tolist()


def write_slides(path, *arguments, **changes):
    columns = ["task", "encoder", "model", "fraction", "repeat", "fold", "seed", "slide", "patient", "label", "leaked"]
    classes = changes.get("classes", CLASSES)
    rows = list(slide_rows(*arguments, **changes))
    write_predictions(path, [*columns, *(f"p_{name}" for name in classes)], rows)
    return path


def write_regression(path, encoder, noise, groups=True):
    rng = np.random.default_rng(7)
    target, error = np.round(rng.random(80), 1), rng.normal(size=80)
    rows = [
        ("cells", encoder, "linear", 0, f"{i}.png", f"g{i // 4}" if groups else "", float(t), float(t + noise * e))
        for i, (t, e) in enumerate(zip(target, error, strict=True))
    ]
    write_predictions(path, ["task", "encoder", "probe", "fold", "path", "group", "target", "prediction"], rows)
    return path


@pytest.fixture
def slides(tmp_path):
    return [write_slides(tmp_path / "1.csv", "dino", 3.0), write_slides(tmp_path / "2.csv", "dino_untrained", 0.5)]


def test_slide_figures_equal_scikit_learn(slides):
    method = judge(slides, "slide", {}, RESAMPLING)[0]
    with slides[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([CLASSES.index(row["label"]) for row in rows])
    scores = np.array([[float(row[f"p_{name}"]) for name in CLASSES] for row in rows])
    folds = np.array([int(row["fold"]) for row in rows])
    assert (method.rows, method.clusters) == (90, 60)
    assert method.folds == pytest.approx(
        [roc_auc_score(labels[folds == f], scores[folds == f], multi_class="ovr") for f in range(4)]
    )
    assert method.figures["balanced_accuracy"].value == pytest.approx(
        balanced_accuracy_score(labels, scores.argmax(axis=1))
    )
    pairs = [
        np.mean(
            [
                (scores[i, c] > scores[j, c])
                for i in np.flatnonzero(labels == c)
                for j in np.flatnonzero(labels != c)
                if folds[i] == folds[j]
            ]
        )
        for c in range(3)
    ]
    assert [method.figures[f"auc[{name}]"].value for name in CLASSES] == pytest.approx(pairs)
    assert method.figures["auc"].value == pytest.approx(np.mean(pairs))


def test_intervals_hold_their_figure_and_a_clear_difference_excludes_zero(slides):
    better, control = judge(slides, "slide", {"dino": "dino_untrained"}, RESAMPLING)
    for figure in better.figures.values():
        assert figure.low <= figure.value <= figure.high
    assert better.differences["auc"].value == pytest.approx(better.figures["auc"].value - control.figures["auc"].value)
    assert better.differences["auc"].excludes_zero
    assert control.differences == {}


def test_a_method_does_not_differ_from_its_twin(tmp_path):
    twins = [write_slides(tmp_path / "1.csv", "twin_a", 1.0), write_slides(tmp_path / "2.csv", "twin_b", 1.0)]
    first = judge(twins, "slide", {"twin_a": "twin_b"}, RESAMPLING)[0]
    assert tuple(first.differences["auc"]) == (0, 0, 0)
    assert not first.differences["auc"].excludes_zero


def test_unrelated_scores_have_an_interval_around_one_half(tmp_path):
    method = judge([write_slides(tmp_path / "1.csv", "noise", 0.0)], "slide", {}, RESAMPLING)[0]
    assert method.figures["auc"].low < 0.5 < method.figures["auc"].high


def test_larger_fractions_come_first_and_each_has_its_own_control(tmp_path):
    files = [
        write_slides(tmp_path / f"{encoder}{fraction}.csv", encoder, 1.0, fraction)
        for encoder in ("x", "y")
        for fraction in ("0.5", "1.0")
    ]
    methods = judge(files, "slide", {"x": "y"}, RESAMPLING)
    assert [(m.encoder, m.fraction) for m in methods] == [("x", "1.0"), ("y", "1.0"), ("x", "0.5"), ("y", "0.5")]
    assert all(bool(m.differences) == (m.encoder == "x") for m in methods)


def test_a_task_that_does_not_evaluate_the_control_shows_no_difference(slides):
    method = judge(slides, "slide", {"dino": "imagenet"}, RESAMPLING)[0]
    assert (method.control, method.differences) == ("", {})


def test_a_control_on_other_slides_is_refused(slides, tmp_path):
    fewer = write_slides(tmp_path / "3.csv", "fewer", 1.0, patients=50)
    with pytest.raises(UserError, match="not tested on the same rows"):
        judge([*slides, fewer], "slide", {"dino": "fewer"}, RESAMPLING)


def test_a_file_of_another_kind_is_refused(slides):
    with pytest.raises(UserError, match="no column 'probe'"):
        judge(slides, "classification", {}, RESAMPLING)


def test_regression_figures_equal_scipy_and_the_difference_is_of_the_error(tmp_path):
    files = [write_regression(tmp_path / "1.csv", "good", 0.1), write_regression(tmp_path / "2.csv", "bad", 0.5)]
    method = judge(files, "regression", {"good": "bad"}, RESAMPLING)[0]
    with files[0].open(newline="") as file:
        target, prediction = np.array([(float(r["target"]), float(r["prediction"])) for r in csv.DictReader(file)]).T
    expected = {
        "mse": np.mean((target - prediction) ** 2),
        "spearman": stats.spearmanr(target, prediction).statistic,
        "kendall_tau_b": stats.kendalltau(target, prediction).statistic,
        "prediction_probability": (1 + stats.somersd(target, prediction).statistic) / 2,
    }
    assert {name: figure.value for name, figure in method.figures.items()} == pytest.approx(expected)
    assert method.differences["mse"].high < 0


def test_patches_without_a_group_are_drawn_one_by_one(tmp_path):
    grouped, alone = (
        judge([write_regression(tmp_path / f"{g}.csv", "e", 0.3, g)], "regression", {}, RESAMPLING)[0]
        for g in (True, False)
    )
    assert (grouped.clusters, alone.clusters) == (20, 80)
    assert grouped.figures["mse"].value == alone.figures["mse"].value
    assert grouped.figures["mse"].low != alone.figures["mse"].low


def test_a_class_that_the_test_set_lacks_is_left_out_of_the_means(tmp_path):
    rows = [
        ("t", "e", "knn", 0, f"{i}.png", "", "ab"[i % 2], [0.9, 0.2][i % 2], [0.1, 0.6][i % 2], 0.2) for i in range(20)
    ]
    columns = ["task", "encoder", "probe", "fold", "path", "group", "label", "p_a", "p_b", "p_z"]
    write_predictions(tmp_path / "p.csv", columns, rows)
    method = judge([tmp_path / "p.csv"], "classification", {}, RESAMPLING)[0]
    assert method.figures["auc"].value == method.figures["balanced_accuracy"].value == 1
    assert np.isnan(method.figures["auc[z]"].value)


def tabulated(files, folder, kind="slide", controls=None, slides_seen=None, stains=None):
    outputs = [folder / f"table.{suffix}" for suffix in ("csv", "md", "tex")]
    sheet = folder / "slides.csv"
    sheet.write_text("slide,patient,path\n" + "".join(f"s{i},p{i},x\n" for i in range(60)) + "g0,g0,x\n")
    cards = []
    for encoder, slides in (slides_seen or {"dino": []}).items():
        cards.append(folder / encoder / "encoder.json")
        cards[-1].parent.mkdir(exist_ok=True)
        cards[-1].write_text(json.dumps({"method": "timm" if slides is None else "dino", "slides": slides or []}))
    make_tables.main(
        [
            *("--kind", kind, "--predictions", *map(str, files), "--controls", json.dumps(controls or {})),
            *("--cards", *map(str, cards), "--sheet", str(sheet), "--stains", json.dumps(stains or {})),
            *("--settings", '{"resamples":100,"seed":1,"level":0.9}'),
            *(
                "--pairs",
                str(folder / "pairs.csv"),
                "--csv",
                str(outputs[0]),
                "--markdown",
                str(outputs[1]),
                "--latex",
                str(outputs[2]),
            ),
        ]
    )
    return [Path(output).read_text() for output in outputs]


def cells_of(line):
    """The cells of a Markdown row as a reader sees them."""
    return [html.unescape(re.sub(r"\\(.)", r"\1", cell.strip())) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_tables_are_the_same_bytes_twice_and_fit_a_terminal(slides, tmp_path):
    once = tabulated(slides, tmp_path, controls={"dino": "dino_untrained"})
    pairs = (tmp_path / "pairs.csv").read_bytes()
    assert tabulated(slides, tmp_path, controls={"dino": "dino_untrained"}) == once
    assert (tmp_path / "pairs.csv").read_bytes() == pairs
    lines = [line for line in once[1].splitlines() if line.startswith("|")]
    assert max(map(len, lines)) <= 120
    assert "90% interval from 500 resamples of the patients" in once[1]


def test_each_row_says_how_many_of_the_tested_its_encoder_had_seen(slides, tmp_path):
    seen = {"dino": ["s3", "s4"], "dino_untrained": None}
    as_csv, as_markdown, as_latex = tabulated(slides, tmp_path, slides_seen=seen)
    assert [(row["encoder"], row["patients_seen"]) for row in csv.DictReader(as_csv.splitlines())] == [
        ("dino", "2"),
        ("dino_untrained", ""),
    ]
    rows = [cells_of(line) for line in as_markdown.splitlines() if line.startswith("|")][:4]
    assert [rows[i][rows[0].index("seen")] for i in (2, 3)] == ["2/60", "unknown"]
    assert "2/60" in as_latex
    assert "seen: of the patients tested, how many are patients on whose slides the encoder was trained" in as_markdown


def test_each_row_says_how_the_stains_of_its_data_were_normalised(slides, tmp_path):
    stains = {"rows": {"sub_type": {"dino": "macenko -> none"}}, "trained": {"dino": "macenko"}}
    as_csv, as_markdown, as_latex = tabulated(slides, tmp_path, stains=stains)
    assert [row["stain"] for row in csv.DictReader(as_csv.splitlines())] == ["macenko -> none", "none"]
    tables = [cells_of(line) for line in as_markdown.splitlines() if line.startswith("| encoder")]
    assert all(table[3] == "stain" for table in tables)
    rows = [cells_of(line) for line in as_markdown.splitlines() if line.startswith("| dino ")]
    assert rows and all(row[3] == "macenko -> none" for row in rows)
    assert r"macenko -\textgreater{} none" in as_latex
    assert "tested on: dino (macenko)." in as_markdown


def test_where_nothing_was_normalised_only_the_csv_says_so(slides, tmp_path):
    stains = {"rows": {"sub_type": {"dino": "unknown", "dino_untrained": "none"}}, "trained": {}}
    as_csv, as_markdown, as_latex = tabulated(slides, tmp_path, stains=stains)
    assert [row["stain"] for row in csv.DictReader(as_csv.splitlines())] == ["unknown", "none"]
    assert "stain" not in as_markdown and "stain" not in as_latex


def test_groups_of_patches_are_compared_with_patients_by_name(tmp_path):
    files = [write_regression(tmp_path / "1.csv", "good", 0.1), write_regression(tmp_path / "2.csv", "bad", 0.5)]
    as_csv, as_markdown, _ = tabulated(files, tmp_path, "regression", slides_seen={"good": ["g0", "s3"], "bad": []})
    assert [row["groups_seen"] for row in csv.DictReader(as_csv.splitlines())] == ["1", "0"]
    assert "1/20" in as_markdown and "0/20" in as_markdown


def test_a_dagger_marks_encoders_that_saw_the_tested(slides, tmp_path):
    as_csv, as_markdown, as_latex = tabulated(slides, tmp_path, slides_seen={"dino": ["s3"], "dino_untrained": []})
    names = {cells_of(line)[0] for line in as_markdown.splitlines() if line.startswith("| dino")}
    assert names == {"dino†", "dino_untrained"}
    assert "† marks encoders that saw some." in as_markdown
    assert r"dino\textdagger{} &" in as_latex
    assert "†" not in as_csv
    none_seen = tabulated(slides, tmp_path, slides_seen={"dino": [], "dino_untrained": []})
    assert not any("†" in text or "dagger" in text for text in none_seen)


def test_tests_of_patients_who_were_in_training_are_counted_where_there_are_any(slides, tmp_path):
    leaky = [write_slides(tmp_path / "leaky.csv", "dino", 3.0, leaked=(3, 5))]
    as_csv, as_markdown, _ = tabulated(leaky, tmp_path)
    record = next(csv.DictReader(as_csv.splitlines()))
    assert (record["tests_leaked"], record["tests"]) == ("2", "60")
    rows = [cells_of(line) for line in as_markdown.splitlines() if line.startswith("|")]
    assert rows[2][rows[0].index("leak")] == "2/60"
    assert "- leak: " in as_markdown
    assert "leak" not in tabulated(slides, tmp_path)[1]


def test_folds_without_a_class_are_left_out_of_the_spread_and_counted(tmp_path):
    # Patients of the first class alone are in the fifth fold.
    rows = [list(row) for row in slide_rows("dino", 1.0)]
    for row in rows:
        row[5] = 4 if row[9] == CLASSES[0] and row[5] == 3 else row[5]
    columns = ["task", "encoder", "model", "fraction", "repeat", "fold", "seed", "slide", "patient", "label", "leaked"]
    write_predictions(tmp_path / "1.csv", [*columns, *(f"p_{name}" for name in CLASSES)], rows)
    as_csv, as_markdown, _ = tabulated([tmp_path / "1.csv"], tmp_path)
    record = next(csv.DictReader(as_csv.splitlines()))
    assert (record["folds"], record["folds_left_out"]) == ("3", "2")
    assert "Folds whose test set lacks a class are left out of it: sub_type 2 of 5." in as_markdown


def test_pairs_are_listed_with_p_and_the_table_says_who_is_worse(slides, tmp_path):
    as_csv, as_markdown, as_latex = tabulated(slides, tmp_path)
    with (tmp_path / "pairs.csv").open(newline="") as file:
        (pair,) = csv.DictReader(file)
    assert (pair["first"], pair["second"], pair["figure"], pair["test"]) == ("dino", "dino_untrained", "auc", "DeLong")
    assert float(pair["difference_low"]) < float(pair["difference"]) < float(pair["difference_high"])
    assert 0 < float(pair["p"]) == float(pair["p_holm"]) < 0.001
    assert [row["vs_best"] for row in csv.DictReader(as_csv.splitlines())] == ["best", "worse"]
    rows = [cells_of(line) for line in as_markdown.splitlines() if line.startswith("|")]
    assert [rows[i][rows[0].index("vs best")] for i in (2, 3)] == ["best", "worse"]
    assert "## sub_type: differences between encoders" in as_markdown
    assert r"\textless{}0.001" in as_latex


def test_one_encoder_alone_has_no_pairs_and_no_mark(slides, tmp_path):
    as_csv, as_markdown, _ = tabulated(slides[:1], tmp_path)
    assert (tmp_path / "pairs.csv").read_text().startswith("task,head,fraction,first,second,figure,difference,")
    assert len((tmp_path / "pairs.csv").read_text().splitlines()) == 1
    assert next(csv.DictReader(as_csv.splitlines()))["vs_best"] == ""
    assert "vs best" not in as_markdown and "differences between" not in as_markdown


def write_patches(path, encoder, probe, columns, values):
    rng = np.random.default_rng(len(encoder))
    rows = [
        (
            "cells",
            encoder,
            probe,
            0,
            f"{i}.png",
            f"g{i // 4}",
            CLASSES[i // 4 % 3],
            *map(float, values(rng, i // 4 % 3)),
        )
        for i in range(120)
    ]
    write_predictions(path, ["task", "encoder", "probe", "fold", "path", "group", "label", *columns], rows)
    return path


def test_the_few_shot_table_shows_the_expected_balanced_accuracy_and_the_recalls(tmp_path):
    columns = [f"p_{name}" for name in CLASSES]

    def votes(rng, label):
        return rng.dirichlet(np.ones(3) + 4 * np.eye(3)[label])

    files = [write_patches(tmp_path / f"{e}.csv", e, "simpleshot 8-shot", columns, votes) for e in ("one", "other")]
    as_csv, as_markdown, _ = tabulated(files, tmp_path, "few_shot", {"one": "other"})
    record = next(csv.DictReader(as_csv.splitlines()))
    recalls = [float(record[f"recall[{name}]"]) for name in CLASSES]
    assert float(record["balanced_accuracy"]) == pytest.approx(np.mean(recalls), abs=1e-6)
    assert "BA - control |" in as_markdown
    assert "## cells: recall of each class" in as_markdown
    assert "Student's t of the standard error over the resamples of the groups" in as_markdown


def test_the_retrieval_table_shows_every_figure(tmp_path):
    columns = ["hit_1", "hit_3", "hit_5", "majority_5", "average_precision"]

    def found(rng, label):
        hits = np.sort(rng.random(3) < 0.5)
        return [*hits, rng.random() < 0.5, rng.random()]

    files = [write_patches(tmp_path / f"{e}.csv", e, "retrieval", columns, found) for e in ("one", "other")]
    as_csv, as_markdown, _ = tabulated(files, tmp_path, "retrieval")
    record = next(csv.DictReader(as_csv.splitlines()))
    header = next(cells_of(line) for line in as_markdown.splitlines() if line.startswith("| encoder"))
    assert {"mAP", "hit@1"} <= set(header)
    cells = [cell for line in as_markdown.splitlines() if line.startswith("| one") for cell in cells_of(line)]
    for name in ("mean_average_precision", "hit_1", "hit_3", "hit_5", "majority_5"):
        value, low, high = (f"{float(record[name + end]):.3f}" for end in ("", "_low", "_high"))
        assert f"{value} [{low}, {high}]" in cells
    with (tmp_path / "pairs.csv").open(newline="") as file:
        assert [row["figure"] for row in csv.DictReader(file)] == ["mean_average_precision"]


def test_awkward_labels_come_out_whole_in_every_format(slides, tmp_path):
    as_csv, as_markdown, as_latex = tabulated(slides, tmp_path)
    record = next(csv.DictReader(as_csv.splitlines()))
    assert {f"auc[{name}]" for name in CLASSES} <= set(record)
    headings = [cells_of(line) for line in as_markdown.splitlines() if line.startswith("| encoder")]
    assert headings[1] == ["encoder", "model", "data", *CLASSES]
    assert r"a, b & c\textquotedbl{}\textless{}d\textgreater{} & e \& f\_\textbar{}g\%" in as_latex
    assert len({len(cells_of(line)) for line in as_markdown.splitlines() if line.startswith("| dino")}) == 2


def test_the_regression_table_shows_every_figure(tmp_path):
    files = [write_regression(tmp_path / "1.csv", "good", 0.1), write_regression(tmp_path / "2.csv", "bad", 0.5)]
    as_csv, as_markdown, _ = tabulated(files, tmp_path, "regression", {"good": "bad"})
    record = next(csv.DictReader(as_csv.splitlines()))
    assert record["mse_differs"] == "true"
    cells = [cell for line in as_markdown.splitlines() if line.startswith("| good") for cell in cells_of(line)]
    for name in ("mse", "spearman", "kendall_tau_b", "prediction_probability"):
        value, low, high = (f"{float(record[name + end]):.3f}" for end in ("", "_low", "_high"))
        assert f"{value} [{low}, {high}]" in cells
    assert sum(cell.endswith("*") for cell in cells) == 1


def test_labels_are_escaped_and_figures_are_not():
    assert markdown_text("a|b *c* _d_ e_f <g> &h\ni") == r"a\|b \*c\* \_d\_ e_f &lt;g\> &amp;h i"
    assert markdown_text("__u__ e_f_g") == r"\_\_u\_\_ e_f_g"
    assert markdown_text(Figures("+0.1 [-0.2, 0.3] *")) == "+0.1 [-0.2, 0.3] *"
    assert latex_text("\\x{1}^~#$ vit-16") == r"\textbackslash{}x\{1\}\textasciicircum{}\textasciitilde{}\#\$ vit-16"
    assert latex_text(Figures("-0.1 ± 0.2")) == r"$-$0.1 $\pm$ 0.2"


def test_a_row_that_begins_like_an_argument_is_safe_in_latex():
    text = latex([Section("t", ["x", "y"], [["[2cm]", Figures("1")], ["*", Figures("2")]], 1)], ["n"])
    assert "{[}2cm{]} & 1 \\\\\n{*} & 2 \\\\" in text
    assert r"\begin{tabular}{lr}" in text


def test_a_long_latex_table_goes_over_pages_and_a_wide_one_is_broken():
    rows = [[f"encoder number {index}", *[Figures("0.5 [0.4, 0.6]")] * 12] for index in range(50)]
    text = latex([Section("s", ["encoder", *map(str, range(12))], rows, 1)], ["n"])
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 3
    assert r"\begin{table}" not in text


def test_a_wide_table_is_broken_and_repeats_the_leading_columns():
    names = [f"class number {index}" for index in range(20)]
    page = markdown("t", [Section("s", ["encoder", *names], [["e", *[Figures("0.5")] * 20]], 1)], [])
    headings = [cells_of(line) for line in page.splitlines() if line.startswith("| encoder")]
    assert len(headings) > 1
    assert [name for heading in headings for name in heading[1:]] == names
    assert max(map(len, page.splitlines())) <= 120


def test_records_become_a_table_in_three_formats(tmp_path):
    records = [
        {"slide": "a_b", "area": 1.23456, "count": 7, "why": "x, y"},
        {"slide": "c", "area": None, "count": 12, "why": ""},
    ]
    write_table(records, "Two slides: a_b.", *(tmp_path / f"my_cohort.{suffix}" for suffix in ("csv", "md", "tex")))
    assert (tmp_path / "my_cohort.csv").read_text() == 'slide,area,count,why\na_b,1.23456,7,"x, y"\nc,,12,\n'
    assert (tmp_path / "my_cohort.md").read_text() == (
        "# My cohort\n\n"
        "| slide |  area | count | why  |\n|-------|------:|------:|------|\n"
        "| a_b   | 1.235 |     7 | x, y |\n| c     |       |    12 |      |\n\n- Two slides: a_b.\n"
    )
    text = (tmp_path / "my_cohort.tex").read_text()
    assert r"\caption{Two slides: a\_b.}" in text
    assert r"a\_b & 1.235 & 7 & x, y \\" in text


def test_tables_are_printed_with_their_places(tmp_path, capsys):
    (tmp_path / "a.md").write_text("# A\n")
    print_tables.main([str(tmp_path / "a.md")])
    assert capsys.readouterr().out.endswith(f"# A\n\nTables (as .md, .csv and .tex):\n  {tmp_path / 'a.md'}\n")
