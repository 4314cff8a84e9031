"""Checkpoints of a run: written whole, verified when read."""

import hashlib
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any, BinaryIO

import torch

from histossl.errors import UserError
from histossl.files import whole_file

KEPT = 2
DIGEST_BYTES = 32


class DigestingFile:
    """Passes on what is written and sums it up on the way: no second copy of the state in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write `data`."""
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        """As of a file."""
        self.file.flush()


class Checkpoints:
    """The checkpoints of one run, in a folder of their own.

    The folder's name is a fingerprint of settings and patches: a run with other settings never meets them. A file is
    what torch.save writes, then its SHA-256.
    """

    def __init__(self, parent: Path, settings: dict[str, Any], data_hash: str) -> None:
        """`settings` and `data_hash` are all that determines the result."""
        identity = json.dumps([settings, data_hash], sort_keys=True)
        self.parent = Path(parent)
        self.folder = self.parent / hashlib.sha256(identity.encode()).hexdigest()[:16]

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write `state` after `step` steps; all but it and the one before are deleted.

        Raises:
            UserError: it can't be written; earlier checkpoints stay.
        """
        path = self.folder / f"step-{step:09d}.pt"
        try:
            with whole_file(path) as temporary, temporary.open("wb") as file:
                digesting = DigestingFile(file)
                torch.save(state, digesting)
                file.write(digesting.digest.digest())
        except (OSError, RuntimeError) as error:  # torch wraps an error of the file in one of its own
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            raise UserError(
                f"{path}: the checkpoint can't be written ({cause.strerror}); free space or rights there and rerun, "
                "the run goes on from the checkpoint before"
            ) from error
        # Damaged ones of later steps go too: were they counted, this one would be deleted.
        kept = [other for other in self.paths() if other <= path][-KEPT:]
        for other in set(self.paths()) - set(kept):
            other.unlink()

    def load_newest(self) -> dict[str, Any] | None:
        """The newest state that is whole; None where there is none."""
        for path in reversed(self.paths()):
            content = path.read_bytes()
            stored = memoryview(content)[:-DIGEST_BYTES]
            if hashlib.sha256(stored).digest() == content[-DIGEST_BYTES:]:
                return torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
            print(f"warning: {path} is damaged; trying the checkpoint before it", file=sys.stderr)
        return None

    def paths(self) -> list[Path]:
        """The checkpoint files, oldest first."""
        return sorted(self.folder.glob("step-*.pt"))

    def remove(self) -> None:
        """Delete them all; for a run that has ended well."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.parent.is_dir() and not any(self.parent.iterdir()):
            self.parent.rmdir()
