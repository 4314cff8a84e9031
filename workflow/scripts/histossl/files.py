"""Files are written whole or not at all."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from histossl.errors import UserError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an exception.

    A reader sees the complete file or none. The temporary file keeps the suffix, because writers choose their format
    by it, starts with a dot, and is removed when the block fails.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
        UserError: there is a folder in the file's place.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: a folder is where a file has to be written; move it away and rerun")
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same name each time, so that the next attempt takes the place of one that was killed.
    temporary = path.with_name(f".{path.stem[:60]}.{zlib.crc32(path.name.encode()):08x}.part{path.suffix}")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # the caller knows the file by its own name alone
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text_whole(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
