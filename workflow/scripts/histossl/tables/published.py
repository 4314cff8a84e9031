"""The tables that a study published, from a file of config/published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from histossl.errors import UserError

KINDS = ("slide", "classification", "regression")


class Method(NamedTuple):
    """A method of a study: its name in tables, what it is, and what the study's released result files call it."""

    name: str
    about: str
    files: str


@dataclass(frozen=True)
class PublishedTable:
    """One published table.

    Attributes:
        title: what the table is of; tables of one title are shown as one.
        arm: heading and entry of what tells it from the others of its title, such as `{"SN": "yes"}`.
        source: where its figures are from.
        differs: how its protocol differs from ours.
        kind: the kind of our predictions that it is compared with.
        columns: our figure under each heading; of the kind `slide` it is the training fraction.
        values: the published figures of each method, in the order of the columns.
        sd: their standard deviations over folds; empty where none are published.
    """

    title: str
    arm: Mapping[str, str]
    source: str
    differs: str
    kind: str
    columns: Mapping[str, str]
    values: Mapping[str, Sequence[float]]
    sd: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Published:
    """A study: how it is cited, its methods and its tables, both by the name that a config calls them by."""

    citation: str
    methods: Mapping[str, Method]
    tables: Mapping[str, PublishedTable]


def read_published(path: Path) -> Published:
    """Read the published tables of a study.

    Raises:
        UserError: there is no such file, or it lacks a key or a value.
    """
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        published = Published(
            content["citation"],
            {name: Method(**method) for name, method in content["methods"].items()},
            {name: PublishedTable(**{"arm": {}, "sd": {}, **table}) for name, table in content["tables"].items()},
        )
    except FileNotFoundError as error:
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise UserError(f"{path}: there is no such published study; there are {', '.join(known) or 'none'}") from error
    except (KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not the tables of a study ({error!r}); write it like those beside it") from error
    for name, table in published.tables.items():
        if table.kind not in KINDS:
            raise UserError(f"{path}: the kind of {name} is {table.kind!r}; write one of {', '.join(KINDS)}")
        for method, row in [*table.values.items(), *table.sd.items()]:
            if method not in published.methods or len(row) != len(table.columns):
                raise UserError(
                    f"{path}: {name} has {len(row)} figures of {method!r} in {len(table.columns)} columns; name one of "
                    f"{', '.join(published.methods)}, with one figure a column"
                )
    return published
