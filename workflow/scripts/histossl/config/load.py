"""The configuration: checked against its schema, defaults filled in, mistakes explained in a sentence."""

import copy
import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from histossl.config.presets import fill_presets, read_presets
from histossl.errors import UserError

# JSON Schema takes 4.0 for an integer and NaN for a number; `range` and arithmetic do not.
VALIDATOR = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            ),
        }
    ),
)


def load_config(values: Mapping[str, Any], schema_file: Path, presets: Path | None = None) -> dict[str, Any]:
    """Check `values` against the schema, and fill in presets, then defaults.

    Args:
        values: as the user wrote them.
        schema_file: what they may be.
        presets: the folder of `encoders.yaml` and `patch_datasets.yaml`; None fills in none.

    Raises:
        UserError: an unknown key (with the nearest valid one), a missing key, a value that is not allowed, or an
            unknown preset.
    """
    schema = yaml.safe_load(schema_file.read_text(encoding="utf-8"))
    config = copy.deepcopy(dict(values))
    errors = list(VALIDATOR(schema).iter_errors(config))
    if errors:
        # The error that lies deepest says most; among equals, the first in the file.
        raise UserError(_explain(max(errors, key=lambda error: len(error.absolute_path))))
    if presets is not None:
        fill_presets(config, *(read_presets(presets / f"{kind}.yaml") for kind in ("encoders", "patch_datasets")))
    _fill_defaults(config, schema, schema)
    return config


def _fill_defaults(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> None:  # noqa: ANN401
    schema = _resolve(schema, root)
    if not isinstance(value, dict):
        return
    for branch in schema.get("allOf", []):
        # What goes for one method alone; it comes first, because its defaults go before the general ones.
        if jsonschema.Draft202012Validator(branch["if"]).is_valid(value):
            _fill_defaults(value, branch["then"], root)
    for key, child in schema.get("properties", {}).items():
        resolved = _resolve(child, root)
        if key not in value and "default" in resolved:
            value[key] = copy.deepcopy(resolved["default"])
        if key in value:
            _fill_defaults(value[key], resolved, root)
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        for key in value.keys() - schema.get("properties", {}).keys():
            _fill_defaults(value[key], others, root)


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow `$ref` within the file; keys beside it go before those it points to."""
    if "$ref" not in schema:
        return schema
    target: Any = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _explain(error: jsonschema.ValidationError) -> str:
    where = ".".join(map(str, error.absolute_path)) or "the top level"
    rule = error.validator
    if "propertyNames" in error.absolute_schema_path:
        return (
            f"config: the name {error.instance!r} at {where} is not allowed; give a text of letters, digits, dots, "
            "dashes and underscores that starts with a letter or digit"
        )
    if rule == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in known)
        near = difflib.get_close_matches(str(unknown), known, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]!r}?" if near else f"valid keys are {', '.join(known)}"
        return f"config: unknown key {unknown!r} at {where}; {remedy}"
    if rule == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"config: the key {missing!r} is missing at {where}; add it"
    if rule == "enum":
        return f"config: {where} is {error.instance!r}; allowed are {', '.join(map(repr, error.validator_value))}"
    if rule == "type":
        kinds = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        return f"config: {where} is {error.instance!r}, but must be of the type {' or '.join(kinds)}"
    return f"config: {where}: {error.message}; see config/schemas/config.schema.yaml"
