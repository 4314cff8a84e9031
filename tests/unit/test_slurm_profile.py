"""What profiles/slurm says of the rules is true of them."""

import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PROFILE = yaml.safe_load((REPOSITORY / "profiles/slurm/profile.yaml").read_text(encoding="utf-8"))
RULE = re.compile(r"^ *rule (\w+):\n(.*?)(?=^ *rule |\Z)", re.DOTALL | re.MULTILINE)
RULES = {
    name: text
    for file in sorted((REPOSITORY / "rules").glob("*.smk"))
    for name, text in RULE.findall(file.read_text(encoding="utf-8"))
}
SENT = [name for name, text in RULES.items() if "localrule: True" not in text]
GROWS_WITH_SLIDES = {"draw_slide", "segment_tissue", "tile_slide", "pack_tiles"}


@pytest.mark.parametrize("name", SENT)
def test_memory_and_time_of_each_rule_grow_with_its_attempts(name):
    assert re.search(r"mem_mb=grow\(\d+\)", RULES[name])
    assert re.search(r"runtime=(grow\(\d+\)|slide_minutes\(\d+, \d+\))", RULES[name])


def test_each_rule_that_is_named_is_there():
    assert len(RULES) > 20
    assert set(PROFILE["groups"]) <= set(SENT)
    assert set(PROFILE["set-resources"]) <= set(SENT)
    assert set(PROFILE["group-components"]) == set(PROFILE["groups"].values())


def test_rules_with_a_job_for_a_slide_or_few_travel_in_groups_of_bounded_width():
    outputs = {name: RULES[name].partition("output:")[2].partition("log:")[0] for name in SENT}
    per_slide = {name for name, text in outputs.items() if "{slide}" in text or "{part}" in text}
    assert per_slide == GROWS_WITH_SLIDES
    assert {PROFILE["groups"][name] for name in per_slide} == {"slides"}
    assert all(PROFILE["set-resources"][name]["side_by_side"] == 1 for name in PROFILE["groups"])
    assert PROFILE["set-resource-scopes"] == {"side_by_side": "local"}


def test_what_the_plugin_would_choose_otherwise_is_set():
    assert PROFILE["slurm-status-command"] == "squeue"
    assert PROFILE["slurm-pass-command-as-script"] is True
    assert PROFILE["set-resources"]["pretrain"]["slurm_extra"].startswith("--signal=TERM@")
