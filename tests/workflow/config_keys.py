"""The keys of the configuration, found by reading its schema, and another value for each of them."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
ANY = "*"
"""Stands for a name that the user gives, and for an entry of a list."""


def list_keys(schema: Schema) -> dict[str, Schema]:
    """Every key that may have a value of its own, such as `tilings.*.patch_px`, and what it may be.

    A group of keys that may also be null is a key itself, since null is a value; so is one that has no keys yet.
    """
    found: dict[str, Schema] = {}
    for path, part in _walk(schema, schema, ""):
        found.setdefault(path, part)
    parents = {path.rpartition(".")[0] for path in found}
    return {
        path: part
        for path, part in found.items()
        if path and (path not in parents or "null" in part.get("type", ()) or None in part.get("enum", ()))
    }


def _walk(schema: Schema, root: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    if "$ref" in schema:
        target: Any = root
        for name in schema["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    yield path, schema
    children = dict(schema.get("properties", {}))
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        children[ANY] = others
    if "items" in schema and "properties" in schema["items"]:
        children[ANY] = schema["items"]
    for name, child in children.items():
        yield from _walk(child, root, f"{path}.{name}" if path else name)
    branches = [*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    for branch in branches:
        for part in [branch[key] for key in ("then", "else") if key in branch] or [branch]:
            yield from list(_walk(part, root, path))[1:]


def find_instances(config: Any, pattern: str) -> Iterator[tuple[str, Any]]:
    """The keys of a configuration (with its defaults) that a pattern stands for, such as `tilings.p64.patch_px`."""
    name, _, rest = pattern.partition(".")
    if isinstance(config, list):
        children = {str(number): part for number, part in enumerate(config)}
    else:
        children = config if isinstance(config, dict) else {}
    for child in children if name == ANY else [name] if name in children else []:
        if not rest:
            yield child, children[child]
        for path, value in find_instances(children[child], rest) if rest else ():
            yield f"{child}.{path}", value


def with_values(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a configuration in which keys such as `tilings.p64.patch_px` have other values."""
    changed: dict[str, Any] = copy.deepcopy(dict(config))
    for path, value in values.items():
        *parents, key = path.split(".")
        inner: Any = changed
        for parent in parents:
            inner = inner[int(parent)] if isinstance(inner, list) else inner.setdefault(parent, {})
        inner[key] = value
    return changed


def another_value(schema: Schema, value: Any) -> Any:
    """A value that the schema allows and that is not `value`.

    Raises:
        LookupError: only a person can say one, as for a path.
    """
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "enum" in schema:
        return next(other for other in schema["enum"] if other not in (value, None))
    if isinstance(value, bool):
        return not value
    if "object" in kinds and "null" in kinds:
        return {} if value is None else None
    if "integer" in kinds:
        step = schema.get("multipleOf", 1)
        least = schema.get("minimum", 0)
        other = least if value is None else value + step
        return value - step if other > schema.get("maximum", other) else other
    if isinstance(value, int | float):
        return round(0.9 * value, 12) or 0.1
    if isinstance(value, list) and value and not isinstance(value[0], str):
        return [part + 1 if isinstance(part, int) else round(0.9 * part, 12) for part in value]
    raise LookupError(f"no other value is known for {value!r}")
