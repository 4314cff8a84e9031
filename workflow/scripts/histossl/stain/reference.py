"""The content of a reference picture, told without reading it as a picture."""

import hashlib
from functools import cache
from pathlib import Path


@cache
def fingerprint_reference(path: Path) -> str:
    """Fingerprint of a file's bytes.

    Raises:
        OSError: the file can't be read.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
