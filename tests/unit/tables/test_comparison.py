import numpy as np
import pytest

from histossl.statistics.bootstrap import bca_interval, cluster_bootstrap, cluster_jackknife, percentile_interval
from histossl.statistics.shared_training import widened
from histossl.tables.comparison import Resampling, judge
from histossl.tables.figures import class_figures
from histossl.tables.kinds import clusters_of
from histossl.tables.predictions import write_predictions

RESAMPLING = Resampling(resamples=500, seed=3, level=0.9)
COLUMNS = ("task", "encoder", "probe", "fold", "path", "group", "label", "p_a", "p_b")


def write(path, encoder, folds):
    """Patches of 30 groups, tested in so many folds."""
    rng = np.random.default_rng(len(encoder))
    rows = []
    for patch in range(90):
        score = 1 / (1 + np.exp(-rng.normal(1.0 if patch % 2 else -1.0, 2)))
        named = ("t", encoder, "knn", patch // 3 % folds, f"{patch}.png", f"g{patch // 3}")
        rows.append((*named, "ab"[patch % 2], 1 - score, score))
    write_predictions(path, COLUMNS, rows)
    return path


@pytest.mark.parametrize(("folds", "level"), [(1, 0.9), (3, widened(0.9, 2))])
def test_intervals_are_wider_where_folds_train_on_each_others_patients(tmp_path, folds, level):
    files = [write(tmp_path / f"{name}.csv", name, folds) for name in ("one", "other")]
    judged = judge(files, "classification", {"one": "other"}, RESAMPLING)
    samples, values, left_out = [], [], []
    for method in judged:
        figures = class_figures(method.measured.rows)[1]
        clusters = clusters_of(method.measured.rows, "group")
        samples.append(cluster_bootstrap(figures, clusters, 500 if folds == 1 else 2500, 3)[:, 0])
        left_out.append(cluster_jackknife(figures, clusters)[:, 0])
        values.append(method.figures["auc"].value)
    assert judged[0].figures["auc"][1:] == bca_interval(samples[0], values[0], left_out[0], level)
    assert judged[0].differences["auc"][1:] == percentile_interval(samples[0] - samples[1], level)
    assert judged[0].measured.variance_factor == (1 if folds == 1 else 2)
