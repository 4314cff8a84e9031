"""The page as static files."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from histossl.errors import UserError
from histossl.progress import Progress
from histossl.viewer.tiles import SlideTiles


def export_page(folder: Path, files: Mapping[str, bytes], tiles: SlideTiles) -> None:
    """Write the page and all tiles to a new folder, whole or not at all.

    Raises:
        UserError: the folder exists already, or a tile cannot be decoded.
    """
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"{folder}: exists already; name a new folder or move it away")
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        for name, content in files.items():
            (unfinished / name).write_bytes(content)
        addresses = list(tiles.addresses())
        progress = Progress("view_slide", len(addresses), "tiles")
        for level, column, row in addresses:
            path = unfinished / f"tiles/{level}/{column}_{row}.jpeg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tiles.read(level, column, row))
            progress.advance(1)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
