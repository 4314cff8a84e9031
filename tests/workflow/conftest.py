import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Workplace:
    """A folder of its own in which the workflow runs, as a user's would."""

    folder: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # The scripts are started with the same Python as the tests.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        command += ["--directory", str(self.folder), "--configfile", str(self.folder / "config.yaml"), *arguments]
        return subprocess.run(
            command, env={**os.environ, "PATH": path}, cwd=self.folder, capture_output=True, text=True, check=False
        )

    def write_config(self, config: dict) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def read_config(self) -> dict:
        return yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))

    def write_sheet(self, name: str, rows: list[dict]) -> None:
        with (self.folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The tiny cohort, run from drawn slides to tables; what Snakemake said is in said.txt. Tests leave it as it is."""
    from tests.workflow import tiny  # which needs this module

    place = Workplace(tmp_path_factory.mktemp("chain"))
    place.write_config(tiny.CONFIG)
    place.write_sheet("slides.csv", tiny.slide_rows())
    place.write_sheet("phantom.csv", tiny.phantom_rows())
    run = place.snakemake("--cores", "2")
    assert run.returncode == 0, (run.stdout + run.stderr)[-8000:]
    (place.folder / "said.txt").write_text(run.stdout + run.stderr, encoding="utf-8")
    return place
