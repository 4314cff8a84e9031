import pytest

from histossl.errors import UserError
from histossl.viewer.export import export_page
from histossl.viewer.site import build_files


def test_all_files_and_tiles_are_there(tmp_path, layers, tiles, library):
    files = build_files(*layers, library)
    export_page(tmp_path / "out", files, tiles)
    written = {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    addresses = {f"tiles/{level}/{column}_{row}.jpeg": (level, column, row) for level, column, row in tiles.addresses()}
    assert set(written) == set(files) | set(addresses)
    assert all(written[name] == content for name, content in files.items())
    assert all(written[name] == tiles.read(*address) for name, address in addresses.items())


def test_a_folder_that_is_there_is_left_alone(tmp_path, tiles):
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="exists already"):
        export_page(tmp_path / "out", {}, tiles)


def test_nothing_is_left_of_an_export_that_failed(tmp_path, tiles, monkeypatch):
    monkeypatch.setattr(tiles, "read", lambda *address: (_ for _ in ()).throw(UserError("damaged")))
    with pytest.raises(UserError, match="damaged"):
        export_page(tmp_path / "out", {"a": b""}, tiles)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]
