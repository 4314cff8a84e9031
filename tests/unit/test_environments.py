"""The conda files, the constraints and pyproject.toml name the same software."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
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


SCRIPTS = REPOSITORY / "workflow/scripts"
IMPORTED_AS = {
    **{"cv2": "opencv-python-headless", "openslide": "openslide-python", "PIL": "pillow", "sklearn": "scikit-learn"},
    "yaml": "PyYAML",
    "umap": "umap-learn",
}


def rules() -> Iterator[tuple[str, str, list[str]]]:
    """Each rule that starts a script: its name, its conda file and its scripts."""
    for path in sorted((REPOSITORY / "rules").glob("*.smk")):
        for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", path.read_text(), re.MULTILINE):
            if scripts := re.findall(r'\bscript\("(\w+)"\)', body):
                (conda,) = re.findall(r'"\.\./envs/(\w+)\.yaml"', body) or ("",)
                yield name, conda, scripts


def imported(script: str) -> set[str]:
    """The packages beyond Python's own that a script and its modules import, as they are installed."""
    found, seen, waiting = set(), set(), [SCRIPTS / f"{script}.py"]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                top = name.split(".")[0]
                if top == "histossl":
                    waiting.append(SCRIPTS.joinpath(*name.split(".")).with_suffix(".py"))
                elif top not in sys.stdlib_module_names:
                    found.add(IMPORTED_AS.get(top, top))
    return found


@pytest.mark.parametrize(
    ("rule", "conda", "scripts"), list(rules()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_rules_conda_file_has_what_its_scripts_import(rule, conda, scripts):
    content = yaml.safe_load((REPOSITORY / f"envs/{conda}.yaml").read_text())
    (packages,) = [entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict)]
    there = {package.split("==")[0] for package in packages}
    assert set().union(*map(imported, scripts)) <= there
