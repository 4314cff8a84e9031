import errno

import pytest
import torch

from histossl.errors import UserError
from histossl.files import Path
from histossl.ssl.checkpoints import Checkpoints


def fill(folder) -> Checkpoints:
    checkpoints = Checkpoints(folder, {"lr": 1.0}, "hash")
    for step in (5, 10, 15):
        checkpoints.save(step, {"step": step, "weights": torch.full((50,), float(step))})
    return checkpoints


def test_the_newest_is_loaded_and_two_are_kept(tmp_path):
    checkpoints = fill(tmp_path)
    state = checkpoints.load_newest()
    assert state["step"] == 15
    assert torch.equal(state["weights"], torch.full((50,), 15.0))
    assert [path.name for path in checkpoints.paths()] == ["step-000000010.pt", "step-000000015.pt"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path, damage, capsys):
    checkpoints = fill(tmp_path)
    newest = checkpoints.paths()[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes({"cut": content[:-9], "flipped": content, "empty": b""}[damage])
    assert checkpoints.load_newest()["step"] == 10
    assert f"{newest} is damaged" in capsys.readouterr().err


def test_damaged_ones_of_later_steps_do_not_take_the_place_of_new_ones(tmp_path):
    checkpoints = fill(tmp_path)
    for path in checkpoints.paths():
        path.write_bytes(b"")
    assert checkpoints.load_newest() is None
    for step in (3, 6):
        checkpoints.save(step, {"step": step})
    assert checkpoints.load_newest() == {"step": 6}
    assert [path.name for path in checkpoints.paths()] == ["step-000000003.pt", "step-000000006.pt"]


def test_other_settings_or_patches_never_meet_them(tmp_path):
    fill(tmp_path)
    assert Checkpoints(tmp_path, {"lr": 2.0}, "hash").load_newest() is None
    assert Checkpoints(tmp_path, {"lr": 1.0}, "other").load_newest() is None
    assert Checkpoints(tmp_path, {"lr": 1.0}, "hash").load_newest()["step"] == 15


def test_a_full_disk_keeps_the_old_ones_and_says_so(tmp_path, monkeypatch):
    checkpoints = fill(tmp_path)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UserError, match=r"step-000000020.pt: .*No space left on device.*the checkpoint before"):
        checkpoints.save(20, {"step": 20})
    assert checkpoints.load_newest()["step"] == 15
    assert not list(checkpoints.folder.glob(".*"))


def test_nothing_is_left_after_removal(tmp_path):
    fill(tmp_path / "checkpoints").remove()
    assert not (tmp_path / "checkpoints").exists()
