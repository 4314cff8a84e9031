"""Gather what each encoder cost from stored files and logs: hours of pretraining, images/s, parameters."""

import argparse
import json
from pathlib import Path

from histossl.cli import run
from histossl.encoders.size import count_parameters
from histossl.figures.cost import Cost, embedding_rate, training_hours, write_costs

EMBEDDING = ("embed_slides", "embed_patches")


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, gather, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoders", required=True, type=json.loads, help="JSON: by name, its files encoder and curve")
    parser.add_argument("--logs", required=True, type=Path, help="folder with a folder of logs for each rule")
    parser.add_argument("--output", required=True, type=Path, help="CSV")
    arguments = parser.parse_args(argv)

    costs = []
    for name, files in arguments.encoders.items():
        hours, device = None, None
        if files["curve"]:
            hours, device = training_hours(Path(files["curve"]), arguments.logs / f"pretrain/{name}.log")
        logs = [log for rule in EMBEDDING for log in sorted((arguments.logs / rule / name).rglob("*.log"))]
        parameters = count_parameters(Path(files["encoder"])) if files["encoder"] else None
        costs.append(Cost(name, parameters, hours, device, embedding_rate(logs)))
    write_costs(arguments.output, costs)


if __name__ == "__main__":
    run(main)
