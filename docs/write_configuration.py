"""Write docs/configuration.md from the schema: `make docs`."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
HEAD = """# Configuration

Every key of the configuration, as config/schemas/config.schema.yaml states it (this page is made from it by
`make docs`). A key of another name is refused, with the nearest valid one. What stands under `compute` changes speed
alone and reruns nothing; what any other key reruns is in [reruns.md](reruns.md).

| key | values | default | meaning |
|---|---|---|---|
"""


def main() -> None:
    """Write the page."""
    schema = yaml.safe_load((ROOT / "config/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    lines = list(rows(schema, schema, ""))
    (ROOT / "docs/configuration.md").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def rows(node: dict[str, Any], root: dict[str, Any], path: str) -> list[str]:
    """A row for each key below `node`."""
    found: list[str] = []
    required = node.get("required", [])
    for key, child in node.get("properties", {}).items():
        child = resolve(child, root)
        name = f"{path}{key}"
        if "type" in child or "enum" in child or "anyOf" in child:
            default = "**required**" if key in required else show(child["default"]) if "default" in child else ""
            found.append(f"| `{name}` | {values(child)} | {default} | {child.get('description', '')} |")
        else:
            found.append(f"| `{name}` | | {show(child['default'])} | |")
        found += rows(child, root, f"{name}.")
        if isinstance(child.get("additionalProperties"), dict):
            found += rows(resolve(child["additionalProperties"], root), root, f"{name}.NAME.")
        if "items" in child:
            found += rows(resolve(child["items"], root), root, f"{name}[].")
    for branch in node.get("allOf", []):
        ((key, chosen),) = branch["if"]["properties"].items()
        found += [
            row.replace("| `", f"| with `{key}: {chosen['const']}`: `", 1)
            for row in rows(resolve(branch["then"], root), root, path)
        ]
    return found


def resolve(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow `$ref`."""
    if "$ref" not in node:
        return node
    target: Any = root
    for part in node["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**target, **node}


def values(node: dict[str, Any]) -> str:
    """What a key may be, in words."""
    if "enum" in node:
        return ", ".join(map(show, node["enum"]))
    kinds = node.get("type", "")
    text = " or ".join(kinds if isinstance(kinds, list) else [kinds])
    bounds = [
        f"{sign} {node[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in node
    ]
    return " ".join([text, *bounds]).strip()


def show(value: Any) -> str:  # noqa: ANN401
    """A value as it is written in YAML."""
    return f"`{yaml.safe_dump(value, default_flow_style=True, width=10_000).replace('...', '').strip()}`"


if __name__ == "__main__":
    main()
