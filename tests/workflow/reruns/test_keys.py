"""docs/reruns.md says which rules run again when a key of the configuration changes; each key is changed here."""

import re
from collections import defaultdict
from typing import Any

import pytest
import yaml

from histossl.config.load import load_config
from tests.workflow.config_keys import another_value, find_instances, list_keys, with_values
from tests.workflow.conftest import REPOSITORY
from tests.workflow.reruns.dry_runs import rules, wildcards
from tests.workflow.reruns.every_key import CHANGES, every_key
from tests.workflow.reruns.page import find_line, read_page

SCHEMA = REPOSITORY / "config/schemas/config.schema.yaml"


def list_changes() -> dict[str, dict[str, Any]]:
    """By key of the schema, what is set in the configuration to change it."""
    config = load_config(every_key(), SCHEMA, REPOSITORY / "config/presets")
    changes = {}
    for key, part in list_keys(yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))).items():
        path, value = next(find_instances(config, key), (None, None))
        assert path is not None, f"the configuration of every_key.py has no {key}; add one"
        changes[key] = CHANGES[key] if key in CHANGES else {path: another_value(part, value)}
    return changes


def test_every_key_has_a_line_in_the_docs_and_another_value_here():
    page, changes = read_page(), list_changes()
    lines = {key: find_line(page, key) for key in changes}
    assert len(lines) > 250
    assert [key for key, line in lines.items() if line is None] == []
    assert set(page) - set(lines.values()) == set(), "lines for no key"
    assert set(CHANGES) <= set(changes), "changes of what is no key"
    text = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "rules").glob("*.smk"))
    known = set(re.findall(r"^ *rule (\w+):", text, re.MULTILINE))
    assert {rule for line in page.values() for rule in line.rules | line.perhaps} <= known


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_changed_key_runs_what_the_docs_say(complete, dry, clone):
    page, together = read_page(), defaultdict(dict)
    for key, values in list_changes().items():
        # All heads that have a key are changed at once.
        together[re.sub(r"^(slide_tasks\.\*\.models)\.\w+", r"\1.*", key)] |= values
    started = {key: dry.start(complete.folder, with_values(every_key(), set_), clone) for key, set_ in together.items()}
    wrong = {}
    for key, run in started.items():
        try:
            jobs = run.result()
        except RuntimeError as error:
            wrong[key] = str(error)
            continue
        said = page[find_line(page, key)]
        heads = {path.split(".")[3] for path in together[key] if key.startswith("slide_tasks.*.models")}
        if not said.allows(rules(jobs)) or (heads and wildcards(jobs, "train_mil", "model") != heads):
            wrong[key] = f"{together[key]} runs {', '.join(sorted(map(str, jobs)))}; docs: {', '.join(said.rules)}"
    assert wrong == {}


@pytest.mark.slow
def test_an_error_in_the_config_loses_nothing(complete, dry):
    with pytest.raises(RuntimeError, match="unknown key 'patch_pix'"):
        dry.plan(complete.folder, with_values(every_key(), {"tilings.p64.patch_pix": 3}))
    assert dry.plan(complete.folder, every_key()) == []


@pytest.mark.slow
def test_of_how_many_patches_neighbours_are_told_counts_where_they_are(complete, dry):
    unused = {"encoders.dino.pretrain.health.knn_patches": 500}
    assert dry.plan(complete.folder, with_values(every_key(), unused)) == []
