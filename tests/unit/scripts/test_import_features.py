import json
import os

import h5py
import numpy as np
import pytest

import describe_features
import import_features
from histossl.errors import UserError
from histossl.features.slide_features import read_slide_features
from tests.unit.features.test_foreign_features import COORDS, FEATURES, write

SLIDES = ("a", "b", "ü c", "none")
"""The last one has no file."""


@pytest.fixture
def source(tmp_path):
    """Features in TRIDENT's layout, called like the slides' files."""
    for number, slide in enumerate(SLIDES[:-1]):
        write(tmp_path / f"elsewhere/{slide} 1.h5", FEATURES + number)
    lines = ["slide,patient,path", *(f"{slide},p,slides/{slide} 1.svs" for slide in SLIDES)]
    (tmp_path / "slides.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "elsewhere"


@pytest.fixture
def import_all(tmp_path, source):
    def run(policy="exclude", code="code"):
        where = [f"--folder={source}", f"--sheet={tmp_path / 'slides.csv'}", f"--card={tmp_path / 'encoder.json'}"]
        describe_features.main(where)
        batch = ["--slides", *SLIDES, f"--features={tmp_path / 'features'}", f"--manifest={tmp_path / 'batch.json'}"]
        import_features.main([*where, *batch, "--name=uni", f"--on-bad-slide={policy}", f"--code={code}"])
        return json.loads((tmp_path / "batch.json").read_text(encoding="utf-8"))

    return run


@pytest.fixture
def written(tmp_path):
    """When each of our files was written; all are made older."""

    def times():
        found = {}
        for path in (tmp_path / "features").glob("*.h5"):
            found[path.stem] = path.stat().st_mtime_ns
            os.utime(path, ns=(10**9, 10**9))
        return {slide for slide, time in found.items() if time > 10**9}

    return times


def test_every_slide_has_features_or_a_reason(tmp_path, import_all, capsys):
    manifest = import_all()
    assert [line["slide"] for line in manifest] == list(SLIDES)
    assert {line["stage"] for line in manifest} == {"import_features"}
    assert [bool(line["fingerprint"]) for line in manifest] == [True, True, True, False]
    assert [line["reason"] for line in manifest[:3]] == ["", "", ""]
    assert manifest[3]["reason"] == f"{tmp_path / 'elsewhere'}: has no feature file of slide 'none'; make it"
    for number, slide in enumerate(SLIDES[:-1]):
        features, coords = read_slide_features(tmp_path / f"features/{slide}.h5")
        np.testing.assert_array_equal(features, FEATURES + number)
        np.testing.assert_array_equal(coords, COORDS)
    assert read_slide_features(tmp_path / "features/none.h5")[0].shape == (0, 5)
    with h5py.File(tmp_path / "features/none.h5") as file:
        assert file.attrs["reason"] == manifest[3]["reason"]
    assert "slide none is left out" in capsys.readouterr().out
    assert json.loads((tmp_path / "encoder.json").read_text())["folder"] == str(tmp_path / "elsewhere")


def test_only_what_changed_is_imported_again(tmp_path, import_all, written, source):
    manifest = import_all()
    assert written() == set(SLIDES)
    assert import_all() == manifest
    assert written() == {"none"}  # tried again: its file may have come
    write(source / "b 1.h5", FEATURES * 2)
    write(source / "none 1.h5", FEATURES[:3], COORDS[:3])
    assert [line["reason"] for line in import_all()] == ["", "", "", ""]
    assert written() == {"b", "none"}
    np.testing.assert_array_equal(read_slide_features(tmp_path / "features/b.h5")[0], FEATURES * 2)
    (tmp_path / "features/a.h5").write_bytes(b"rubbish")
    import_all()
    assert written() == {"a"}
    import_all(code="other")
    assert written() == set(SLIDES)


def test_a_damaged_file_is_one_slide_left_out(tmp_path, import_all, source):
    (source / "b 1.h5").write_bytes(b"rubbish")
    manifest = import_all()
    assert "b 1.h5: not a feature file" in manifest[1]["reason"]
    assert len(read_slide_features(tmp_path / "features/ü c.h5")[0]) == 7
    (source / "b 1.h5").unlink()
    with pytest.raises(UserError, match="no feature file of slide 'b'"):
        import_all("fail")


def test_a_slide_without_patches_is_no_failure(import_all, source):
    write(source / "none 1.h5", FEATURES[:0], COORDS[:0])
    manifest = import_all("fail")
    assert manifest[3]["reason"].endswith("none 1.h5: has no patches")


def test_features_of_two_encoders_in_one_folder_are_refused(import_all, source):
    write(source / "b 1.h5", FEATURES[:, :4])
    with pytest.raises(UserError, match=r"b 1\.h5 has 4 features a patch, files beside it have 5; give each encoder"):
        import_all()
