import numpy as np
import pytest

import write_sheet
from histossl.config.sheets import read_slide_sheet
from histossl.errors import UserError

PICTURE = np.full((96, 128, 3), 200, np.uint8)


@pytest.fixture
def cohort(tmp_path, make_slide):
    """Two sound slides, one of which states no µm/px, and one that is no slide."""
    for name, spacing_um in (("Ulm/P1 ü.svs", 0.25), ("Bonn/P2.tif", None)):
        (tmp_path / "slides" / name).parent.mkdir(parents=True)
        make_slide(tmp_path / "slides" / name, PICTURE, spacing_um=spacing_um)
    (tmp_path / "slides/Bonn/bad.svs").write_text("no slide")
    return tmp_path


def call(folder, *more):
    write_sheet.main([f"--slides={folder / 'slides'}", f"--output={folder / 'slides.csv'}", "--processes=2", *more])
    return read_slide_sheet(folder / "slides.csv")


def test_a_folder_and_a_table_become_a_sheet(cohort, capsys):
    (cohort / "labels.tsv").write_text("slide_id\tgrade\tstage\nP1 ü\tlow\tI\nP2.tif\thigh\tII\n", encoding="utf-8")
    rows = call(
        cohort,
        f"--labels={cohort / 'labels.tsv'}",
        "--columns=grade",
        r"--pattern=(?P<site>[^/]+)/(?P<patient>P\d)",
        f"--relative-to={cohort}",
    )
    assert list(rows) == ["P1 ü", "P2", "bad"]
    good, silent, bad = rows.values()
    assert (good.patient, good.path, good.spacing_um) == ("P1", "slides/Ulm/P1 ü.svs", None)
    heads = "slide,patient,path,site,spacing_um,width_px,height_px,found_spacing_um,found_spacing_source,problem,grade"
    assert ",".join(good.columns) == heads
    assert (good.columns["site"], good.columns["width_px"], good.columns["height_px"]) == ("Ulm", "128", "96")
    assert (good.columns["found_spacing_um"], good.columns["found_spacing_source"]) == ("0.25", "vendor")
    assert (good.columns["grade"], good.columns["problem"]) == ("low", "")
    assert (silent.columns["grade"], silent.columns["width_px"], silent.columns["found_spacing_um"]) == (
        "high",
        "128",
        "",
    )
    assert "states no usable µm/px" in silent.columns["problem"]
    assert "bad.svs" in bad.columns["problem"]
    said = capsys.readouterr()
    assert "3/3 files" in said.err
    for text in ("3 slides of 3 patients", "2 slides matched", "cannot be opened: 1", "state no µm/px: 1"):
        assert text in said.out


def test_a_sheet_is_not_lost(cohort, capsys):
    call(cohort)
    text = (cohort / "slides.csv").read_text(encoding="utf-8").replace("P2,P2,", "P2,Ms X,")
    (cohort / "slides.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"slides\.csv: is there already; give --update"):
        call(cohort)
    assert (cohort / "slides.csv").read_text(encoding="utf-8") == text
    assert call(cohort, "--update")["P2"].patient == "Ms X"
    rows = call(cohort, "--force")
    assert rows["P2"].patient == "P2"
    assert "Ms X" in (cohort / "slides.csv.bak").read_text(encoding="utf-8")
    assert "slides.csv.bak" in capsys.readouterr().out


def test_a_folder_without_slides_is_named(tmp_path):
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides/notes.txt").write_text("none")
    with pytest.raises(UserError, match="holds no slide"):
        call(tmp_path)
    assert not (tmp_path / "slides.csv").exists()
