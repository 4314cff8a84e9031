from pathlib import Path

import pandas as pd
import pytest

from histossl.phantom.slide import read_specification

DEMO = Path(__file__).parents[3] / "config" / "demo"


@pytest.fixture(scope="module")
def cohort():
    phantom = pd.read_csv(DEMO / "phantom.csv", keep_default_na=False)
    slides = pd.read_csv(DEMO / "slides.csv", keep_default_na=False)
    return phantom.merge(slides, on=["slide", "site"], suffixes=("", "_label"), validate="one_to_one")


def test_both_tables_name_the_same_slides_sites_and_labels(cohort):
    assert len(cohort) == len(pd.read_csv(DEMO / "slides.csv")) == len(pd.read_csv(DEMO / "phantom.csv"))
    assert (cohort["subtype"].replace("none", "") == cohort["subtype_label"]).all()
    assert (cohort["path"] == "results/phantom/slides/" + cohort["slide"] + ".svs").all()
    for slide in cohort["slide"]:
        read_specification(DEMO / "phantom.csv", slide)


def test_stain_says_nothing_about_the_class(cohort):
    patients = cohort[cohort["subtype"] != "none"].drop_duplicates("patient")
    per_site = pd.crosstab(patients["site"], patients["subtype"])
    assert len(per_site) == 3
    assert (per_site["ductal"] == per_site["lobular"]).all()
    slides = pd.crosstab(cohort["site"], cohort["subtype"])
    assert (slides["ductal"] - slides["lobular"]).abs().max() <= 1


def test_a_patient_has_one_site_and_one_label(cohort):
    labelled = cohort[cohort["subtype"] != "none"]
    assert not labelled.drop_duplicates(["patient", "site", "subtype"])["patient"].duplicated().any()
    assert (cohort.groupby("patient").size() > 1).sum() >= 3


def test_the_cohort_holds_every_difficulty(cohort):
    assert set(cohort["pen"]) == {"none", "green", "blue", "black"}
    assert (cohort["stain_strength"].astype(float) < 0.6).sum() == 1
    assert (cohort["spacing_stated"] == "no").sum() == 1
    assert (cohort["subtype"] == "none").sum() == 1
