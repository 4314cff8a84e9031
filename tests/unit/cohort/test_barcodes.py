import csv

import pytest

from histossl.cohort.barcodes import Origin, compile_pattern, find_origin, shorten_to_patient
from histossl.errors import UserError
from tests.workflow.conftest import REPOSITORY

SPLITS = REPOSITORY.parent / "shared" / "data" / "tcga_brca"


@pytest.mark.parametrize(
    ("path", "patient", "site"),
    [
        ("TCGA-BH-A0B3-01Z-00-DX1.f68f5b49-30fa-4fb6-bec6-5da9f6809d02.svs", "TCGA-BH-A0B3", "BH"),
        ("0a1b/TCGA-3C-AALI-01Z-00-DX1.F6E9A5DF.svs", "TCGA-3C-AALI", "3C"),
        ("tcga-cr-7395.svs", "TCGA-CR-7395", "CR"),
        ("TCGA-BRCA/TCGA-A7-A6VV-01Z-00-DX1.svs", "TCGA-A7-A6VV", "A7"),
        ("TCGA-A7-A6VV/1.dcm", "TCGA-A7-A6VV", "A7"),
        ("HE_TCGA-A7-A6VV_scan.svs", "TCGA-A7-A6VV", "A7"),
    ],
)
def test_a_barcode_tells_patient_and_site(path, patient, site):
    assert find_origin(path, "id", None) == Origin(patient, site, "barcode")


@pytest.mark.parametrize("path", ["TCGA-BRCA-S1.svs", "TCGA-BH-A0B31.svs", "MYTCGA-BH-A0B3.svs", "S1.svs", "TCGA.svs"])
def test_what_only_looks_like_a_barcode_is_none(path):
    assert find_origin(path, "id", None) == Origin("id", "", "name")


def test_a_pattern_goes_first_and_sees_the_folders():
    pattern = compile_pattern(r"(?P<site>[^/]+)/(?P<patient>P\d+)")
    assert find_origin("Ulm/P12-3.svs", "P12-3", pattern) == Origin("P12", "Ulm", "pattern")
    assert find_origin("TCGA-BH-A0B3.svs", "id", pattern).source == "barcode"
    assert find_origin("x/y.svs", "y", pattern) == Origin("y", "", "name")
    without_site = compile_pattern(r"(?P<patient>P?)")
    assert find_origin("a.svs", "a", without_site) == Origin("a", "", "name")  # an empty match tells nothing


@pytest.mark.parametrize(("text", "said"), [("(", "not a regular expression"), (r"(\d+)", "no group named patient")])
def test_a_pattern_that_cannot_be_used_is_refused(text, said):
    with pytest.raises(UserError, match=said):
        compile_pattern(text)


def test_a_samples_barcode_is_shortened():
    assert shorten_to_patient("TCGA-BH-A0B3-01A") == "TCGA-BH-A0B3"
    assert shorten_to_patient("P1-01") == "P1-01"


@pytest.mark.skipif(not SPLITS.is_dir(), reason=f"the study's splits are not in {SPLITS}")
def test_all_slides_of_the_study_have_a_patient():
    with (SPLITS / "splits_0.csv").open(newline="") as file:
        slides = [value for row in csv.DictReader(file) for key, value in row.items() if key and value]
    assert len(slides) > 500
    for slide in slides:
        assert find_origin(f"{slide}.svs", slide, None) == Origin(slide[:12].upper(), slide[5:7].upper(), "barcode")
