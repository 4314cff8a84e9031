import copy
from pathlib import Path

import pytest
import yaml

from histossl.config.load import load_config
from histossl.errors import UserError

ROOT = Path(__file__).parents[3]
SCHEMA = """
type: object
additionalProperties: false
required: [name]
properties:
  name: {type: string}
  kind: {enum: [red, green], default: red}
  share: {type: number, minimum: 0, maximum: 1, default: 0.5}
  mixed: {type: [integer, "null"], default: null}
  listed: {type: array, items: {type: integer}, default: [1, 2]}
  inner:
    type: object
    default: {}
    additionalProperties: false
    properties:
      deep:
        type: object
        default: {}
        properties:
          depth: {type: integer, default: 3}
      colour: {$ref: "#/$defs/colour"}
      dull: {$ref: "#/$defs/colour", default: grey}
  optional:
    type: [object, "null"]
    default: null
    properties:
      set: {type: integer, default: 1}
  heads:
    type: object
    default: {}
    propertyNames: {$ref: "#/$defs/name"}
    additionalProperties: {$ref: "#/$defs/head"}
$defs:
  name: {type: string, pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]*$"}
  colour: {type: string, default: blue}
  head:
    type: object
    additionalProperties: false
    required: [size]
    properties:
      size: {type: integer, minimum: 1}
      heads: {type: integer, default: 4}
"""
DEFAULTS = {
    "kind": "red",
    "share": 0.5,
    "mixed": None,
    "listed": [1, 2],
    "inner": {"deep": {"depth": 3}, "colour": "blue", "dull": "grey"},
    "optional": None,
    "heads": {},
}


@pytest.fixture
def schema(tmp_path):
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    return tmp_path / "schema.yaml"


def test_defaults_are_filled_at_every_depth(schema):
    assert load_config({"name": "a"}, schema) == {"name": "a", **DEFAULTS}


def test_defaults_are_filled_in_entries_named_by_the_user_and_beside_what_is_given(schema):
    given = {"name": "a", "kind": "green", "heads": {"x": {"size": 1}, "y": {"size": 2, "heads": 8}}, "optional": {}}
    given["inner"] = {"deep": {"depth": 9}}
    config = load_config(given, schema)
    assert config["heads"] == {"x": {"size": 1, "heads": 4}, "y": {"size": 2, "heads": 8}}
    assert config["inner"] == {"deep": {"depth": 9}, "colour": "blue", "dull": "grey"}
    assert (config["kind"], config["optional"]) == ("green", {"set": 1})


def test_the_values_given_and_the_defaults_are_not_shared(schema):
    given = {"name": "a", "inner": {}}
    before = copy.deepcopy(given)
    first = load_config(given, schema)
    first["listed"].append(3)
    first["inner"]["deep"]["depth"] = 99
    assert given == before
    assert load_config(given, schema) == {"name": "a", **DEFAULTS}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"knid": "red"}, "unknown key 'knid' at the top level; did you mean 'kind'?"),
        ({"zzzzz": 1}, "unknown key 'zzzzz' at the top level; valid keys are name, kind, share"),
        ({7: 1}, "unknown key 7 at the top level"),
        ({"inner": {"coluor": "x"}}, "unknown key 'coluor' at inner; did you mean 'colour'?"),
        ({"heads": {"x": {"size": 1, "haeds": 2}}}, "unknown key 'haeds' at heads.x; did you mean 'heads'?"),
        ({"heads": {"x": {}}}, "the key 'size' is missing at heads.x"),
        ({"name": None}, "name is None, but must be of the type string"),
        ({"kind": "blue"}, "kind is 'blue'; allowed are 'red', 'green'"),
        ({"mixed": "3"}, "mixed is '3', but must be of the type integer or null"),
        ({"mixed": 3.0}, "mixed is 3.0, but must be of the type integer or null"),
        ({"mixed": True}, "mixed is True, but must be of the type integer or null"),
        ({"share": True}, "share is True, but must be of the type number"),
        ({"share": float("nan")}, "share is nan, but must be of the type number"),
        ({"share": float("inf")}, "share is inf, but must be of the type number"),
        ({"share": 1.5}, "share: 1.5 is greater than the maximum of 1"),
        ({"listed": [1, "x"]}, "listed.1 is 'x', but must be of the type integer"),
        ({"inner": []}, "inner is [], but must be of the type object"),
        ({"heads": {"a b": {"size": 1}}}, "the name 'a b' at heads is not allowed"),
        ({"heads": {"../x": {"size": 1}}}, "the name '../x' at heads is not allowed"),
        ({"heads": {5: {"size": 1}}}, "the name 5 at heads is not allowed"),
    ],
)
def test_each_mistake_is_one_sentence(schema, change, said):
    with pytest.raises(UserError) as raised:
        load_config({"name": "a", **change}, schema)
    assert str(raised.value).startswith(f"config: {said}")
    assert "\n" not in str(raised.value)


def test_a_missing_key_at_the_top_is_named(schema):
    with pytest.raises(UserError, match="the key 'name' is missing at the top level"):
        load_config({}, schema)


def test_of_several_mistakes_the_deepest_is_told(schema):
    with pytest.raises(UserError, match=r"heads\.x\.size is 'a'"):
        load_config({"knid": 1, "heads": {"x": {"size": "a"}}}, schema)


def test_the_demo_configuration_fits_the_schema():
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    config = load_config(values, ROOT / "config/schemas/config.schema.yaml")
    assert set(values) <= set(config)
    assert load_config(config, ROOT / "config/schemas/config.schema.yaml") == config


def test_the_probe_of_earlier_configurations_is_told_what_it_is_called_now():
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    task = next(iter(values["patch_tasks"].values()))
    task["probe"] = {"probe": next(iter(task.pop("probes")))}
    with pytest.raises(UserError, match=r"unknown key 'probe' at patch_tasks\.\w+; did you mean 'probes'"):
        load_config(values, ROOT / "config/schemas/config.schema.yaml")
