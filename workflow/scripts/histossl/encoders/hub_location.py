"""How a configuration names a model or a file on the Hugging Face hub."""

import re
from dataclasses import dataclass

from histossl.errors import UserError

PREFIXES = ("hf-hub:", "hf_hub:")
"""As timm writes them, and as model cards do."""
PART = r"[\w.-]+"
ADDRESS = re.compile(rf"(?P<repository>{PART}/{PART})(@(?P<revision>{PART}))?(/(?P<file>.+))?")


@dataclass(frozen=True)
class HubLocation:
    """A repository on the hub, and perhaps one of its files."""

    repository: str
    """`owner/name`."""
    revision: str | None
    """A branch, tag or commit; None is what is newest."""
    file: str | None


def on_hub(name: object) -> bool:
    """Whether `name` is that of something on the hub rather than a local file or timm's."""
    return isinstance(name, str) and name.startswith(PREFIXES)


def parse_hub_location(name: str) -> HubLocation:
    """Take `hf-hub:owner/name[@revision][/file]` apart.

    Raises:
        UserError: it is not of that form.
    """
    match = ADDRESS.fullmatch(name[len(PREFIXES[0]) :])
    if not on_hub(name) or match is None:
        raise UserError(
            f"{name!r} names nothing on the Hugging Face hub; write hf-hub:owner/name or hf-hub:owner/name/file"
        )
    return HubLocation(**match.groupdict())
