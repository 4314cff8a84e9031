import hashlib

import pytest

import check_downloads
from histossl.errors import UserError


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """Two archives with their published checksums."""
    content = {"a.zip": b"first", "b.zip": bytes(50)}
    sums = {name: {"md5": hashlib.md5(data).hexdigest()} for name, data in content.items()}
    presets = {"it": {"config": {}, "about": {"archives": sums}}, "other": {"config": {}, "about": {}}}
    monkeypatch.setattr(check_downloads, "read_presets", lambda _: presets)
    monkeypatch.setattr(check_downloads, "CHUNK", 16)
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def check(folder, preset="it"):
    check_downloads.main(["--preset", preset, "--folder", str(folder)])


def test_archives_as_published_are_said_to_be_so(archives, capsys):
    check(archives)
    output = capsys.readouterr()
    assert output.out == "a.zip: as published\nb.zip: as published\n"
    assert "[b.zip] 4/4 chunks" in output.err


def test_one_that_differs_and_one_that_is_missing_are_named(archives, capsys):
    (archives / "a.zip").write_bytes(b"fisrt")
    (archives / "b.zip").unlink()
    with pytest.raises(UserError, match="2 of 2 archives of it are missing or differ"):
        check(archives)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"a.zip: differs: md5 {hashlib.md5(b'fisrt').hexdigest()}, published ")
    assert second == "b.zip: missing"


def test_a_data_set_without_published_checksums_is_a_sentence(archives):
    with pytest.raises(UserError, match="other: no checksums are published"):
        check(archives, "other")
