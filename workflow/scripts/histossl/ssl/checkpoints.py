"""Checkpoints of a run: written whole, verified when read."""

import hashlib
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from histossl.errors import UserError
from histossl.files import whole_file

KEPT = 2
DIGEST_BYTES = 32


class Checkpoints:
    """The checkpoints of one run, in a folder of their own.

    The folder's name is a fingerprint of settings and patches: a run with other settings never meets them. A file is
    the SHA-256 of what follows, then what torch.save writes.
    """

    def __init__(self, parent: Path, settings: dict[str, Any], data_hash: str) -> None:
        """`settings` and `data_hash` are all that determines the result."""
        identity = json.dumps([settings, data_hash], sort_keys=True)
        self.parent = Path(parent)
        self.folder = self.parent / hashlib.sha256(identity.encode()).hexdigest()[:16]

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write `state` after `step` steps; the older ones but one are deleted.

        Raises:
            UserError: it can't be written; earlier checkpoints stay.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getbuffer()
        path = self.folder / f"step-{step:09d}.pt"
        try:
            with whole_file(path) as temporary, temporary.open("wb") as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
        except OSError as error:
            raise UserError(
                f"{path}: the checkpoint can't be written ({error.strerror}); free space or rights there and rerun, "
                "the run goes on from the checkpoint before"
            ) from error
        for old in self.paths()[:-KEPT]:
            old.unlink()

    def load_newest(self) -> dict[str, Any] | None:
        """The newest state that is whole; None where there is none."""
        for path in reversed(self.paths()):
            content = path.read_bytes()
            if hashlib.sha256(content[DIGEST_BYTES:]).digest() == content[:DIGEST_BYTES]:
                return torch.load(io.BytesIO(content[DIGEST_BYTES:]), map_location="cpu", weights_only=True)
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
