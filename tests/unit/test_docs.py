"""Generated documentation is what the generator writes today."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_configuration_reference_is_up_to_date(tmp_path):
    for name in ("docs/write_configuration.py", "config/schemas/config.schema.yaml"):
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((REPOSITORY / name).read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run([sys.executable, str(tmp_path / "docs/write_configuration.py")], check=True)
    written = (tmp_path / "docs/configuration.md").read_text(encoding="utf-8")
    assert written == (REPOSITORY / "docs/configuration.md").read_text(encoding="utf-8")
