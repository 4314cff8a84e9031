import pytest

from histossl.errors import UserError
from histossl.splits.labels import LabelledSlide, check_labels, mixed_patients, patient_labels, patient_sites


def test_a_patient_is_stratified_by_the_majority_of_the_labels_and_ties_go_by_name():
    rows = [("p", "b"), ("p", "b"), ("p", "a"), ("q", "b"), ("q", "a")]
    slides = [LabelledSlide(str(index), *row) for index, row in enumerate(rows)]
    assert patient_labels(slides) == {"p": "b", "q": "a"}


def rows(*labels: str, column: str = "subtype") -> list[dict[str, str]]:
    return [{"slide": f"s{i}", "patient": f"p{i}", column: label} for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("sheet", "classes", "message"),
    [
        (rows("a", "b", column="grade"), None, r"no column 'subtype' \(columns: slide, patient, grade\)"),
        (rows("a", "a", ""), None, "holds only the class 'a'"),
        (rows("", ""), None, "holds no label"),
        (rows("a", "a", "a", "b", "b"), None, "class 'b' .* has 2 patients, fewer than the 3 folds; set `folds` to 2"),
        (rows("a", "a", "a", "b"), None, "class 'b' .* has 1 patient, .*label more patients"),
        (rows("a", "b"), ["a", "z"], "no slide has the label 'z'"),
        ([{**rows("a")[0], "patient": " "}, *rows("b", "b")], None, "slide 's0' has no patient"),
    ],
)
def test_bad_labels_get_one_sentence_that_names_them(sheet, classes, message):
    with pytest.raises(UserError, match=message) as caught:
        check_labels(sheet, "subtype", 3, "slides.csv", classes)
    assert str(caught.value).startswith("slides.csv: ")


def test_slides_without_a_wanted_label_are_left_out():
    slides = check_labels(rows("a", "b", "", "c", " a ", "b"), "subtype", 2, "slides.csv", ["a", "b"])
    assert [slide.label for slide in slides] == ["a", "b", "a", "b"]


def test_where_folds_are_not_dealt_by_class_a_class_needs_a_patient_alone():
    sheet = rows("a", "a", "a", "b")
    assert len(check_labels(sheet, "subtype", None, "slides.csv")) == 4
    sheet = [{**row, "patient": patient} for row, patient in zip(rows("a", "b", "b"), "pqp", strict=True)]
    sheet.append({"slide": "s3", "patient": "q", "subtype": "c"})
    with pytest.raises(
        UserError, match=r"class 'c' .* has 0 patients, for each one with such slides counts under anoth"
    ):
        check_labels(sheet, "subtype", None, "slides.csv")


ODD = ["it's", 'the "odd" one', "a, b", "<b>&amp;</b>", "$x_1$ %", "|", "p=é\n2"]


def test_labels_of_any_letters_take_part_and_are_named_in_one_line():
    assert [slide.label for slide in check_labels(rows(*ODD * 3), "subtype", 3, "slides.csv")] == ODD * 3
    for name in ODD:
        others = [other for other in ODD if other != name]
        with pytest.raises(UserError) as caught:
            check_labels(rows(*ODD * 2, *others), "subtype", 3, "slides.csv")
        assert repr(name) in str(caught.value) and "\n" not in str(caught.value)


def test_patients_with_slides_of_different_labels_are_found():
    slides = [LabelledSlide(f"s{i}", patient, label) for i, (patient, label) in enumerate(["pa", "qa", "qb", "rb"])]
    assert mixed_patients(slides) == ["q"]


def at_sites(*sites: str | None) -> list[dict[str, str | None]]:
    return [{**row, "site": site} for row, site in zip(rows(*"ab" * len(sites)), sites, strict=False)]


def test_the_site_of_a_patient_is_that_of_the_slides_that_take_part():
    sheet = at_sites("x", " y ", "")
    slides = [LabelledSlide("s0", "p0", "a"), LabelledSlide("s1", "p1", "b")]
    assert patient_sites(slides, sheet, "site", "slides.csv") == {"p0": "x", "p1": "y"}


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        (rows("a", "b"), r"no column 'site' \(columns: slide, patient, subtype\); add it or name another site column"),
        (at_sites("x", " "), "slide 's1' has no site; fill the column 'site'"),
        (at_sites("x", None), "slide 's1' has no site"),
        (
            [{**row, "patient": "p"} for row in at_sites("x", "y")],
            "patient 'p' is of the sites 'x' and 'y' .*; give all slides of a patient one site",
        ),
    ],
)
def test_bad_sites_get_one_sentence_that_names_them(sheet, message):
    slides = [LabelledSlide(row["slide"], row["patient"], row["subtype"]) for row in sheet]
    with pytest.raises(UserError, match=message) as caught:
        patient_sites(slides, sheet, "site", "slides.csv")
    assert str(caught.value).startswith("slides.csv: ")
