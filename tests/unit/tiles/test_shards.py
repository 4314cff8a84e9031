import multiprocessing
import pickle
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from histossl.errors import UserError
from histossl.tiles import shards
from histossl.tiles.shards import ShardSet, write_shard


def encode(colour, px=16):
    """A flat patch: JPEG keeps its colour to a grey value or two."""
    picture = np.full((px, px, 3), colour, np.uint8)
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


def shard(folder, name, colours, px=16, spacing_um=1.0):
    path = folder / f"{name}.h5"
    write_shard(path, [encode(colour, px) for colour in colours], np.zeros((len(colours), 2)), name, px, spacing_um)
    return path


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_patches_come_back_in_order_and_with_their_slide(tmp_path):
    colours = {"a": [(200, 10, 60), (20, 180, 30)], "empty": [], "ü": [(10, 20, 220)]}
    paths = [shard(tmp_path, name, some) for name, some in colours.items()]
    with ShardSet(paths) as patches:
        assert len(patches) == 3
        assert (patches.patch_px, patches.spacing_um, patches.slides) == (16, 1.0, ["a", "ü"])
        assert patches.slide_index.tolist() == [0, 0, 1]
        for index, colour in enumerate([*colours["a"], *colours["ü"]]):
            picture = patches.read(index)
            assert picture.shape == (16, 16, 3)
            np.testing.assert_allclose(picture.reshape(-1, 3).mean(axis=0), colour, atol=3)


def test_an_image_with_detail_survives_the_shard(tmp_path):
    rough = np.random.default_rng(0).integers(60, 200, (8, 8, 3), np.uint8)
    picture = cv2.resize(rough, (64, 64), interpolation=cv2.INTER_CUBIC)
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    stream = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()
    write_shard(tmp_path / "a.h5", [stream], np.array([[3, 4]]), "a", 64, 0.5)
    assert np.abs(ShardSet([tmp_path / "a.h5"]).read(0).astype(int) - picture).mean() < 2
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert file["coords"][:].tolist() == [[3, 4]]


def test_more_shards_than_files_may_be_open(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_OPEN_FILES", 4)
    paths = [shard(tmp_path, f"s{i:02d}", [(i * 10, 100, 100)]) for i in range(20)]
    before = open_files()
    patches = ShardSet(paths)
    for index in np.random.default_rng(0).integers(0, 20, 100):
        assert abs(int(patches.read(index)[0, 0, 0]) - index * 10) <= 3
        assert open_files() <= before + 4
    patches.close()
    assert open_files() == before
    assert abs(int(patches.read(7)[0, 0, 0]) - 70) <= 3
    patches.close()


def test_a_damaged_stream_is_named(tmp_path):
    path = tmp_path / "a.h5"
    write_shard(path, [encode((9, 9, 9)), b"no jpeg at all", encode((9, 9, 9), 8), b""], np.zeros((4, 2)), "a", 16, 1.0)
    patches = ShardSet([path])
    patches.read(0)
    for index in (1, 2, 3):
        with pytest.raises(UserError, match=rf"a\.h5: patch {index} of the set is damaged"):
            patches.read(index)


def test_a_stream_that_is_another_picture_than_was_written_is_named(tmp_path):
    path = tmp_path / "a.h5"
    first, second = encode((9, 9, 9)), encode((90, 9, 9))
    streams = [stream.ljust(max(len(first), len(second)), b"\0") for stream in (first, second)]
    write_shard(path, streams, np.zeros((2, 2)), "a", 16, 1.0)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(streams[1], streams[0]))
    patches = ShardSet([path])
    patches.read(0)
    with pytest.raises(UserError, match=r"a\.h5: patch 1 of the set is damaged"):
        patches.read(1)


def test_offsets_that_have_changed_are_named(tmp_path):
    path = shard(tmp_path, "a", [(1, 2, 3), (4, 5, 6), (7, 8, 9)])
    with h5py.File(path, "r+") as file:
        file["offsets"][1] += 1
    with pytest.raises(UserError, match=r"a\.h5: not a readable shard \(its offsets have changed"):
        ShardSet([path])


@pytest.mark.parametrize("other", [{"px": 32}, {"spacing_um": 0.5}])
def test_mixed_sizes_and_scales_are_refused(tmp_path, other):
    paths = [shard(tmp_path, "a", [(1, 2, 3)]), shard(tmp_path, "b", [(1, 2, 3)], **other)]
    with pytest.raises(UserError, match=r"shards differ .*a\.h5.*b\.h5"):
        ShardSet(paths)


def test_no_patch_at_all_is_refused(tmp_path):
    with pytest.raises(UserError, match="none of the 2 shards has a patch"):
        ShardSet([shard(tmp_path, "a", []), shard(tmp_path, "b", [])])


@pytest.mark.parametrize("damage", ["missing", "half", "other", "offsets"])
def test_what_is_no_shard_is_named(tmp_path, damage):
    path = shard(tmp_path, "bad", [(1, 2, 3)] * 50)
    if damage == "missing":
        path.unlink()
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:4000])
    elif damage == "other":
        path.write_bytes(b"rubbish")
    else:
        with h5py.File(path, "a") as file:
            file["offsets"][3] = -5
    with pytest.raises(UserError, match=r"bad\.h5: (not a readable|no such) shard"):
        ShardSet([path])


def _read_in_worker(pickled):
    return pickle.loads(pickled).read(1)


def test_a_worker_reads_from_a_copy(tmp_path):
    patches = ShardSet([shard(tmp_path, "a", [(10, 10, 10), (90, 90, 90)])])
    here = patches.read(1)
    copy = pickle.loads(pickle.dumps(patches))
    patches.close()
    np.testing.assert_array_equal(copy.read(1), here)
    copy.close()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(_read_in_worker, [pickle.dumps(patches)]), here)


def test_the_data_hash_tells_content_not_place_or_order(tmp_path):
    a, b = shard(tmp_path, "a", [(10, 10, 10)]), shard(tmp_path, "b", [(90, 90, 90)])
    (tmp_path / "moved").mkdir()
    moved = [shutil.copy(path, tmp_path / "moved") for path in (b, a)]
    other = shard(tmp_path, "c", [(90, 90, 120)])
    assert ShardSet([a, b]).data_hash == ShardSet(moved).data_hash
    assert len({ShardSet(some).data_hash for some in ([a], [b], [a, b], [a, other], [a, a])}) == 5


def test_reading_ahead_changes_nothing(tmp_path):
    with ShardSet([shard(tmp_path, "a", [10, 60, 110, 160])]) as patches:
        patches.read_ahead([3, 0])
        assert [round(patches.read(index).mean()) for index in (3, 1)] == [160, 60]
