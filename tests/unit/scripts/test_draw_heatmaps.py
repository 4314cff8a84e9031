import json

import cv2
import numpy as np
import openslide
import pytest

import draw_heatmaps
from histossl.errors import UserError
from histossl.heatmaps.canvas import colour_ranks
from histossl.heatmaps.geojson import RANK
from tests.unit.judged_run import COORDS, Judgement, falling, write_run

KINDS = {"figures": ("svg", "png"), "exports": ("geojson", "tiff")}


@pytest.fixture
def draw(tmp_path, drawn_slide):
    def draw(judgements, slides=2, spacing_um=2.0):
        write_run(tmp_path, drawn_slide.path, judgements)
        draw_again(tmp_path, slides, spacing_um)
        return tmp_path

    return draw


def draw_again(folder, slides=2, spacing_um=2.0):
    own = folder / "results/slide_eval/task/enc/abmil/1.0"
    draw_heatmaps.main(
        [
            "--head=task, enc, abmil",
            f"--predictions={own / 'predictions.csv'}",
            f"--attention={own / 'attention.h5'}",
            f"--sheet={folder / 'slides.csv'}",
            f"--slides={folder / 'results/slides'}",
            f"--tiles={folder / 'results/tiles/p32'}",
            f"--settings={json.dumps({'slides': slides, 'spacing_um': spacing_um, 'patches': 3})}",
            f"--figures={folder / 'figures'}",
            f"--exports={folder / 'exports'}",
        ]
    )


def read_features(folder, slot):
    return json.loads((folder / f"exports/{slot}.geojson").read_text(encoding="utf-8"))


def test_each_slot_has_its_files_with_a_slide_or_a_sentence(draw):
    folder = draw([Judgement("x", "a", 0, 0.1), Judgement("y", "b", 1, 0.2)])
    for kind, suffixes in KINDS.items():
        slots = ("right_1", "right_2", "wrong_1", "wrong_2")
        names = {f"{slot}.{suffix}" for slot in slots for suffix in suffixes}
        assert {path.name for path in (folder / kind).iterdir()} == names
    assert read_features(folder, "right_1")["histossl"]["slide"] == "x"
    assert read_features(folder, "wrong_2")["histossl"] == {
        "head": "task, enc, abmil",
        "slide": "y",
        "label": "b",
        "predicted": "a",
        "probability": 0.8,
        "fold": 1,
    }
    empty = read_features(folder, "right_2")
    assert (empty["features"], "none is left" in empty["histossl"]["reason"]) == ([], True)
    sizes = {slot: cv2.imread(str(folder / f"figures/{slot}.png")).shape for slot in ("right_1", "right_2")}
    assert sizes["right_1"][0] > 2 * sizes["right_2"][0]


def test_geojson_tiff_and_figure_agree_on_where_attention_is_highest(draw):
    folder = draw([Judgement("x", "a", 0, 0.1)])
    features = read_features(folder, "right_1")["features"]
    assert len(features) == len(COORDS)
    ranks = [feature["properties"]["measurements"][RANK] for feature in features]
    assert ranks == sorted(ranks, reverse=True)
    with openslide.OpenSlide(folder / "exports/right_1.tiff") as slide:
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(2.0)
        assert slide.dimensions == (160, 128)
        picture = np.asarray(slide.read_region((0, 0), 0, slide.dimensions))[..., :3]
    for (x, y), rank in zip((COORDS + 32) // 4, ranks, strict=True):
        np.testing.assert_array_equal(picture[y, x], colour_ranks(np.array(rank)))
    assert (picture[0, 0] == 255).all()


@pytest.mark.parametrize("attention", [np.full(4, 0.25), np.zeros(0), np.ones(1)])
def test_attention_that_tells_nothing_leaves_a_sentence(draw, attention):
    folder = draw([Judgement("x", "a", 0, 0.1, attention), Judgement("y", "b", 1, 0.8)], ["x"])
    assert "No heatmap of slide x" in read_features(folder, "slide_1")["histossl"]["reason"]
    assert (folder / "figures/slide_1.svg").is_file()


def test_names_with_markup_are_text_and_the_same_input_gives_the_same_bytes(draw):
    name = '<b>&"$x_1$ v1.2'
    judgements = [Judgement(name, "a", 0, 0.1, falling(3))]
    folder = draw(judgements, [name])
    first = {path: path.read_bytes() for kind in KINDS for path in (folder / kind).iterdir()}
    assert {path.name for path in first} == {f"slide_1.{suffix}" for kinds in KINDS.values() for suffix in kinds}
    draw(judgements, [name])
    assert {path: path.read_bytes() for path in first} == first


def test_a_slide_that_is_gone_leaves_a_sentence(draw, tmp_path):
    draw([Judgement("x", "a", 0, 0.1)])
    sheet = tmp_path / "slides.csv"
    sheet.write_text("slide,patient,path\nx,p,gone.svs\n", encoding="utf-8")
    draw_again(tmp_path, ["x"])
    assert "gone.svs" in read_features(tmp_path, "slide_1")["histossl"]["reason"]


@pytest.mark.parametrize("damaged", ["results/tiles/p32/x.h5", "results/slides/x/metadata.json"])
def test_a_damaged_result_ends_the_job_instead_of_becoming_a_figure(draw, tmp_path, damaged):
    draw([Judgement("x", "a", 0, 0.1)])
    (tmp_path / "figures/right_1.svg").unlink()
    path = tmp_path / damaged
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=path.name):
        draw_again(tmp_path)
    assert not (tmp_path / "figures/right_1.svg").exists()
