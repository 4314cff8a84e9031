"""Compute a table from stored predictions, with intervals and tests of differences, as CSV, Markdown and LaTeX."""

import argparse
import json
from pathlib import Path

from histossl.cli import run
from histossl.config.sheets import read_slide_sheet
from histossl.files import write_text_whole
from histossl.tables.comparison import Resampling, judge
from histossl.tables.kinds import KINDS
from histossl.tables.notes import notes
from histossl.tables.pairs import compare_encoders
from histossl.tables.records import csv_text, pairs_csv_text
from histossl.tables.render import latex, markdown
from histossl.tables.sections import TITLES, sections
from histossl.tables.seen_patients import read_seen_patients


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, judge the predictions, write the table three times and the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="prediction files of this kind")
    parser.add_argument("--cards", type=Path, nargs="+", required=True, help="encoder.json of each encoder")
    parser.add_argument("--sheet", type=Path, required=True, help="slide sheet, for the patient of each slide")
    parser.add_argument("--controls", type=json.loads, default={}, help="JSON: control of each encoder that has one")
    parser.add_argument("--stains", type=json.loads, default={}, help="JSON: see histossl.config.stains.table_stains")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: resamples, seed, level")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True, help="all pairs of encoders (CSV)")
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--latex", type=Path, required=True)
    arguments = parser.parse_args(argv)

    resampling = Resampling(**arguments.settings)
    patients = {row.slide: row.patient for row in read_slide_sheet(arguments.sheet).values()}
    seen = read_seen_patients(arguments.cards, patients)
    rows, trained = arguments.stains.get("rows", {}), arguments.stains.get("trained", {})
    kind = arguments.kind
    judged = judge(arguments.predictions, kind, arguments.controls, resampling, seen, rows)
    pairs = compare_encoders(judged, kind, resampling)
    tables = sections(kind, judged, pairs, resampling.level)
    remarks = notes(kind, judged, pairs, resampling, trained)
    write_text_whole(arguments.csv, csv_text(kind, judged, pairs, resampling.level))
    write_text_whole(arguments.pairs, pairs_csv_text(pairs))
    write_text_whole(arguments.markdown, markdown(TITLES[kind], tables, remarks))
    write_text_whole(arguments.latex, latex(tables, remarks))


if __name__ == "__main__":
    run(main)
