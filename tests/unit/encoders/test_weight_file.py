import argparse
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from histossl.encoders.weight_file import read_weight_file
from histossl.errors import UserError


class Harmful:
    """Makes a folder when unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_tensors_are_named_by_their_path_and_all_else_is_passed_over(tmp_path):
    content = {
        "teacher": {"module.conv.weight": torch.ones(2), "module.conv.bias": torch.nn.Parameter(torch.zeros(1))},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": np.float64(0.1)}]},
        "args": argparse.Namespace(arch="vit_small", output_dir=Path("out")),
        "epoch": np.int64(3),
    }
    torch.save(content, tmp_path / "checkpoint.pth")
    tensors = read_weight_file(tmp_path / "checkpoint.pth")
    assert list(tensors) == ["teacher.module.conv.weight", "teacher.module.conv.bias", "optimizer.state.0.step"]
    assert not any(value.requires_grad for value in tensors.values())


def test_numbers_of_older_numpy_are_read(tmp_path):
    # The module's name before NumPy 2, as in the published checkpoints of DINO's code.
    torch.save({"w": torch.ones(1), "lr": np.float64(0.5)}, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "w.pth").read_bytes()
    assert b"numpy._core.multiarray" in content
    (tmp_path / "w.pth").write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert list(read_weight_file(tmp_path / "w.pth")) == ["w"]


def test_safetensors_are_read(tmp_path):
    save_file({"conv.weight": torch.ones(2)}, tmp_path / "w.safetensors")
    assert read_weight_file(tmp_path / "w.safetensors")["conv.weight"].tolist() == [1, 1]


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_file_is_named_and_not_run(tmp_path, new_format):
    content = {"state_dict": {"w": torch.ones(1)}, "callbacks": Harmful(tmp_path / "owned")}
    torch.save(content, tmp_path / "w.ckpt", _use_new_zipfile_serialization=new_format)
    with pytest.raises(UserError, match=r"w\.ckpt: holds more than weights.*" if new_format else r"w\.ckpt: "):
        read_weight_file(tmp_path / "w.ckpt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a readable file"),
        (b"rubbish" * 99, "not a readable file"),
        (pickle.dumps(print), "not a readable file|holds more than weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 704238867\n", "git lfs pull"),
    ],
)
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_what_is_no_file_of_weights_is_a_sentence(tmp_path, content, said, suffix):
    (tmp_path / f"w.{suffix}").write_bytes(content)
    with pytest.raises(UserError, match=said if suffix == "pt" or "lfs" in said else "not a readable file"):
        read_weight_file(tmp_path / f"w.{suffix}")


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"w\.pt: no such file"):
        read_weight_file(tmp_path / "w.pt")
