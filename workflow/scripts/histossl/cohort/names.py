"""Slide ids from file names: unique, and fit to name files and folders."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from histossl.cohort.find_slides import strip_suffix
from histossl.config.sheets import BRACES, CONTROL, find_id_problem

MAX_BYTES = 200


def name_slides(own_names: Mapping[Path, str], folder: Path, taken: Collection[str] = ()) -> dict[Path, str]:
    """Give each file its own id: its name without suffix, with folders put before it where names repeat.

    Args:
        own_names: the files below `folder`, each with a name to use instead of the file's, or an empty text.
        folder: where the search began; its own name never becomes a part of an id.
        taken: ids that others have already.

    Returns:
        The ids, each of which `find_id_problem` accepts.
    """
    names = {path: mend_id(own or strip_suffix(path.name)) for path, own in own_names.items()}
    counts = Counter(names.values())
    ids = {path: name for path, name in names.items() if counts[name] == 1 and name not in taken}
    used = set(ids.values()) | set(taken)
    repeated: dict[str, list[Path]] = defaultdict(list)
    for path, name in names.items():
        if path not in ids:
            repeated[name].append(path)
    for alike in repeated.values():
        found = _tell_apart(alike, own_names, folder, used)
        ids |= found
        used |= set(found.values())
    return {path: ids[path] for path in names}


def mend_id(name: str) -> str:
    """`name` with what an id must not hold replaced or taken off; unchanged where nothing is wrong."""
    if not find_id_problem(name) and name:
        return name
    mended = CONTROL.sub("_", name).translate(str.maketrans("/\\{}", "__()")).strip().lstrip("-. ")
    if len(mended.encode()) > MAX_BYTES:
        # The head alone could repeat.
        mark = hashlib.sha256(name.encode()).hexdigest()[:8]
        mended = mended.encode()[: MAX_BYTES - 9].decode(errors="ignore").rstrip() + "_" + mark
    return mended or "slide"


def find_path_problem(path: str) -> str:
    """Why a path cannot stand in the sheet; empty where it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if CONTROL.search(path):
        return "its path holds a control character"
    if BRACES & set(path):
        return "its path holds a brace, which Snakemake takes for a wildcard"
    if path != path.strip():
        return "its path ends with a space"
    return ""


def _tell_apart(paths: list[Path], own_names: Mapping[Path, str], folder: Path, used: set[str]) -> dict[Path, str]:
    depth = max(len(path.relative_to(folder).parts) for path in paths)
    tails = {
        "without suffix": {path: own_names[path] or strip_suffix(path.name) for path in paths},
        "with": {path: path.name for path in paths},
    }
    for tail in tails.values():
        for parents in range(depth):
            ids = {path: mend_id("_".join([*_parents(path, folder, parents), tail[path]])) for path in paths}
            if len(set(ids.values())) == len(ids) and not used & set(ids.values()):
                return ids
    # `a/b_c.svs` beside `a_b/c.svs`: put together, even whole paths may repeat.
    numbered: dict[Path, str] = {}
    for path in paths:
        number = 2
        while (name := mend_id(f"{strip_suffix(path.name)}_{number}")) in used | set(numbered.values()):
            number += 1
        numbered[path] = name
    return numbered


def _parents(path: Path, folder: Path, count: int) -> tuple[str, ...]:
    folders = path.relative_to(folder).parent.parts
    return folders[max(0, len(folders) - count) :]
