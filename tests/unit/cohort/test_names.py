from pathlib import Path

import pytest

from histossl.cohort.names import find_path_problem, mend_id, name_slides
from histossl.config.sheets import find_id_problem

ROOT = Path("/data")


def ids(*paths, taken=(), **own):
    named = name_slides({ROOT / path: own.get(Path(path).stem, "") for path in paths}, ROOT, taken)
    assert list(named) == [ROOT / path for path in paths]
    assert len(set(named.values())) == len(paths)
    assert not [slide for slide in named.values() if find_id_problem(slide)]
    return list(named.values())


def test_an_id_is_the_files_name_as_it_is():
    tcga = "TCGA-BH-A0B3-01Z-00-DX1.f68f5b49-30fa-4fb6-bec6-5da9f6809d02"
    odd = "ü 'x' \"y\" $(touch z) a.b"
    assert ids(f"x/{tcga}.svs", f"{odd}.ndpi", "plain.svs") == [tcga, odd, "plain"]


def test_repeated_names_take_their_folders():
    assert ids("a/s.svs", "b/s.svs", "t.svs") == ["a_s", "b_s", "t"]
    assert ids("a/x/s.svs", "b/x/s.svs") == ["a_x_s", "b_x_s"]
    assert ids("s.svs", "a/s.svs") == ["s", "a_s"]


def test_names_that_differ_by_suffix_keep_it():
    assert ids("s.svs", "s.ndpi") == ["s.svs", "s.ndpi"]
    assert ids("a/s.svs", "a/s.ndpi", "b/s.svs") == ["a_s.svs", "a_s.ndpi", "b_s.svs"]


def test_names_put_together_do_not_repeat_others():
    ids("a/s.svs", "b/s.svs", "a_s.svs", "b_s.svs")
    ids("a/b_c.svs", "a_b/c.svs", "x/c.svs", "x/b_c.svs", "a_b_c.svs")
    ids("a/b/s.svs", "a_b/s.svs")


def test_ids_of_an_earlier_sheet_are_not_given_twice():
    assert ids("new/s.svs", taken=["s"]) == ["new_s"]
    assert ids("s.svs", taken=["s", "s.svs"]) == ["s_2"]


def test_a_name_of_its_own_goes_before_the_files():
    assert ids("S1/1.dcm", "S2/2.dcm", **{"1": "S1", "2": "S2"}) == ["S1", "S2"]
    assert ids("a/S/1.dcm", "b/S/2.dcm", **{"1": "S", "2": "S"})[0].startswith("a_S")


@pytest.mark.parametrize(
    ("name", "mended"),
    [
        ("-rf", "rf"),
        ("..", "slide"),
        ("", "slide"),
        (" a ", "a"),
        ("a\\b/c", "a_b_c"),
        ("S{1}", "S(1)"),
        ("a\nb", "a_b"),
        ("- .a", "a"),
        ("ok", "ok"),
    ],
)
def test_a_bad_id_is_mended(name, mended):
    assert mend_id(name) == mended
    assert not find_id_problem(mended)


def test_long_names_stay_different():
    one, two = mend_id("é" * 150 + "1"), mend_id("é" * 150 + "2")
    assert one != two
    assert not find_id_problem(one)


@pytest.mark.parametrize("path", ["a\udce9.svs", "a\nb.svs", "{a}.svs", "a.svs "])
def test_a_path_that_no_sheet_can_hold_is_named(path):
    assert find_path_problem(path)
    assert not find_path_problem("/data/ü 'x' $(y).svs")
