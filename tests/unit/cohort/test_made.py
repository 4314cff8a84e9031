import json
import os

import pytest

from histossl.cohort.made import describe_made, forget_incomplete, is_valid, write_made


@pytest.fixture
def files(tmp_path):
    slide, output = tmp_path / "a.svs", tmp_path / "a.h5"
    slide.write_text("slide")
    output.write_text("patches")
    return slide, output, tmp_path / "made/a.json"


def described(slide, **changed):
    return describe_made(**{"code": "1", "settings": "{}", "own": {"file": str(slide)}, "inputs": [slide], **changed})


def test_files_are_valid_as_long_as_nothing_has_changed(files):
    slide, output, record = files
    assert not is_valid(record, described(slide), [output])
    write_made(record, described(slide))
    assert is_valid(record, described(slide), [output])
    for changed in ({"code": "2"}, {"settings": "[]"}, {"own": {}}, {"inputs": []}):
        assert not is_valid(record, described(slide, **changed), [output])


def test_another_date_or_size_of_an_input_and_a_missing_output_count(files):
    slide, output, record = files
    write_made(record, described(slide))
    os.utime(slide, ns=(1, 1))
    assert not is_valid(record, described(slide), [output])
    write_made(record, described(slide))
    assert not is_valid(record, described(slide), [output, output.with_name("b.h5")])


def test_a_record_that_cannot_be_read_is_none(files):
    slide, output, record = files
    write_made(record, described(slide))
    record.write_text(record.read_text()[:20])
    assert not is_valid(record, described(slide), [output])


@pytest.mark.parametrize("stage", ["slides", "tiles/p64", "shards/p 64", "features/dino/slides/p64"])
def test_a_manifest_of_a_file_that_is_gone_is_forgotten(tmp_path, stage):
    folder = tmp_path / stage
    (folder / "batches").mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.h5").touch()
        (folder / f"batches/{name}.json").write_text(json.dumps([{"slide": name, "files": [f"{name}.h5"]}]))
    (folder / "batches/c.json").write_text("not a manifest")
    forget_incomplete(tmp_path)
    assert len(list(folder.glob("batches/*"))) == 3
    (folder / "b.h5").unlink()
    forget_incomplete(tmp_path)
    assert sorted(path.name for path in folder.glob("batches/*")) == ["a.json", "c.json"]
