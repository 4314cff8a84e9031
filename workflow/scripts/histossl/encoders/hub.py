"""Files of the Hugging Face hub: fetched once, then read from its cache (`HF_HOME`)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session

from histossl.encoders.hub_location import HubLocation, parse_hub_location
from histossl.errors import JobError, UserError

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
CONNECT_S = 10.0


@dataclass(frozen=True)
class HubModel:
    """What a repository says of its model."""

    architecture: str
    """Name as timm knows it, without a tag of weights."""
    model_args: dict[str, Any]
    data_config: dict[str, Any]
    """Preprocessing in timm's words: `input_size`, `crop_pct`, `interpolation`, `mean`, `std`."""


def fetch_weights(name: str) -> Path:
    """The weight file of `hf-hub:owner/name[@revision][/file]`; without a file, the first of `WEIGHT_FILES` there is.

    Raises:
        UserError: it cannot be had; the message says what to do.
        JobError: there is no network, or the hub is out of order, and the file is not in the cache.
    """
    location = parse_hub_location(name)
    return _fetch(location, (location.file,) if location.file else WEIGHT_FILES, name)


def read_hub_model(name: str) -> HubModel:
    """Read what timm needs to build the model of `hf-hub:owner/name[@revision]`.

    Raises:
        UserError: the file cannot be had, or the model is not one of timm's.
        JobError: there is no network, or the hub is out of order, and the file is not in the cache.
    """
    location = parse_hub_location(name)
    path = _fetch(location, ("config.json",), name)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        # Of old, preprocessing stood beside the name.
        return HubModel(
            architecture=values["architecture"].partition(".")[0],
            model_args={key: value for key, value in values.get("model_args", {}).items() if key != "num_classes"},
            data_config=values.get("pretrained_cfg", values),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{name} is no model of timm's, as its config.json names no timm architecture; name the timm network under "
            f"`model:` and {name} under `weights:`"
        ) from error


def _fetch(location: HubLocation, files: tuple[str, ...], name: str) -> Path:
    # The library asks again for half a minute where there is no network; its cache is read at once.
    cached_only = bool(constants.HF_HUB_OFFLINE) or not _reachable()
    absent: Exception | None = None
    for file in files:
        try:
            return Path(
                hf_hub_download(location.repository, file, revision=location.revision, local_files_only=cached_only)
            )
        except EntryNotFoundError as error:
            absent = error
        except Exception as error:  # each version of the library has other kinds for trouble with the network
            raise _explain(error, location, name) from error
    if isinstance(absent, LocalEntryNotFoundError):
        raise _explain(absent, location, name) from absent
    raise UserError(
        f"{name}: the repository has no file {' or '.join(files)}; name its weight file as "
        f"hf-hub:{location.repository}/FILE (they are listed at {_page(location)}/tree/main)"
    ) from absent


def _reachable() -> bool:
    try:
        get_session().head(constants.ENDPOINT, timeout=CONNECT_S)
    except Exception:  # whatever it is, there is no talking to the hub
        return False
    return True


def _page(location: HubLocation) -> str:
    return f"https://huggingface.co/{location.repository}"


def _explain(error: Exception, location: HubLocation, name: str) -> UserError | JobError:
    """What went wrong, and what to do, in one sentence."""
    page = _page(location)
    if isinstance(error, GatedRepoError):
        return UserError(
            f"{name} is given only to those who accept its licence: accept it at {page}, then run `hf auth login` (or "
            "set HF_TOKEN) and start again, or give a file that you have as `weights:`"
        )
    if isinstance(error, RevisionNotFoundError):
        return UserError(f"{name}: the repository has no revision {location.revision!r}; see {page}/commits/main")
    if isinstance(error, RepositoryNotFoundError):
        return UserError(
            f"{name}: there is no such repository for you; correct the name, or, if {page} is private, run "
            "`hf auth login` (or set HF_TOKEN) as somebody who may see it"
        )
    # The library takes any answer that it does not know for a lack of network, and keeps the answer as the cause.
    answers = [getattr(trouble, "response", None) for trouble in (error, error.__cause__)]
    if any(getattr(answer, "status_code", None) in (401, 403) for answer in answers):
        return UserError(
            f"{name}: the Hugging Face hub refuses your token; run `hf auth login` with a new one that may read "
            f"{page} (a variable HF_TOKEN goes before it), or give a file as `weights:`"
        )
    if isinstance(error, LocalEntryNotFoundError):
        offline = bool(constants.HF_HUB_OFFLINE)
        why = "HF_HUB_OFFLINE is set" if offline else "the Hugging Face hub cannot be reached from here"
        what = f"{location.repository} {location.file or ''}".strip()
        revision = f" --revision {location.revision}" if location.revision else ""
        return (UserError if offline else JobError)(
            f"{name} is not in the cache {constants.HF_HUB_CACHE}, and {why}: run `hf download {what}{revision}` "
            "where there is network, with the same HF_HOME, or give a file as `weights:` (if it is gated, "
            f"accept its licence first at {page})"
        )
    said = str(error).strip().partition("\n")[0]
    return JobError(
        f"{name} could not be fetched ({type(error).__name__}: {said}); try again later, or give a file as `weights:`"
    )
