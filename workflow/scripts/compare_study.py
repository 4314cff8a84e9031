"""Put our figures beside those that a study published, or a study's own results of folds beside its table."""

import argparse
import json
from pathlib import Path

from histossl.cli import run
from histossl.files import write_text_whole
from histossl.tables.published import Published, read_published
from histossl.tables.render import Section, csv_table, latex, markdown, markdown_text
from histossl.tables.study import compute_results, read_folds, study_notes, study_records, study_sections


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, compute our figures, write the tables three times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, required=True, help="a file of config/published")
    parser.add_argument("--folds", type=Path, help="CSV encoder,train_fraction,fold,test_auc: print its table, no more")
    parser.add_argument("--study", type=json.loads, help="JSON: the config's `study`")
    parser.add_argument("--slide", type=Path, nargs="*", default=[], help="prediction files of slides")
    parser.add_argument("--classification", type=Path, nargs="*", default=[], help="of patches")
    parser.add_argument("--regression", type=Path, nargs="*", default=[], help="of patches")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--latex", type=Path)
    arguments = parser.parse_args(argv)

    published = read_published(arguments.published)
    if arguments.folds is not None:
        print_folds(published, arguments.folds)
        return
    if None in (arguments.study, arguments.csv, arguments.markdown, arguments.latex):
        parser.error("give --folds, or --study with --csv, --markdown and --latex")
    predictions = {kind: vars(arguments)[kind] for kind in ("slide", "classification", "regression")}
    results = compute_results(published, arguments.study, predictions)
    tables, notes = study_sections(published, results), study_notes(published, arguments.study, results)
    write_text_whole(arguments.csv, csv_table(study_records(published, results)))
    write_text_whole(arguments.markdown, markdown("Beside the published study", tables, [*map(markdown_text, notes)]))
    write_text_whole(arguments.latex, latex(tables, notes))


def print_folds(published: Published, folds: Path) -> None:
    """Print the tables that a study's results of folds give beside the published ones."""
    results = read_folds(folds, published)
    titles = {published.tables[name].title for name, _ in results}
    tables: list[Section] = [table for table in study_sections(published, results) if table.title in titles]
    print(markdown("Published folds", tables, [f"Published: {published.citation}."]), end="")


if __name__ == "__main__":
    run(main)
