import csv

import numpy as np
import pytest

import summarise_cohort
from histossl.slides.metadata import inspect_slide, write_metadata
from histossl.tiles.coords_file import Tiling, write_coords
from histossl.tiles.tissue_file import write_tissue


@pytest.fixture
def cohort(tmp_path, drawn_slide):
    """One slide with patches, one without, and one that could not be read."""
    files = {"good": drawn_slide.path, "bare": drawn_slide.path, "ü_x": tmp_path / "gone.svs"}
    lines = ["slide,patient,path", *(f"{slide},p{i},{path}" for i, (slide, path) in enumerate(files.items()))]
    (tmp_path / "slides.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for slide, path in files.items():
        metadata = inspect_slide(slide, path, None, None)
        write_metadata(tmp_path / "slides" / slide / "metadata.json", metadata)
        area = 1.25 if slide == "good" else 0.0
        reason = {"good": "", "bare": "no tissue found"}.get(slide, metadata.reason)
        write_tissue(tmp_path / "slides" / slide / "tissue.geojson", [], {"area_mm2": area, "reason": reason})
        coords = np.zeros((7 if slide == "good" else 0, 2))
        tiling = Tiling(32, 1.0, 0, 0.5)
        write_coords(tmp_path / f"tiles/p32/{slide}.h5", coords, np.ones(len(coords)), tiling, metadata, reason)
    return tmp_path


def test_every_slide_has_a_row_and_every_one_without_patches_a_reason(cohort, capsys):
    outputs = [f"--{kind}={cohort / 'tables' / f'cohort.{end}'}" for kind, end in OUTPUTS.items()]
    inputs = [f"--sheet={cohort / 'slides.csv'}", f"--slides={cohort / 'slides'}", f"--tiles={cohort / 'tiles'}"]
    summarise_cohort.main([*inputs, "--tilings", "p32", *outputs])
    with (cohort / "tables/cohort.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["slide"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["good", "bare", "ü_x"]
    assert [row["patches_p32"] for row in rows.values()] == ["7", "0", "0"]
    assert (rows["good"]["width_px"], rows["good"]["spacing_source"], rows["good"]["reason"]) == ("640", "vendor", "")
    assert float(rows["good"]["tissue_mm2"]) == 1.25
    assert rows["bare"]["reason"] == "no tissue found"
    assert "gone.svs" in rows["ü_x"]["reason"]
    assert [row["status"] for row in rows.values()] == ["ok", "no tissue", "excluded"]
    assert "3 slides: 1 ok, 1 no tissue, 1 excluded." in capsys.readouterr().out
    for end in OUTPUTS.values():
        assert "good" in (cohort / f"tables/cohort.{end}").read_text(encoding="utf-8")


OUTPUTS = {"csv": "csv", "markdown": "md", "latex": "tex"}
