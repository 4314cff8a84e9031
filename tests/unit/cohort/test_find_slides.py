import os
import signal
from pathlib import Path

import pytest

from histossl.cohort import find_slides as module
from histossl.cohort.find_slides import find_slides, strip_suffix
from histossl.errors import UserError


def lay(folder, *names, content=b"x"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def names(folder, paths):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_slides_are_found_in_all_folders_in_order_and_nothing_else_is(tmp_path):
    lay(tmp_path, "b/deep/two.NDPI", "a.svs", "b/one.tiff", "notes.txt", "b/labels.csv", ".hidden.svs", ".git/x.svs")
    search = find_slides(tmp_path, take_pictures=False)
    assert names(tmp_path, search.slides) == ["a.svs", "b/deep/two.NDPI", "b/one.tiff"]
    assert search.others == {".txt": 1, ".csv": 1}


def test_a_slide_without_a_known_suffix_is_recognised_by_its_content(tmp_path, drawn_slide):
    lay(tmp_path, "1.2.840", "odd.name.x1", content=drawn_slide.path.read_bytes())
    lay(tmp_path, "text", "README.md")
    search = find_slides(tmp_path, take_pictures=False)
    assert names(tmp_path, search.slides) == ["1.2.840", "odd.name.x1"]
    assert search.others == {"no suffix": 1, ".md": 1}


def test_pictures_are_slides_only_where_there_are_no_others_or_on_demand(tmp_path):
    lay(tmp_path, "a.png", "sub/b.JPG")
    assert names(tmp_path, find_slides(tmp_path, take_pictures=False).slides) == ["a.png", "sub/b.JPG"]
    lay(tmp_path, "c.svs")
    search = find_slides(tmp_path, take_pictures=False)
    assert (names(tmp_path, search.slides), names(tmp_path, search.pictures)) == (["c.svs"], ["a.png", "sub/b.JPG"])
    search = find_slides(tmp_path, take_pictures=True)
    assert (names(tmp_path, search.slides), search.pictures) == (["a.png", "c.svs", "sub/b.JPG"], [])


def test_the_parts_of_an_mrxs_slide_are_not_slides(tmp_path):
    lay(tmp_path, "case 1.mrxs", "case 1/Slidedat.ini", "case 1/Data0000.dat", "case 1/x.tif", "case 2/other.svs")
    assert names(tmp_path, find_slides(tmp_path, False).slides) == ["case 1.mrxs", "case 2/other.svs"]


def test_downloads_that_were_cut_off_are_named(tmp_path, drawn_slide):
    lay(tmp_path, "a.svs.partial", "b.svs.PART", content=drawn_slide.path.read_bytes())
    search = find_slides(tmp_path, take_pictures=False)
    assert search.slides == []
    assert names(tmp_path, search.unfinished) == ["a.svs.partial", "b.svs.PART"]


def test_links_are_followed_once_and_loops_end(tmp_path):
    lay(tmp_path, "store/a.svs")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/loop").symlink_to(tmp_path / "here")
    (tmp_path / "here/link.svs").symlink_to(tmp_path / "store/a.svs")
    (tmp_path / "here/same").symlink_to(tmp_path / "store")
    (tmp_path / "here/broken.svs").symlink_to(tmp_path / "nowhere.svs")
    assert names(tmp_path / "here", find_slides(tmp_path / "here", False).slides) == ["link.svs"]


def test_what_is_no_plain_file_is_passed_over(tmp_path):
    (tmp_path / "folder.svs").mkdir()
    os.mkfifo(tmp_path / "pipe.svs")
    lay(tmp_path, "folder.svs/in.svs")
    assert names(tmp_path, find_slides(tmp_path, False).slides) == ["folder.svs/in.svs"]


def test_a_file_that_crashes_the_detection_does_not_hide_the_others(tmp_path, monkeypatch):
    lay(tmp_path, "good", "evil", "plain")

    def detect(path):
        if path.name == "evil":
            os.kill(os.getpid(), signal.SIGSEGV)
        return "aperio" if path.name == "good" else None

    monkeypatch.setattr(module.openslide.OpenSlide, "detect_format", detect)
    search = find_slides(tmp_path, take_pictures=False)
    assert names(tmp_path, search.slides) == ["good"]
    assert search.others == {"no suffix": 2}


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder; correct --slides"):
        find_slides(tmp_path / "nowhere", take_pictures=False)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.svs", "a"),
        ("TCGA-BH-A0B3-01Z-00-DX1.f68f5b49-30fa.SVS", "TCGA-BH-A0B3-01Z-00-DX1.f68f5b49-30fa"),
        ("v1.2", "v1.2"),
        ("a.ome.tiff", "a"),
        (".ome.tif", ".ome"),
        (".svs", ".svs"),
        ("ü 1.b.png", "ü 1.b"),
        ("plain", "plain"),
    ],
)
def test_only_a_slides_suffix_is_taken_off(name, stem):
    assert strip_suffix(name) == stem
    assert strip_suffix(Path("x", name).name) == stem
