"""Finding the files of a published data set below the folder that the user names."""

from collections.abc import Sequence
from pathlib import Path

from histossl.errors import UserError

ARCHIVES = (".zip", ".gz", ".tar", ".tgz", ".7z", ".rar")


def find_parts(source: Path, parts: Sequence[str], title: str) -> list[Path]:
    """The files and folders `parts` below `source`.

    Raises:
        UserError: `source` is no folder or lacks one of them; says where it lies instead, or what is to be unpacked.
    """
    found = [source / part for part in parts]
    missing = next((path for path in found if not path.exists()), None)
    if missing is None:
        return found
    expected = f"{source}: {title} is expected here with {', '.join(parts)}"
    if not source.is_dir():
        raise UserError(f"{expected}, but this is no folder; unpack it and name the folder")
    name = missing.relative_to(source)
    nested = next(iter(sorted(source.glob(f"*/{name}"))), None)
    if nested is not None:
        where = nested.parents[len(name.parts) - 1]
        raise UserError(f"{expected}, but {name} lies in {where}; name that folder")
    archives = sorted(path.name for path in source.iterdir() if is_archive(path))
    packed = [archive for archive in archives if archive.startswith(name.parts[0])] or archives
    remedy = f"unpack {packed[0]} there" if packed else "name the folder that holds it, or download it"
    raise UserError(f"{expected}, but lacks {name}; {remedy} (see docs/patch_datasets.md)")


def is_archive(path: Path) -> bool:
    """Whether a file is packed, by its name."""
    return path.suffix.lower() in ARCHIVES
