import json
import os

import pytest

from histossl.cohort.made import describe_made, forget_untrue, is_valid, write_made


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
def test_a_manifest_that_is_no_longer_true_is_forgotten(tmp_path, stage):
    folder = tmp_path / stage
    (folder / "batches").mkdir(parents=True)
    for name in ("a", "b", "c"):
        (folder / f"{name}.h5").touch()
        line = {"slide": name, "files": [f"{name}.h5"]}
        if not stage.startswith("features"):
            line |= {"made": {"code": "1"}, "record": f"made/{name}.json"}
            write_made(folder / line["record"], line["made"])
        (folder / f"batches/{name}.json").write_text(json.dumps([line]))

    def left():
        forget_untrue(tmp_path)
        return sorted(path.name for path in folder.glob("batches/*"))

    assert left() == ["a.json", "b.json", "c.json"]
    (folder / "b.h5").unlink()
    assert left() == ["a.json", "c.json"]
    (folder / "batches/a.json").write_text("not a manifest")
    assert left() == ["a.json", "c.json"]
    if not stage.startswith("features"):
        write_made(folder / "made/c.json", {"code": "2"})  # by a job of another part
        assert left() == ["a.json"]
