"""With an encoder, a task or the like more, only what is new runs."""

import pytest

from tests.workflow.config_keys import with_values
from tests.workflow.reruns.dry_runs import FIGURES, computing, rules
from tests.workflow.reruns.every_key import every_key

pytestmark = pytest.mark.slow

LEFT_OUT = "list_left_out"
ATTENTION = ("record_attention", "draw_attention", "score_attention")
ADDED = {
    "encoder": (
        {"encoders.other.timm": {"model": "resnet18.tv_in1k"}},
        {
            *("export_encoder", "embed_slides", "embed_patches", "train_mil", "probe_patches", "draw_heatmaps"),
            *("make_tables", LEFT_OUT, *ATTENTION),
        },
        ("encoder", {"other"}),
    ),
    "imported encoder": (
        {"encoders.other.features.folder": "features2"},
        {"describe_features", "import_features", "train_mil", "draw_heatmaps", "make_tables", LEFT_OUT, *ATTENTION[:2]},
        ("encoder", {"other"}),
    ),
    "slide task": (
        {"slide_tasks.other": {"label": "subtype", "tiling": "p64", "folds": 3, "models": {"abmil": {}}}},
        {"split_patients", "train_mil", "draw_heatmaps", "make_tables"},
        ("task", {"other"}),
    ),
    "head": (
        {"slide_tasks.subtype.models.dsmil": {}},
        {"train_mil", "draw_heatmaps", "make_tables"},
        ("model", {"dsmil"}),
    ),
    "fraction": (
        {"slide_tasks.subtype.fractions": [1.0, 0.25, 0.5]},
        {"split_patients", "train_mil", "make_tables", "compare_study"},
        ("fraction", {"0.25"}),
    ),
    "patch task": (
        {"patch_tasks.other": {"train": "phantom:raw", "test": "phantom:test", "probes": {"knn": {}}}},
        {"probe_patches", "make_tables"},
        ("task", {"other"}),
    ),
    "probe": ({"patch_tasks.tissue.probes.logistic": {}}, {"probe_patches", "make_tables"}, ("probe", {"logistic"})),
    "tiling": (
        {"tilings.other": {"patch_px": 128, "spacing_um": 1.0}},
        {"tile_slide", "summarise_cohort", "draw_cohort", "list_left_out"},
        ("tiling", {"other"}),
    ),
    "patch data set": ({"patch_datasets.other": {"source": "own", "spacing_um": 1.0}}, set(), ("dataset", set())),
}


@pytest.mark.parametrize("what", ADDED)
def test_only_what_is_new_runs(complete, dry, what):
    values, expected, (wildcard, new) = ADDED[what]
    planned = dry.plan(complete.folder, with_values(every_key(), values))
    jobs = [job for job in planned if job.rule not in FIGURES]  # a table is drawn task by task, all of them anew
    assert rules(jobs) == expected
    assert {value for job in jobs for name, value in job.wildcards if name == wildcard} == new
    merged = {"make_tables", "compare_study", "summarise_cohort", "list_left_out", "score_attention"}
    assert all(job.rule in merged or wildcard in dict(job.wildcards) for job in jobs)


def test_a_fraction_taken_away_runs_the_tables_alone(complete, dry):
    jobs = dry.plan(complete.folder, with_values(every_key(), {"slide_tasks.subtype.fractions": [0.5]}))
    # Heatmaps are of the largest fraction, which was the one taken away.
    assert computing(jobs) == {"make_tables", "compare_study", "draw_heatmaps"}
