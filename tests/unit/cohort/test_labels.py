import pytest

from histossl.cohort.labels import Named, match_patients, match_slides, read_labels
from histossl.errors import UserError

UUID = "f68f5b49-30fa-4fb6-bec6-5da9f6809d02"
TCGA = "TCGA-BH-A0B3-01Z-00-DX1"


@pytest.fixture
def table(tmp_path):
    def write(text, columns=None, name="labels.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_labels(path, columns)

    return write


def slide(name, relative_path=None, patient="p"):
    return Named(name, relative_path or f"{name}.svs", patient)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_marks_and_index_columns_are_understood(table, separator):
    lines = ["\ufeff,Slide ID,sub type", "0,a,ductal", "", "1, b ,"]
    read = table("\r\n".join(lines).replace(",", separator))
    assert (read.slide_head, read.patient_head, read.columns) == ("Slide ID", "", ("sub type",))
    assert [(line.number, line.slide, line.values) for line in read.lines] == [
        (2, "a", {"sub type": "ductal"}),
        (4, "b", {}),
    ]


@pytest.mark.parametrize(
    ("heads", "slide_head", "patient_head"),
    [
        ("case_id,slide_id,label", "slide_id", "case_id"),  # CLAM
        ("case_id,case_submitter_id,stage", "", "case_submitter_id"),  # Genomic Data Commons
        ("cases.case_id,cases.submitter_id,stage", "", "cases.submitter_id"),
        ("Patient ID,Sample ID,stage", "", "Patient ID"),  # cBioPortal
        ("slide,patient,site", "slide", "patient"),
        ("File Name,x,y", "File Name", ""),
    ],
)
def test_columns_are_known_by_the_names_that_others_give_them(table, heads, slide_head, patient_head):
    read = table(heads + "\n1,2,3\n")
    assert (read.slide_head, read.patient_head) == (slide_head, patient_head)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no line of column names"),
        ("name,label\na,b\n", "has no column slide or patient"),
        ("slide,x,x\na,b,c\n", "two columns 'x'"),
        ("slide,x\na,b,c\n", "line 2 has more fields"),
        ("slide,x\na,M\xfc\n".encode("latin-1"), "not a UTF-8"),
        ("slide,spacing_um\na,1000\n", "line 2 has spacing_um '1000'"),
        ("slide,spacing_um\na,fine\n", "line 2 has spacing_um 'fine'"),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_its_fault(table, tmp_path, text, said):
    with pytest.raises(UserError) as raised:
        table(text)
    assert str(raised.value).startswith(f"{tmp_path / 'labels.csv'}: ")
    assert said in str(raised.value)


def test_a_missing_table_and_a_missing_column_are_named(table, tmp_path):
    with pytest.raises(UserError, match="no such table of labels"):
        read_labels(tmp_path / "none.csv", None)
    with pytest.raises(UserError, match="has no column 'stage'"):
        table("slide,grade\na,1\n", ["stage"])


def test_columns_can_be_chosen_and_the_sheets_own_are_not_overwritten(table):
    text = "slide,grade,stage,site,path,problem\na,1,2,Ulm,/x,none\n"
    assert table(text).columns == ("grade", "stage", "site")
    assert table(text, ["stage"]).columns == ("stage", "site")


@pytest.mark.parametrize(
    "name",
    [
        f"{TCGA}.{UUID}",
        f"{TCGA}.{UUID.upper()}.svs",
        f"{TCGA}.{UUID}.h5",  # the barcode in front is enough
        TCGA,
        TCGA.lower(),
        f"{TCGA}.svs",
        f"{TCGA}.00000000-0000-0000-0000-000000000000",
        f"/elsewhere/{TCGA}.{UUID}.svs",
    ],
)
def test_a_slide_is_found_by_any_form_of_its_name(table, name):
    slides = [slide(f"{TCGA}.{UUID}"), slide(TCGA.replace("DX1", "DX2") + ".X"), slide("other")]
    matches = match_slides(table(f"slide,label\n{name},yes\n"), slides)
    assert matches.values == {f"{TCGA}.{UUID}": {"label": "yes"}}
    assert matches.unused == []


def test_umlauts_match_however_they_are_composed(table):
    matches = match_slides(table("slide,label\nu\u0308 1,yes\n"), [slide("\u00fc 1")])
    assert matches.values == {"\u00fc 1": {"label": "yes"}}


def test_what_follows_a_dot_is_a_part_of_the_name(table):
    matches = match_slides(table("slide,label\nb.v2,yes\n"), [slide("b.v2"), slide("b.v3")])
    assert list(matches.values) == ["b.v2"]


def test_a_patients_barcode_names_no_slide(table):
    matches = match_slides(table("slide,label\nTCGA-BH-A0B3,yes\n"), [slide(f"{TCGA}.{UUID}")])
    assert (matches.values, matches.unused) == ({}, ["line 2 (slide 'TCGA-BH-A0B3')"])


def test_a_name_of_several_slides_is_not_guessed(table):
    slides = [slide("a_s", "a/s.svs"), slide("b_s", "b/s.svs")]
    matches = match_slides(table("slide,label\ns,yes\na/s.svs,no\nb_s,maybe\n"), slides)
    assert matches.values == {"a_s": {"label": "no"}, "b_s": {"label": "maybe"}}
    assert matches.unused == ["line 2 (slide 's') fits 2 slides (a_s, b_s); name them by these ids"]


def test_values_that_contradict_each_other_are_left_blank_and_named(table):
    matches = match_slides(table("slide,grade,stage\na,1,\na,2,x\na.svs,1,x\nb,,\n"), [slide("a"), slide("b")])
    assert matches.values == {"a": {"stage": "x"}, "b": {}}
    assert matches.conflicts == ["grade of 'a' is '1' on line 2, '2' on line 3: left blank"]


def test_patients_of_a_table_of_slides_are_given(table):
    matches = match_slides(table("case_id,slide_id,label\nP1,a,x\n"), [slide("a")])
    assert matches.values == {"a": {"label": "x", "patient": "P1"}}


def test_a_line_on_a_patient_goes_to_all_slides_of_that_patient(table):
    slides = [slide("a", patient="TCGA-BH-A0B3"), slide("b", patient="TCGA-BH-A0B3"), slide("c", patient="P2")]
    matches = match_patients(table("patient,label\ntcga-bh-a0b3-01A,x\np2,y\nP3,z\n"), slides)
    assert matches.values == {"a": {"label": "x"}, "b": {"label": "x"}, "c": {"label": "y"}}
    assert matches.unused == ["line 4 (patient 'P3')"]
