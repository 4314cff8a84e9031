"""How every script of `workflow/scripts` starts and ends."""

import errno
import gc
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from histossl.errors import JobError, UserError


def run(main: Callable[[], None], refused: int = 1) -> None:
    """Call a script's `main` and end the process.

    Exit code 0 on success, `refused` with one sentence on standard error for a `UserError` or `JobError`. Any other
    exception keeps its traceback, because it is a defect of ours and the traceback is what a bug report needs.
    Processes that torchrun started write either to the file that it names, for `histossl.devices.torchrun` to print
    it once.
    """
    # Lines must reach the terminal and the log while a long job is still working, also through a pipe; and a slide's
    # name must not end it where the locale lacks a letter.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    # What the imports made lives to the end: without looking at it each time, collecting garbage takes a tenth.
    gc.freeze()
    # As an exception, so that temporary files and child processes are cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        main()
    except (UserError, JobError) as error:
        report(f"error: {error}", expected=True)
        sys.exit(refused)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # who pressed Ctrl-C knows why it ends
    except Exception as error:
        if (full := find_full_disk(error)) is not None:
            where = f"{full.filename}: " if full.filename else ""
            report(f"error: {where}{full.strerror}; free space and rerun: what is finished stays", expected=True)
            sys.exit(1)
        report(traceback.format_exc(), expected=False)
        sys.exit(1)
    finally:
        gc.unfreeze()  # else triton names on standard error, below our sentence, all that it was not freed of


def find_full_disk(error: BaseException | None) -> OSError | None:
    """The error of a full disk or a used-up quota that `error` goes back to; libraries wrap it in their own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return error
        error = error.__cause__ or error.__context__
    return None


def report(message: str, expected: bool) -> None:
    """Say why the script ends; `expected` tells a sentence from a traceback."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file is None:
        print(message, file=sys.stderr)
    else:
        content = json.dumps({"message": message, "time": time.time(), "expected": expected})
        Path(file).write_text(content, encoding="utf-8")
