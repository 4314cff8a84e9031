import pytest

from histossl.config.feature_files import find_feature_files
from histossl.errors import UserError

SLIDES = {"s1": "slides/TCGA-02-0001.abc.svs", "s2": "b/two.ome.tiff", "s3": "c/three.ndpi"}


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "found"),
    [
        # TRIDENT's, called like the slide's file, both of `.ome.tif` taken away; or like the id.
        (["TCGA-02-0001.abc.h5", "two.h5", "s3.h5"], ["TCGA-02-0001.abc.h5", "two.h5", "s3.h5"]),
        (["s1.pt", "two.ome.pt"], ["s1.pt", "two.ome.pt", None]),
        # CLAM's, from the folder above.
        (["h5_files/s1.h5", "pt_files/s1.pt", "pt_files/two.pt"], ["h5_files/s1.h5", "pt_files/two.pt", None]),
        # The id goes before the file's name, coordinates before none.
        (["s3.h5", "three.h5", "s3.pt"], [None, None, "s3.h5"]),
        (["h5_files/three.h5", "pt_files/s3.pt"], [None, None, "pt_files/s3.pt"]),
    ],
)
def test_each_slide_has_its_file(tmp_path, names, found):
    put(tmp_path, *names, "s9.h5", "s1.txt")
    expected = {slide: tmp_path / name for slide, name in zip(SLIDES, found, strict=True) if name}
    assert find_feature_files(tmp_path, SLIDES) == expected


@pytest.mark.parametrize("place", ["h5_files", "pt_files"])
def test_clams_own_folders_may_be_named(tmp_path, place):
    put(tmp_path, f"{place}/s1.{place[:2]}")
    assert find_feature_files(tmp_path / place, SLIDES) == {"s1": tmp_path / place / f"s1.{place[:2]}"}


@pytest.mark.parametrize("names", [[], ["s9.h5"], ["deeper/features/s1.h5"], ["s1.h5.lock"]])
def test_a_folder_without_any_is_one_sentence(tmp_path, names):
    (tmp_path / "features").mkdir()
    put(tmp_path / "features", *names)
    with pytest.raises(UserError, match=r"features: has no feature file of any slide .*name TRIDENT's"):
        find_feature_files(tmp_path / "features", SLIDES)


def test_two_slides_of_one_name_do_not_share_a_file(tmp_path):
    slides = {"a": "p1/slide.svs", "b": "p2/slide.svs"}
    put(tmp_path, "slide.h5")
    with pytest.raises(UserError, match=r"slide\.h5 fits both slide 'a' and slide 'b'; name such files by slide id"):
        find_feature_files(tmp_path, slides)
    put(tmp_path, "a.h5", "b.h5")
    assert find_feature_files(tmp_path, slides) == {"a": tmp_path / "a.h5", "b": tmp_path / "b.h5"}
