"""Print tables and where they are: the last lines of a run."""

import argparse
from pathlib import Path

from histossl.cli import run


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments and print each file, then the paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="+", help="Markdown tables")
    tables = parser.parse_args(argv).tables
    for table in tables:
        print(table.read_text(encoding="utf-8"))
    print("Tables (as .md, .csv and .tex):", *(f"  {table}" for table in tables), sep="\n")


if __name__ == "__main__":
    run(main)
