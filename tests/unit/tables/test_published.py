import copy
from pathlib import Path

import pytest
import yaml

from histossl.errors import UserError
from histossl.tables.published import read_published

FILE = Path(__file__).parents[3] / "config/published/chen_krishnan_2022.yaml"


def test_the_study_has_all_its_published_cells():
    published = read_published(FILE)
    assert list(published.methods) == ["imagenet", "simclr", "dino"]
    cells = {name: sum(map(len, table.values.values())) for name, table in published.tables.items()}
    assert cells == {"slide": 12, "crc100k_normalised": 27, "crc100k_raw": 27, "breastpathq": 9, "bcss": 3}
    assert published.tables["slide"].values["dino"] == [0.886, 0.852, 0.862, 0.809]
    assert published.tables["slide"].sd["dino"] == [0.059, 0.049, 0.052, 0.034]
    assert all(table.source and table.differs for table in published.tables.values())


@pytest.mark.parametrize("name", ["crc100k_normalised", "crc100k_raw"])
def test_published_macro_aucs_are_the_means_of_their_classes(name):
    for row in read_published(FILE).tables[name].values.values():
        assert sum(row[:-1]) / 8 == pytest.approx(row[-1], abs=0.0011)  # each cell is rounded


def test_the_prediction_probability_follows_from_the_printed_tau():
    for _, tau, concordance in read_published(FILE).tables["breastpathq"].values.values():
        assert concordance == round(2 - 1 / tau, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.pop("methods"), "not the tables of a study .*'methods'"),
        (lambda content: content["tables"]["slide"].pop("kind"), "not the tables of a study .*kind"),
        (
            lambda content: content["tables"]["slide"].update(kind="slides"),
            "the kind of slide is 'slides'; write one of",
        ),
        (
            lambda content: content["tables"]["slide"]["values"]["dino"].pop(),
            "slide has 3 figures of 'dino' in 4 columns",
        ),
        (
            lambda content: content["tables"]["slide"]["sd"].update(byol=[0, 0, 0, 0]),
            "'byol' in .*; name one of imagenet",
        ),
    ],
)
def test_a_damaged_file_is_explained(tmp_path, change, said):
    content = copy.deepcopy(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    change(content)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read_published(tmp_path / "study.yaml")


def test_a_study_that_is_not_there_is_explained_by_those_that_are(tmp_path):
    (tmp_path / "other.yaml").touch()
    with pytest.raises(UserError, match="there is no such published study; there are other"):
        read_published(tmp_path / "study.yaml")
    (tmp_path / "study.yaml").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="not the tables of a study"):
        read_published(tmp_path / "study.yaml")
