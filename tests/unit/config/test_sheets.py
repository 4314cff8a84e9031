import csv

import pytest

from histossl.config.sheets import SlideRow, find_id_problem, read_slide_sheet
from histossl.errors import UserError


@pytest.fixture
def sheet(tmp_path):
    def write(content):
        path = tmp_path / "slides.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_a_sheet_is_read_in_its_order(sheet):
    rows = read_slide_sheet(
        sheet("slide,patient,path,site,spacing_um,label\nb,p1,/x/b.svs,Basel,0.25,tumour\na,p2,a.svs,,,\n")
    )
    assert list(rows) == ["b", "a"]
    columns = {
        "slide": "b",
        "patient": "p1",
        "path": "/x/b.svs",
        "site": "Basel",
        "spacing_um": "0.25",
        "label": "tumour",
    }
    assert rows["b"] == SlideRow("b", "p1", "/x/b.svs", 0.25, "", columns)
    assert rows["a"].spacing_um is None


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_mark_and_line_ends_do_not_matter(sheet, start, end):
    rows = read_slide_sheet(sheet(start + end.join(["slide,patient,path", "a,p,x", ""]).encode()))
    assert rows["a"].columns == {"slide": "a", "patient": "p", "path": "x"}


@pytest.mark.parametrize(
    "slide",
    ["Müller 3", "it's", 'say "hi"', "$(touch pwned)", "`x`", "a;b&c|d", "日本", "a,b", "é" * 100, "a.b", "%20", "*"],
)
def test_odd_names_are_taken_as_they_are(tmp_path, slide):
    path = tmp_path / "slides.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["slide", "patient", "path"], [slide, "p", "x"]])
    assert list(read_slide_sheet(path)) == [slide]
    assert find_id_problem(slide) == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the column 'slide' is missing (it has nothing)"),
        ("slide,path\na,x\n", "the column 'patient' is missing (it has slide, path)"),
        ("slide;patient;path\na;p;x\n", "the column 'slide' is missing (it has slide;patient;path)"),
        ("slide,patient,path\n", "lists no slide"),
        ("slide,patient,path\na,p,x\na,q,y\n", "line 3 repeats the slide id 'a'"),
        ("slide,patient,path\na/b,p,x\n", "line 2 has the slide id 'a/b', which holds a slash"),
        ("slide,patient,path\na\\b,p,x\n", "holds a slash"),
        ('slide,patient,path\n"a\nb",p,x\n', "holds a control character"),
        ('slide,patient,path\n"a\n",p,x\n', "holds a control character"),
        ("slide,patient,path\na\0,p,x\n", "holds a control character"),
        ("slide,patient,path\na\tb,p,x\n", "holds a control character"),
        ("slide,patient,path\n-a,p,x\n", "starts with a dash"),
        ("slide,patient,path\n.a,p,x\n", "starts with a dot"),
        ("slide,patient,path\n a,p,x\n", "starts or ends with a space"),
        (f"slide,patient,path\n{'é' * 101},p,x\n", "is longer than 200 bytes"),
        ("slide,patient,path\na, ,x\n", "line 2 has no patient"),
        ("slide,patient,path\n,p,x\n", "line 2 has no slide"),
        ("slide,patient,path\na,p,\n", "line 2 has no path"),
        ("slide,patient,path\na,p\n", "line 2 has no path"),
        ("slide,patient,path\na,p,x\n\n\nb,,x\n", "line 5 has no patient"),
        ("slide,patient,path\na,p,x.svs,y.svs\n", "line 2 has more fields than the header"),
        ("slide,patient,path\na,M\xfcller,x\n".encode("latin-1"), "not a UTF-8 text file"),
        ("slide,patient,path\na,p,x\n".encode("utf-16"), "not a UTF-8 text file"),
        ('slide,patient,path\n"a,p,x\n' + "b,p,x\n" * 30_000, "not a CSV file"),
    ],
)
def test_a_sheet_that_cannot_be_used_is_named_with_its_fault(sheet, content, said):
    path = sheet(content)
    with pytest.raises(UserError) as raised:
        read_slide_sheet(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["0", "-0.5", "1000", "nan", "inf", '"0,5"', "half", "0.5 um"])
def test_a_spacing_that_is_no_plausible_number_is_refused(sheet, text):
    with pytest.raises(UserError, match="line 2 has spacing_um"):
        read_slide_sheet(sheet(f"slide,patient,path,spacing_um\na,p,x,{text}\n"))


def test_fields_left_off_at_the_end_and_commas_too_many_are_blank(sheet):
    rows = read_slide_sheet(sheet("slide,patient,path,label\na,p,x\nb,p,x,tumour,,\n"))
    assert (rows["a"].columns["label"], rows["b"].columns["label"]) == ("", "tumour")


def test_a_missing_sheet_is_named(tmp_path):
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(UserError, match="no such slide sheet"):
            read_slide_sheet(path)
