"""Generated documentation is what the generator writes today."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("script", "source", "page"),
    [
        ("write_configuration.py", "schemas/config.schema.yaml", "configuration.md"),
        ("write_encoders.py", "presets/encoders.yaml", "encoders.md"),
        ("write_patch_datasets.py", "presets/patch_datasets.yaml", "patch_datasets.md"),
    ],
)
def test_a_generated_page_is_up_to_date(tmp_path, script, source, page):
    for name in (f"docs/{script}", f"config/{source}"):
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((REPOSITORY / name).read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run([sys.executable, str(tmp_path / "docs" / script)], check=True)
    written = (tmp_path / "docs" / page).read_text(encoding="utf-8")
    assert written == (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
