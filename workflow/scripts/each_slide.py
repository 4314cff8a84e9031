"""Run the script of one slide for each slide of a part of the cohort; what is still valid is kept."""

import argparse
import importlib.util
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from histossl.cli import find_full_disk, run
from histossl.cohort.made import describe_made, is_valid, write_made
from histossl.errors import JobError, UserError
from histossl.files import write_text_whole
from histossl.progress import Progress

SLIDE = "*"
"""Stands for the slide's id in the paths of files."""


def load_main(script: Path) -> Callable[[Sequence[str]], None]:
    """The `main` of a script that is no module of the library."""
    specification = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.main


def attempt(work: Callable[[Sequence[str]], None], slide: str, words: Sequence[str]) -> str:
    """Do the work for one slide; the sentence on why it failed, or none. It is printed too.

    Raises:
        JobError, OSError: it is not for the slide that it failed; the other slides would fail as well.
    """
    try:
        work(words)
    except UserError as error:
        said = str(error)
    except Exception as error:  # a defect of ours with one slide must not keep the others from being made
        if find_full_disk(error) or isinstance(error, JobError):
            raise
        said = f"slide {slide}: unexpected error ({type(error).__name__}: {error}); please report it"
        print(f"slide {slide}:\n{traceback.format_exc()}", file=sys.stderr)
    else:
        return ""
    print(f"error: {said}", file=sys.stderr)
    return said


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, do what is to be done for each slide, write the list of what has been made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--script", type=Path, required=True, help="that does the work for one slide")
    parser.add_argument("--code", required=True, help="its fingerprint; a change makes all anew")
    help_text = 'JSON: for each slide its own arguments, such as {"S1": {"file": "S1.svs"}}; null is not passed'
    parser.add_argument("--slides", type=json.loads, required=True, help=help_text)
    help_text = "JSON: arguments that are files made before, with * in their paths"
    parser.add_argument("--reads", type=json.loads, default={}, help=help_text)
    parser.add_argument("--writes", type=json.loads, required=True, help="JSON: the same of files that it makes")
    parser.add_argument("--settings", required=True, help="JSON for the script; a change makes all anew")
    parser.add_argument("--made", required=True, help="where it is kept what a slide's files were made from, with *")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON that says what there is")
    parser.add_argument("further", nargs="*", help="arguments of the script that change no result")
    arguments = parser.parse_args(argv)
    work, failed = load_main(arguments.script), {}
    lines, folder = [], arguments.manifest.parent.parent
    progress = Progress(arguments.script.stem, len(arguments.slides), "slides")
    for slide, own in arguments.slides.items():
        given = {key: value for key, value in own.items() if value is not None}
        reads, writes = (
            {key: path.replace(SLIDE, slide) for key, path in named.items()}
            for named in (arguments.reads, arguments.writes)
        )
        inputs = [path for path in map(Path, map(str, [*given.values(), *reads.values()])) if path.is_file()]
        outputs, record = [Path(path) for path in writes.values()], Path(arguments.made.replace(SLIDE, slide))
        made = describe_made(arguments.code, arguments.settings, given, inputs)
        if not is_valid(record, made, outputs):
            record.unlink(missing_ok=True)
            words = [f"--{key}={value}" for key, value in {**given, **reads, **writes}.items()]
            if said := attempt(work, slide, [*words, f"--settings={arguments.settings}", *arguments.further]):
                failed[slide] = said
            else:
                write_made(record, made)
        files = [str(path.relative_to(folder)) for path in outputs]
        lines.append({"slide": slide, "files": files, "record": str(record.relative_to(folder)), "made": made})
        progress.advance()
    if failed:
        # The others are finished and kept.
        more = f" ({len(failed) - 1} more: {', '.join(list(failed)[1:])})" if len(failed) > 1 else ""
        raise UserError(f"{next(iter(failed.values()))}{more}")
    write_text_whole(arguments.manifest, json.dumps(lines, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run(main)
