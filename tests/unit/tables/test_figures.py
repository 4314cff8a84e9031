import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from histossl.statistics import metrics
from histossl.tables.figures import class_figures, few_shot_figures, fold_aucs, fold_values, retrieval_figures
from histossl.tables.kinds import clusters_of, folds_of, strata_of


def value_of(weighted, rows):
    names, figures = weighted
    return dict(zip(names, figures(metrics.ones(len(rows)))[0], strict=True))


def classified(count=90, classes=("a", "b", "c"), **columns):
    rng = np.random.default_rng(2)
    rows = []
    for index in range(count):
        label, scores = index % len(classes), rng.random(len(classes))
        scores[label] += 0.4
        row = {"fold": "0", "path": f"{index}.png", "group": "", "label": classes[label]}
        row |= {f"p_{name}": str(score) for name, score in zip(classes, scores / scores.sum(), strict=True)}
        rows.append(row | {name: str(value(index)) for name, value in columns.items()})
    return rows


def arrays(rows):
    names = [name for name in rows[0] if name.startswith("p_")]
    labels = np.array([names.index("p_" + row["label"]) for row in rows])
    return labels, np.array([[float(row[name]) for name in names] for row in rows])


def test_class_figures_are_scikit_learns():
    rows = classified()
    labels, scores = arrays(rows)
    found = value_of(class_figures(rows), rows)
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr"))
    assert found["f1"] == pytest.approx(f1_score(labels, scores.argmax(axis=1), average="macro"))
    assert found["average_precision"] == pytest.approx(average_precision_score(np.eye(3)[labels], scores))


def test_few_shot_balanced_accuracy_is_the_mean_over_classes_of_the_share_of_episodes_that_were_right():
    rows = [
        {"fold": "0", "path": "1", "group": "", "label": "a", "p_a": "0.75", "p_b": "0.25", "p_c": "0"},
        {"fold": "0", "path": "2", "group": "", "label": "a", "p_a": "0.25", "p_b": "0.75", "p_c": "0"},
        {"fold": "0", "path": "3", "group": "", "label": "b", "p_a": "0.1", "p_b": "0.9", "p_c": "0"},
    ]
    found = value_of(few_shot_figures(rows), rows)
    assert list(found) == ["balanced_accuracy", "recall[a]", "recall[b]", "recall[c]"]
    assert list(found.values()) == pytest.approx([0.7, 0.5, 0.9, np.nan], nan_ok=True)


def test_retrieval_figures_are_means_over_classes_of_means_over_queries():
    hits = {"a": (1, 1, 1, 0, 0.5), "b": (0, 0, 1, 1, 0.2), "c": (0, 1, 1, 1, 0.3)}
    columns = ("hit_1", "hit_3", "hit_5", "majority_5", "average_precision")
    rows = [
        {"fold": "0", "path": str(index), "group": "", "label": label}
        | {name: str(value) for name, value in zip(columns, hits[label], strict=True)}
        for index, label in enumerate("aaab" + "c")
    ]
    found = value_of(retrieval_figures(rows), rows)
    assert found == pytest.approx(
        {"mean_average_precision": 1 / 3, "hit_1": 1 / 3, "hit_3": 2 / 3, "hit_5": 1, "majority_5": 2 / 3}
    )


def test_a_fold_of_a_repeat_is_one_figure_of_all_its_seeds():
    rows = classified(120, repeat=lambda i: i // 60, fold=lambda i: i // 15 % 2, seed=lambda i: i // 30 % 2)
    labels, scores = arrays(rows)
    assert fold_values(rows, class_figures(rows)[1]) == pytest.approx(
        [
            np.mean([roc_auc_score(labels[part], scores[part], multi_class="ovr") for part in parts])
            for parts in (
                [
                    [i for i in range(120) if (i // 60, i // 15 % 2, i // 30 % 2) == (repeat, fold, seed)]
                    for seed in (0, 1)
                ]
                for repeat in (0, 1)
                for fold in (0, 1)
            )
        ]
    )
    assert len(np.unique(strata_of(rows))) == 8
    assert sorted(set(folds_of(rows))) == [0, 1, 2, 3]


def test_folds_are_counted_by_number_not_by_letter():
    assert folds_of([{"fold": fold, "repeat": "0"} for fold in ("10", "2", "0")]).tolist() == [2, 1, 0]


def test_a_fold_without_a_class_has_no_figure():
    rows = classified(30, fold=lambda i: 0 if i < 15 else 1 if i % 3 else 2)
    values = fold_values(rows, class_figures(rows)[1])
    assert np.isnan(values).tolist() == [False, True, True]
    assert fold_aucs(rows) == pytest.approx(values[:1])


def test_a_patch_without_a_group_is_a_cluster_of_its_own():
    rows = [{"group": "g", "path": "1"}, {"group": "", "path": "2"}, {"group": "", "path": "g"}]
    assert len(set(clusters_of(rows, "group"))) == 3
