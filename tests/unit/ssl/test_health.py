import copy
import json
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from histossl.encoders.encoder_file import load_encoder
from histossl.errors import UserError
from histossl.ssl.dino import Dino
from histossl.ssl.health import Health, evaluating, rankme, sample_patches
from histossl.ssl.loop import pretrain
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings
from histossl.ssl.simclr import Simclr

SCRIPT = Path(__file__).parents[3] / "workflow/scripts/pretrain.py"
CPU = torch.device("cpu")


def watched(values, **health):
    values = copy.deepcopy(values)
    values["health"] |= {"on_collapse": "stop", **health}
    return values


def train(values, shards, folder, **more):
    """The curve of a run to its end."""
    pretrain(
        "small",
        read_settings(values, METHODS),
        shards,
        folder / "encoder.pt",
        folder / "curve.jsonl",
        folder / "checkpoints",
        0,
        **more,
    )
    return lines(folder / "curve.jsonl")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def collapse(values, shards, folder):
    """The sentence with which a run ends, and its curve."""
    with pytest.raises(UserError) as ended:
        train(values, shards, folder)
    (curve,) = folder.glob("checkpoints/*/curve.jsonl")
    assert str(curve) in str(ended.value) or "the loss is" in str(ended.value)
    assert not (folder / "encoder.pt").exists()
    return str(ended.value), lines(curve)


def test_rankme_is_the_formula_in_float64():
    random = np.random.default_rng(0)
    for features in (random.normal(size=(40, 12)), random.normal(size=(10, 30)) * np.logspace(0, -6, 30)):
        values = np.linalg.svd(features, compute_uv=False)
        shares = values / np.abs(values).sum() + 1e-7
        formula = np.exp(-(shares * np.log(shares)).sum())
        assert rankme(torch.from_numpy(features)) == pytest.approx(formula, rel=1e-12)


def test_rankme_counts_dimensions():
    assert rankme(torch.eye(7)) == pytest.approx(7, rel=1e-4)
    assert rankme(torch.ones(9, 5)) == pytest.approx(1, rel=1e-4)
    assert rankme(torch.zeros(9, 5)) == pytest.approx(1, rel=1e-4)


def test_an_evaluation_leaves_training_as_it_is(simclr_values, shards):
    settings = read_settings(simclr_values, METHODS)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.LazyLinear(6))
    network(torch.zeros(2, 3, 16, 16))
    network[2].eval()
    before = copy.deepcopy(network.state_dict())
    random = torch.get_rng_state()
    numpy_random = np.random.get_state()[1].copy()  # noqa: NPY002
    health = Health(settings, shards, CPU)
    first, second = health.examine(network), health.examine(network)
    assert first == second
    assert set(first) == {"eval_feature_std", "rankme"}
    assert torch.get_rng_state().equal(random)
    assert (np.random.get_state()[1] == numpy_random).all()  # noqa: NPY002
    assert all(tensor.equal(before[name]) for name, tensor in network.state_dict().items())
    assert [module.training for module in network] == [True, True, False, True, True]
    assert network.training


def test_a_network_is_put_back_into_its_mode_even_by_an_error():
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
    network[1].eval()
    with pytest.raises(KeyError), evaluating(network):
        assert not any(module.training for module in network.modules())
        raise KeyError
    assert [module.training for module in network.modules()] == [True, True, False]


def test_the_patches_are_the_same_each_time_and_depend_on_the_seed(simclr_values, shards):
    settings = [read_settings({**simclr_values, "seed": seed}, METHODS) for seed in (3, 3, 4)]
    first, again, other = (sample_patches(shards, each) for each in settings)
    assert first.shape == (16, 3, 16, 16)
    assert first.dtype == torch.uint8
    assert first.equal(again)
    assert not first.equal(other)


def test_a_damaged_patch_is_left_out(simclr_values, shards, monkeypatch):
    read = shards.read
    broken = set(range(0, len(shards), 2))

    def damaged(index):
        if index in broken:
            raise UserError(f"patch {index} is damaged")
        return read(index)

    monkeypatch.setattr(shards, "read", damaged)
    settings = read_settings(watched(simclr_values, patches=len(shards)), METHODS)
    assert len(sample_patches(shards, settings)) == len(shards) - len(broken)
    broken.update(range(len(shards)))
    with pytest.raises(UserError, match="0 of 32 patches"):
        sample_patches(shards, settings)


@pytest.mark.parametrize("name", ["dino", "simclr"])
def test_how_often_a_run_is_examined_changes_nothing(name, dino_values, simclr_values, shards, tmp_path):
    values = {"dino": dino_values, "simclr": simclr_values}[name]
    for folder, every_steps in (("often", 1), ("never", 100)):
        train(watched(values, every_steps=every_steps, on_collapse="continue"), shards, tmp_path / folder)
    often, never = (load_encoder(tmp_path / folder / "encoder.pt")[2] for folder in ("often", "never"))
    assert often == never
    examined = [line["step"] for line in lines(tmp_path / "often/curve.jsonl") if "verdict" in line]
    assert examined == [0, 1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines(tmp_path / "never/curve.jsonl") if "verdict" in line] == [0, 6]


def test_a_healthy_run_is_not_blamed(simclr_values, dino_values, shards, tmp_path):
    # Batch norm in the head sets the features of so small a network apart; without it this DINO does collapse.
    dino_values["dino"]["head_batch_norm"] = True
    for values in (simclr_values, dino_values):
        values = watched({**values, "steps": 40}, every_steps=4)
        curve = train(values, shards, tmp_path / values["method"])
        assert {line["verdict"] for line in curve if "verdict" in line} == {"healthy"}
        assert curve[0]["step"] == 0
        assert curve[0]["eval_feature_std"] < 0.2  # features nearly alike at the start are no collapse


def test_features_that_an_absurd_learning_rate_leaves_alike_are_named(simclr_values, shards, tmp_path):
    values = watched({**simclr_values, "steps": 40, "learning_rate": 1000.0, "warmup_epochs": 0}, every_steps=4)
    sentence, curve = collapse(values, shards, tmp_path)
    assert sentence.startswith("small: collapsed by step 4: constant features: eval_feature_std is ")
    assert "lower learning_rate" in sentence
    assert (curve[-1]["step"], curve[-1]["verdict"].split(":")[0]) == (4, "constant features")


@pytest.mark.parametrize("every_steps", [1, 5, 16])
def test_an_encoder_that_is_constant_is_named_within_one_evaluation(
    simclr_values, shards, tmp_path, monkeypatch, every_steps
):
    def die(self, step):
        if step == 17:
            with torch.no_grad():
                for parameter in self.backbone.parameters():
                    parameter.zero_()

    monkeypatch.setattr(Simclr, "after_step", die)
    values = watched({**simclr_values, "steps": 60}, every_steps=every_steps)
    sentence, curve = collapse(values, shards, tmp_path)
    named = next(step for step in range(18, 60) if step % every_steps == 0)
    assert f"small: collapsed by step {named}: constant features: eval_feature_std is " in sentence
    assert "at the start" in sentence
    assert (curve[-1]["step"], curve[-1]["verdict"].split(":")[0]) == (named, "constant features")
    assert {line["verdict"] for line in curve[:-1] if "verdict" in line} == {"healthy"}


def test_dino_without_centring_collapses_to_a_constant_output(dino_values, shards, tmp_path):
    dino_values["dino"]["center_momentum"] = 1.0
    values = watched({**dino_values, "steps": 100, "warmup_epochs": 0}, every_steps=10)
    sentence, curve = collapse(values, shards, tmp_path)
    assert "constant output" in sentence
    assert "center_momentum" in sentence
    assert curve[-1]["step"] < 100


def test_dino_without_sharpening_collapses_to_the_uniform_output(dino_values, shards, tmp_path):
    dino_values["dino"] |= {"teacher_temperature": 5.0, "warmup_teacher_temperature": 5.0}
    values = watched({**dino_values, "steps": 40}, every_steps=8)
    sentence, curve = collapse(values, shards, tmp_path)
    assert "uniform output: the teacher's entropy is " in sentence
    assert "temperature" in sentence
    assert curve[-1]["step"] == 8


def test_an_output_that_is_constant_is_named_though_features_are_not(simclr_values, shards, tmp_path, monkeypatch):
    monkeypatch.setattr(Simclr, "forward", constant_output(Simclr.forward))
    values = watched({**simclr_values, "steps": 20}, every_steps=4)
    sentence, curve = collapse(values, shards, tmp_path)
    assert "collapsed by step 4: constant output: output_std is 0" in sentence
    assert curve[-1]["eval_feature_std"] > 0.01


def constant_output(forward):
    """From step 2 on the head gives the same for all images."""

    def changed(self, crops, step):
        if step == 2:
            self.head.layers = nn.Sequential(self.head.layers, Constant())
        return forward(self, crops, step)

    return changed


class Constant(nn.Module):
    def forward(self, outputs):
        return 0 * outputs + 1


@pytest.mark.parametrize("on_collapse", ["stop", "continue"])
def test_an_encoder_that_is_not_finite_ends_the_run_in_any_case(
    simclr_values, shards, tmp_path, monkeypatch, on_collapse
):
    def die(self, step):
        if step == 5:  # a statistic that training itself does not look at
            next(module for module in self.backbone.modules() if isinstance(module, nn.BatchNorm2d)).running_mean.fill_(
                math.nan
            )

    monkeypatch.setattr(Simclr, "after_step", die)
    values = watched({**simclr_values, "steps": 20}, on_collapse=on_collapse)
    sentence, curve = collapse(values, shards, tmp_path)
    assert "collapsed by step 8: not finite: eval_feature_std is nan" in sentence
    assert "on_collapse" not in sentence
    assert curve[-1]["verdict"].startswith("not finite")


def test_a_loss_that_is_not_finite_is_the_last_verdict(dino_values, shards, tmp_path, monkeypatch):
    def diverge(self, crops, step):
        loss, figures = forward(self, crops, step)
        return loss * (math.nan if step == 5 else 1.0), figures

    forward = Dino.forward
    monkeypatch.setattr(Dino, "forward", diverge)
    sentence, curve = collapse({**dino_values, "steps": 20}, shards, tmp_path)
    assert "the loss is nan after step 8; lower learning_rate" in sentence
    assert curve[-1]["verdict"] == "not finite: the loss is nan"


def test_a_collapsed_run_may_go_on_and_bears_the_verdict(dino_values, shards, tmp_path, capsys):
    dino_values["dino"] |= {"teacher_temperature": 5.0, "warmup_teacher_temperature": 5.0}
    curve = train(watched({**dino_values, "steps": 20}, on_collapse="continue", every_steps=10), shards, tmp_path)
    assert (tmp_path / "encoder.pt").exists()
    assert [line["verdict"].split(":")[0] for line in curve if "verdict" in line] == [
        "healthy",
        "uniform output",
        "uniform output",
    ]
    assert "warning: small: collapsed by step 10: uniform output" in capsys.readouterr().err


def test_labels_are_told_by_neighbours_where_a_data_set_is_configured(simclr_values, shards, tmp_path):
    random = np.random.default_rng(0)
    rows = ["path,label,split"]
    for index in range(20):
        picture = random.integers(0, 60, (16, 16, 3), np.uint8) + np.uint8(120 * (index % 2))
        cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
        rows.append(f"{index}.png,{'ab'[index % 2]},{'train' if index < 16 else 'test'}")
    (tmp_path / "patches.csv").write_text("\n".join(rows) + "\n")
    values = watched(simclr_values, knn="mine:train")
    curve = train(values, shards, tmp_path, knn_source=tmp_path / "patches.csv")
    assert next(line["knn_accuracy"] for line in curve if "verdict" in line) == 1.0
    with pytest.raises(UserError, match="has no split 'trian'; did you mean 'train'"):
        train(watched(simclr_values, knn="mine:trian"), shards, tmp_path, knn_source=tmp_path / "patches.csv")


@pytest.mark.slow
def test_two_processes_end_with_the_same_sentence(simclr_values, shard_paths, tmp_path):
    values = watched({**simclr_values, "steps": 40, "learning_rate": 1000.0, "warmup_epochs": 0}, every_steps=4)
    (tmp_path / "slides.txt").write_text("a\nb\n")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = [
        *(str(SCRIPT), "--name", "small", "--settings", json.dumps(values)),
        *("--slides", str(tmp_path / "slides.txt"), "--shards", str(shard_paths[0].parent)),
        *("--output", str(tmp_path / "encoder.pt"), "--curve", str(tmp_path / "curve.jsonl")),
        *("--checkpoints", str(tmp_path / "checkpoints"), "--workers", "0"),
    ]
    ended = subprocess.run([*torchrun, *script], capture_output=True, text=True, timeout=240)
    assert ended.returncode == 1
    assert ended.stderr.count("error: small: collapsed by step 4: constant features") == 2  # torchrun shows each
    (curve,) = tmp_path.glob("checkpoints/*/curve.jsonl")
    assert [line["step"] for line in lines(curve)] == [0, 4]
