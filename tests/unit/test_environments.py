"""The conda files, the constraints and pyproject.toml name the same software."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PINS = dict(
    line.split("==")
    for line in (REPOSITORY / "envs/constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)


@pytest.mark.parametrize("name", ["slides", "torch", "evaluation"])
def test_conda_files_pin_the_versions_of_the_constraints(name):
    content = yaml.safe_load((REPOSITORY / f"envs/{name}.yaml").read_text())
    (packages,) = [entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict)]
    for package in packages:
        wanted, version = package.split("==")
        assert PINS[wanted] == version


def test_every_direct_dependency_is_pinned_and_explained():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = [package for extra in project["optional-dependencies"].values() for package in extra]
    names = [re.split(r"[<>=]", package)[0] for package in project["dependencies"] + extras]
    reasons = (REPOSITORY / "docs/dependencies.md").read_text()
    for name in names:
        assert name in PINS
        assert name in reasons


def test_constraints_name_no_place():
    text = (REPOSITORY / "envs/constraints.txt").read_text()
    assert not re.search(r"https?:|file:|/|--", text.split("\n", 1)[1])
