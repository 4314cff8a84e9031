import pytest

from histossl.errors import UserError
from histossl.files import whole_file, write_text_whole


def test_a_failing_block_leaves_the_old_file_and_no_temporary(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_at_the_path_while_the_block_runs(tmp_path):
    path = tmp_path / "new" / "folder" / "a.h5"
    with whole_file(path) as temporary:
        temporary.write_bytes(b"x")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".h5"
    assert path.read_bytes() == b"x"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_in_its_place_is_named(tmp_path):
    (tmp_path / "a.h5").mkdir()
    with pytest.raises(UserError, match=r"a\.h5: a folder is where a file has to be written"):
        write_text_whole(tmp_path / "a.h5", "x")


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), whole_file(path):
        pass
    assert path.read_text() == "old"


@pytest.mark.parametrize("stem", ["n" * 250, "ü" * 100, "😀" * 50])
def test_the_longest_allowed_names_can_be_written(tmp_path, stem):
    path = tmp_path / f"{stem}.h5"
    write_text_whole(path, "x")
    assert path.read_text() == "x"


def test_text_is_utf8_whatever_the_locale(tmp_path):
    path = tmp_path / "a.txt"
    write_text_whole(path, "µm\n")
    assert path.read_bytes() == "µm\n".encode()


def test_the_next_attempt_takes_the_place_of_one_that_was_killed(tmp_path):
    paths = [tmp_path / f"{'n' * 100}{end}.h5" for end in "ab"]
    with whole_file(paths[0]) as first, whole_file(paths[1]) as second:
        assert first != second
        first.write_text("a")
        second.write_text("b")
    first.write_text("half of an attempt that was killed")
    write_text_whole(paths[0], "whole")
    assert sorted(tmp_path.iterdir()) == paths
    assert paths[0].read_text() == "whole"
