"""docs/reruns.md as a test reads it: by key, the rules that run again when it changes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.workflow.config_keys import ANY
from tests.workflow.conftest import REPOSITORY


@dataclass(frozen=True)
class Rerun:
    """The rules that run again, and those that do so where they are concerned."""

    rules: frozenset[str]
    perhaps: frozenset[str]

    def allows(self, planned: set[str]) -> bool:
        """Whether a dry run agrees."""
        return self.rules <= planned <= self.rules | self.perhaps


def read_groups() -> dict[str, Rerun]:
    """The groups of rules by name."""
    groups: dict[str, Rerun] = {}
    for name, rules in _read_table("group"):
        groups[name.strip("*")] = read_rules(rules, groups)
    return groups


def read_page() -> dict[str, Rerun]:
    """The rules by pattern, such as `tilings.*.stain`.

    Raises:
        ValueError: a pattern stands in two lines.
    """
    groups = read_groups()
    page: dict[str, Rerun] = {}
    for patterns, rules, _ in _read_table("key"):
        for pattern in re.findall(r"`([^`]+)`", patterns):
            if pattern in page:
                raise ValueError(f"docs/reruns.md has two lines for {pattern}")
            page[pattern] = read_rules(rules, groups)
    return page


def find_line(page: Mapping[str, Rerun], key: str) -> str | None:
    """The most precise pattern that fits a key, which is the longest; of two such, the one with fewer `*`."""
    fitting = [pattern for pattern in page if _fits(pattern.split("."), key.split("."))]
    return max(fitting, key=lambda pattern: (pattern.count("."), -pattern.count(ANY)), default=None)


def _fits(pattern: list[str], key: list[str]) -> bool:
    return len(pattern) <= len(key) and all(part in (ANY, name) for part, name in zip(pattern, key, strict=False))


def _read_table(first: str) -> list[list[str]]:
    """The cells of the table whose first column has this heading."""
    text = (REPOSITORY / "docs/reruns.md").read_text(encoding="utf-8")
    rows = re.search(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)[1]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()]


def read_rules(cell: str, groups: Mapping[str, Rerun]) -> Rerun:
    """Rules in backticks, groups in italics; in parentheses what runs where it is concerned."""
    required, perhaps = re.sub(r"\([^)]*\)", "", cell), " ".join(re.findall(r"\(([^)]*)\)", cell))
    certain = [groups[name] for name in re.findall(r"\*([^*]+)\*", required)]
    possible = certain + [groups[name] for name in re.findall(r"\*([^*]+)\*", perhaps)]
    rules = frozenset(re.findall(r"`(\w+)`", required)).union(*(group.rules for group in certain))
    either = frozenset(re.findall(r"`(\w+)`", perhaps)).union(*(group.rules | group.perhaps for group in possible))
    return Rerun(rules, either - rules)
