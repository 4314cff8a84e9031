import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from histossl.errors import UserError
from histossl.patch_datasets.listing import read_patch_dataset
from histossl.patch_datasets.patch import LabelledPatch
from histossl.patch_datasets.pictures import read_patch


@pytest.mark.parametrize("layout", ["pcam", "bcss"])
def test_forked_processes_and_threads_read_what_one_reads(request, layout):
    patches = read_patch_dataset(request.getfixturevalue(layout)[0], layout)
    alone = [read_patch(patch) for patch in patches]  # files are open when the processes start
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for mine, theirs in zip(alone, pool.map(read_patch, patches), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    with ThreadPoolExecutor(4) as threads:
        for mine, theirs in zip(alone * 5, threads.map(read_patch, patches * 5), strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("content", [None, b"", b"no array", "half"])
def test_a_damaged_array_is_named(pcam, content):
    source, _ = pcam
    patch = read_patch_dataset(source, "pcam")[0]
    whole = patch.path.read_bytes()
    patch.path.unlink()
    if content is not None:
        patch.path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(UserError, match=r"train_x\.h5: missing, damaged, or without a picture 0; download it again"):
        read_patch(patch)


def test_a_row_that_is_not_there_is_named(pcam):
    patch = read_patch_dataset(pcam[0], "pcam")[0]
    with pytest.raises(UserError, match="without a picture 6"):
        read_patch(patch._replace(row=6))


def test_a_picture_too_small_for_its_window_is_named(tmp_path, noise, save):
    save(tmp_path / "small.png", noise(100, 100))
    patch = LabelledPatch(tmp_path / "small.png", "small_x50_y0", box=(50, 0, 64, 64))
    with pytest.raises(UserError, match=r"small\.png: too small for its patch 'small_x50_y0'"):
        read_patch(patch)


def test_a_window_may_be_written_to(tmp_path, noise, save):
    picture = save(tmp_path / "large.png", noise(40, 50))
    patch = LabelledPatch(tmp_path / "large.png", "", box=(8, 4, 16, 16))
    read_patch(patch)[:] = 0
    np.testing.assert_array_equal(read_patch(patch), picture[4:20, 8:24])
