"""Who a slide is of and where it was made, read from its name."""

import re
from dataclasses import dataclass

from histossl.errors import UserError

TCGA = re.compile(r"(?i)(?<![a-z0-9])(TCGA-([A-Z0-9]{2})-[A-Z0-9]{4})(?![A-Z0-9])")
"""Project, tissue source site, participant: the first three parts of every barcode of The Cancer Genome Atlas, see
"TCGA Barcode" in the encyclopedia of the Genomic Data Commons."""


@dataclass(frozen=True)
class Origin:
    """Patient and site of a slide, and what told them: `pattern`, `barcode`, `table` or `name`."""

    patient: str
    site: str
    source: str


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile a user's regular expression with a named group `patient`, and `site` if wanted.

    Raises:
        UserError: it is not a regular expression, or lacks the group `patient`.
    """
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UserError(f"--pattern {text!r}: not a regular expression ({error}); correct it") from error
    if "patient" not in pattern.groupindex:
        raise UserError(
            f"--pattern {text!r}: has no group named patient; mark it as in '(?P<site>[^/]+)/(?P<patient>P[0-9]+)'"
        )
    return pattern


def find_origin(relative_path: str, slide: str, pattern: re.Pattern[str] | None) -> Origin:
    """Patient and site from the user's pattern, else from a TCGA barcode, else the slide is a patient of its own.

    Args:
        relative_path: of the file, from the folder that was searched, with slashes; the pattern is looked for in it.
        slide: id of the slide.
        pattern: as `compile_pattern` gives it.
    """
    match = pattern.search(relative_path) if pattern else None
    if match:
        groups = {name: (value or "").strip() for name, value in match.groupdict().items()}
        if groups["patient"]:
            return Origin(groups["patient"], groups.get("site", ""), "pattern")
    # The last one: folders come first, and may be named after a whole project.
    barcodes = TCGA.findall(relative_path)
    if barcodes:
        patient, site = barcodes[-1]
        return Origin(patient.upper(), site.upper(), "barcode")
    return Origin(slide, "", "name")


def shorten_to_patient(text: str) -> str:
    """The patient's part of a text that starts with a TCGA barcode (a sample's, say); any other text as it is."""
    match = TCGA.match(text)
    return match.group(1).upper() if match else text
