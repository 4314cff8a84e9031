from pathlib import Path

import pytest

from histossl.cohort.barcodes import compile_pattern
from histossl.cohort.examine import Examined
from histossl.cohort.find_slides import Search
from histossl.cohort.labels import read_labels
from histossl.cohort.report import summarise
from histossl.cohort.sheet import build_sheet, read_old_sheet, write_sheet
from histossl.config.sheets import read_slide_sheet
from histossl.errors import UserError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "slides").mkdir()
    return tmp_path / "slides"


@pytest.fixture
def found(folder):
    def make(name, **values):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        stated = {"width_px": 100, "height_px": 80, "spacing_um": 0.2525, "spacing_source": "vendor"}
        return Examined(path, **{"opened": True, **stated, **values})

    return make


@pytest.fixture
def labels(tmp_path):
    def write(text):
        (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
        return read_labels(tmp_path / "labels.csv", None)

    return write


SILENT = {"spacing_um": None, "spacing_source": "", "problem": "states no usable µm/px; fill in spacing_um"}
BROKEN = {**SILENT, "opened": False, "width_px": 0, "height_px": 0, "problem": "bad.svs: cannot be opened"}


def test_the_workflow_accepts_the_sheet_and_finds_all_in_it(tmp_path, folder, found):
    names = ["TCGA-BH-A0B3-01Z-00-DX1.ab.svs", "ü 'x' \"y\" $(z), a.b.svs", "bad.svs"]
    slides = [found(names[0]), found(names[1], **SILENT), found(names[2], **BROKEN)]
    write_sheet(tmp_path / "slides.csv", build_sheet(slides, folder, None, None, None))
    rows = read_slide_sheet(tmp_path / "slides.csv")
    assert set(rows) == {name.removesuffix(".svs") for name in names}
    tcga, odd, bad = (rows[name.removesuffix(".svs")] for name in names)
    assert (tcga.patient, tcga.columns["site"], tcga.spacing_um) == ("TCGA-BH-A0B3", "BH", None)
    assert (tcga.columns["width_px"], tcga.columns["found_spacing_um"], tcga.columns["found_spacing_source"]) == (
        "100",
        "0.2525",
        "vendor",
    )
    assert Path(odd.path) == folder / names[1]
    assert (odd.columns["width_px"], odd.columns["found_spacing_um"]) == ("100", "")
    assert (bad.columns["width_px"], bad.columns["problem"]) == ("", "bad.svs: cannot be opened")


def test_paths_are_written_relative_to_the_folder_that_the_workflow_runs_in(tmp_path, folder, found):
    (row,) = build_sheet([found("a.svs")], folder, tmp_path / "project", None, None).rows.values()
    assert row["path"] == "../slides/a.svs"
    (row,) = build_sheet([found("-a.svs")], folder, folder, None, None).rows.values()
    assert (row["path"], row["slide"]) == ("./-a.svs", "a")


def test_files_that_no_sheet_can_hold_are_named_and_left_out(folder, found):
    sheet = build_sheet([found("a{1}.svs"), found("b.svs")], folder, None, None, None)
    assert list(sheet.rows) == ["b"]
    assert "brace" in sheet.left_out[0]
    assert "rename the file" in sheet.left_out[0]


def test_labels_and_patients_of_a_table_are_filled_in(folder, found, labels):
    table = labels("case_id,slide_id,site,spacing_um,grade\nP1,a,Ulm,,1\nP1,b.svs,,0.3,2\nP9,zz,,,3\n")
    sheet = build_sheet([found("a.svs"), found("b.svs", **SILENT), found("c.svs")], folder, None, None, table)
    assert sheet.labels == ("grade",)
    assert [(row["patient"], row["site"], row["spacing_um"], row["grade"]) for row in sheet.rows.values()] == [
        ("P1", "Ulm", "", "1"),
        ("P1", "", "0.3", "2"),
        ("c", "", "", ""),
    ]
    assert sheet.rows["b"]["problem"] == ""  # the table states its µm/px
    assert (sheet.unlabelled, sheet.origins["a"], sheet.origins["c"]) == (["c"], "table", "name")
    assert sheet.matches.unused == ["line 4 (slide_id 'zz')"]


def test_a_pattern_goes_before_the_tables_patients_and_reaches_lines_on_patients(folder, found, labels):
    slides = [found("Ulm/P1-a.svs"), found("Ulm/P1-b.svs"), found("Bonn/P2-a.svs")]
    pattern = compile_pattern(r"(?P<site>[^/]+)/(?P<patient>P\d+)")
    sheet = build_sheet(slides, folder, None, pattern, labels("patient,grade\nP1,low\nP2,high\n"))
    assert {slide: (row["patient"], row["site"], row["grade"]) for slide, row in sheet.rows.items()} == {
        "P1-a": ("P1", "Ulm", "low"),
        "P1-b": ("P1", "Ulm", "low"),
        "P2-a": ("P2", "Bonn", "high"),
    }


def test_what_was_filled_in_by_hand_stays(tmp_path, folder, found, labels):
    output = tmp_path / "slides.csv"
    table = labels("slide,grade\na,1\nb,2\n")
    write_sheet(output, build_sheet([found("a.svs", **SILENT), found("b.svs")], folder, None, None, table))
    text = output.read_text()
    mended = text.replace("\na,a,", "\nMy slide,P1,").splitlines()
    columns = mended[0].split(",")
    line = mended[1 if mended[1].startswith("My") else 2].split(",")
    line[columns.index("spacing_um")], line[columns.index("grade")] = "0.31", "7"
    other = [",".join(["gone", "P8", str(tmp_path / "gone.svs")]), ",".join(["kept", "P9", str(output)])]
    lines = [mended[0] + ",note", ",".join(line) + ",mine", *other]
    output.write_text("\n".join(lines) + "\n")

    again = [found("a.svs", **SILENT), found("b.svs"), found("deep/b.svs")]
    sheet = build_sheet(again, folder, None, None, table, read_old_sheet(output, None))
    write_sheet(output, sheet)
    rows = read_slide_sheet(output)
    assert list(rows) == ["My slide", "b", "deep_b", "kept"]
    mine = rows["My slide"]
    assert (mine.patient, mine.spacing_um, mine.columns["grade"], mine.columns["note"]) == ("P1", 0.31, "7", "mine")
    assert mine.columns["problem"] == ""
    assert rows["kept"].patient == "P9"
    assert sheet.gone == ["gone"]
    # The table's slide a is still known by its path.
    assert sheet.kept == ["grade of 'My slide' stays '7', not '1'"]


def test_values_that_differ_from_the_old_sheet_are_named(tmp_path, folder, found, labels):
    output = tmp_path / "slides.csv"
    write_sheet(output, build_sheet([found("a.svs")], folder, None, None, labels("slide,grade\na,1\n")))
    old = read_old_sheet(output, None)
    sheet = build_sheet([found("a.svs")], folder, None, None, labels("slide,grade\na,2\n"), old)
    assert sheet.rows["a"]["grade"] == "1"
    assert sheet.kept == ["grade of 'a' stays '1', not '2'"]


def test_a_sheet_that_the_workflow_would_refuse_is_not_written(tmp_path, folder, found):
    sheet = build_sheet([found("a.svs")], folder, None, None, None)
    sheet.rows["a"]["spacing_um"] = "1000"
    with pytest.raises(UserError) as raised:
        write_sheet(tmp_path / "slides.csv", sheet)
    assert str(raised.value).startswith(f"{tmp_path / 'slides.csv'}: line 2")
    assert [path.name for path in tmp_path.iterdir()] == ["slides"]


def test_the_summary_names_all_that_could_not_be_matched(tmp_path, folder, found, labels):
    slides = [found("Ulm/TCGA-BH-A0B3.svs"), found("s.svs", **SILENT), found("bad.svs", **BROKEN), found("{x}.svs")]
    slides += [found(f"more{i:02}.svs") for i in range(25)]
    table = labels("slide,grade\nTCGA-BH-A0B3,low\ns,high\ns,low\nnobody,low\n")
    search = Search(pictures=[tmp_path / "thumb.png"], unfinished=[tmp_path / "x.svs.part"])
    text = "\n".join(summarise(build_sheet(slides, folder, None, None, table), search, table))
    for said in (
        "28 slides of 28 patients",
        "patient from TCGA barcodes: 1 slide\n",
        "patient unknown, so that each slide counts as a patient of its own: 27 slides",
        "give --pattern",
        "µm/px from vendor: 26 slides",
        "2 slides matched by column 'slide'",
        "grade: low 1, blank 27",
        "1 picture beside slides",
        "x.svs.part",
        "brace",
        "slides without a line of labels: 26",
        "  and 6 more",
        "line 5 (slide 'nobody')",
        "grade of 's' is 'high' on line 3, 'low' on line 4: left blank",
        "s: states no usable µm/px",
        "cannot be opened: 1\n  bad.svs: cannot be opened",
    ):
        assert said in text, said


def test_a_patient_at_several_sites_is_pointed_out(folder, found):
    pattern = compile_pattern(r"(?P<site>[^/]+)/(?P<patient>\d+)")
    sheet = build_sheet([found("Ulm/1a.svs"), found("Bonn/1b.svs")], folder, None, pattern, None)
    assert "  1 (Bonn, Ulm)" in summarise(sheet, Search(), None)


def test_a_disk_that_is_not_mounted_does_not_empty_the_sheet(tmp_path, folder, found):
    write_sheet(tmp_path / "s.csv", build_sheet([found("a.svs"), found("b.svs")], folder, None, None, None))
    old = read_old_sheet(tmp_path / "s.csv", None)
    for name in ("a.svs", "b.svs"):
        (folder / name).unlink()
    with pytest.raises(UserError, match="2 of the sheet's 2 files are gone, 'a' first; is their disk mounted"):
        build_sheet([found("c.svs")], folder, None, None, None, old)
