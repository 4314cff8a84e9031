"""What runs when the code changes."""

import os

import pytest

from tests.workflow.reruns.conftest import copy_sources
from tests.workflow.reruns.dry_runs import rules, wildcards
from tests.workflow.reruns.every_key import HEADS, every_key
from tests.workflow.reruns.page import read_groups, read_rules

pytestmark = pytest.mark.slow

EDITED = {
    "phantom/layout.py": "`draw_slide`, *slides*",
    "tiles/overlay.py": "*slides*",
    "tiles/quality.py": "*coordinates*",
    "tiles/sample.py": "*shards*",
    "cohort/contact_sheet.py": "`draw_cohort`, `draw_views`",
    "cohort/summary.py": "`summarise_cohort`, `list_left_out`",
    "ssl/byol.py": "*training*",
    "ssl/view_sheet.py": "`draw_views`",
    "features/foreign_features.py": "`describe_features`, `import_features`, `list_left_out`, *costs*, *slide tasks*",
    "encoders/weight_file.py": "`export_encoder`, *features*, *attention*",
    "attention/record.py": "*attention*",
    "attention/pictures.py": "`draw_attention`",
    "attention/components.py": "`score_attention`",
    "phantom/components.py": "`draw_components`, `score_attention`",
    "features/patch_features.py": "*patch features*",
    "features/embed_slides.py": "*slide features*",
    "splits/folds.py": "`split_patients`, *slide tasks*",
    "mil/clam.py": "*slide tasks*",
    "heatmaps/choose.py": "`draw_heatmaps`",
    "viewer/site.py": "nothing",
    "probes/knn.py": "*patch tasks*",
    "statistics/delong.py": "*tables*",
    "tables/pretraining.py": "`summarise_pretraining`, `draw_training_curves`, `compare_training`",
    "figures/feature_map.py": "`map_features`, `draw_feature_map`",
    "figures/feature_map_drawing.py": "`draw_feature_map`",
    "figures/forest.py": "`draw_forest`",
    "figures/cost.py": "*costs*",
    "tables/study.py": "`compare_study`",
    "config/plan.py": "nothing",
    "config/attention.py": "nothing",
    "devices/lease.py": "nothing",
}
"""By module, what an edit of it runs again, in the words of docs/reruns.md."""

ONE_OF_SEVERAL = {
    "ssl/simclr.py": ("pretrain", "encoder", {"simclr"}),
    "ssl/byol.py": ("pretrain", "encoder", {"byol"}),
    "ssl/ibot.py": ("pretrain", "encoder", {"ibot"}),
    "ssl/dino.py": ("pretrain", "encoder", {"dino", "ibot"}),
    "mil/transmil.py": ("train_mil", "model", {"transmil"}),
    "mil/dsmil.py": ("train_mil", "model", {"dsmil"}),
    "mil/clam.py": ("train_mil", "model", set(HEADS)),
}
"""By module of a method or head, whose jobs an edit of it runs again."""


@pytest.fixture(scope="module")
def edited(complete, dry, tmp_path_factory):
    """By module, the jobs that run after an edit of it."""
    started = {}
    for module in {**EDITED, **ONE_OF_SEVERAL}:
        sources = copy_sources(tmp_path_factory.mktemp("edited"))
        with (sources / "workflow/scripts/histossl" / module).open("a", encoding="utf-8") as file:
            file.write("\nEDITED = 1\n")
        started[module] = dry.start(complete.folder, every_key(), sources)
    return {module: run.result() for module, run in started.items()}


def test_an_edited_module_runs_the_stages_that_use_it_and_no_others(edited):
    groups = read_groups()
    planned = {module: rules(edited[module]) for module in EDITED}
    said = {module: read_rules(text, groups) for module, text in EDITED.items()}
    assert {module: sorted(found) for module, found in planned.items() if not said[module].allows(found)} == {}


@pytest.mark.parametrize("module", ONE_OF_SEVERAL)
def test_an_edited_method_or_head_runs_where_it_is_used_alone(edited, module):
    rule, wildcard, users = ONE_OF_SEVERAL[module]
    assert wildcards(edited[module], rule, wildcard) == users


def test_comments_docstrings_and_dates_run_nothing(complete, dry, tmp_path):
    copy_sources(tmp_path / "sources")
    scripts = list((tmp_path / "sources/workflow/scripts").rglob("*.py"))
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        script.write_text(f'# A comment.\n"""Another docstring."""\n\n\n{text}\n# The end.\n', encoding="utf-8")
    assert len(scripts) > 150
    assert dry.plan(complete.folder, every_key(), tmp_path / "sources") == []
    for file in (tmp_path / "sources").rglob("*"):
        os.utime(file)
    assert dry.plan(complete.folder, every_key(), tmp_path / "sources") == []
