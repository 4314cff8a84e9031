"""One table of what each stage cost: jobs, hours, processor and GPU hours, memory."""

import argparse
from pathlib import Path

from histossl.cli import run
from histossl.report.costs import CAPTION, summarise_costs
from histossl.tables.render import write_table


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and the benchmarks, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder of Snakemake's benchmark files")
    parser.add_argument("--logs", type=Path, required=True, help="folder of the logs, named like these")
    parser.add_argument("--stages", nargs="*", default=[], help="rules in the order of the rows")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--latex", type=Path, required=True)
    arguments = parser.parse_args(argv)
    rows = summarise_costs(arguments.benchmarks, arguments.logs, arguments.stages)
    write_table(rows, CAPTION, arguments.csv, arguments.markdown, arguments.latex)


if __name__ == "__main__":
    run(main)
