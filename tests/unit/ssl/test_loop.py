import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import load_encoder
from histossl.errors import UserError
from histossl.ssl.dino import Dino
from histossl.ssl.loop import pretrain
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings
from histossl.ssl.simclr import Simclr

SCRIPT = Path(__file__).parents[3] / "workflow/scripts/pretrain.py"


def train(values, shards, folder, **more):
    """Run to the end; the weights and the curve without its timings."""
    settings = read_settings(values, METHODS)
    pretrain(
        "small", settings, shards, folder / "encoder.pt", folder / "curve.jsonl", folder / "checkpoints", 0, **more
    )
    return load_encoder(folder / "encoder.pt")[2], figures(folder / "curve.jsonl")


def figures(path):
    """The lines of a curve without what depends on the clock."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: line[key] for key in line if key not in ("images_per_s", "waiting_share", "hours")} for line in lines]


@pytest.fixture(params=["dino", "simclr"])
def values(request, dino_values, simclr_values):
    return {"dino": dino_values, "simclr": simclr_values}[request.param]


def test_an_encoder_comes_out_with_its_card_and_curve(values, shards, tmp_path):
    train({**values, "steps": 20}, shards, tmp_path)
    network, card, _ = load_encoder(tmp_path / "encoder.pt")
    assert (card.method, card.input_px, card.spacing_um) == (values["method"], 16, (1.0,))
    assert card.data_hash == shards.data_hash
    assert network(torch.zeros(1, 3, 16, 16)).shape == (1, card.feature_dim)
    start = build_backbone(values["model"], values["model_args"], values["seed"]).state_dict()
    assert any(not torch.equal(tensor, start[name]) for name, tensor in network.state_dict().items())
    curve = figures(tmp_path / "curve.jsonl")
    assert [line["step"] for line in curve] == [0, 4, 8, 10, 12, 16, 20]
    assert {"loss", "learning_rate", "feature_std"} <= set(curve[0])
    assert not (tmp_path / "checkpoints").exists()


def test_epochs_and_steps_are_two_words_for_one_length(simclr_values, shards, tmp_path):
    # 32 patches in batches of 8: 4 steps an epoch.
    epochs = {**simclr_values, "steps": None, "epochs": 1.5}
    assert train(epochs, shards, tmp_path) == train(simclr_values, shards, tmp_path)


@pytest.mark.parametrize("broken_after", [0, 5])
def test_an_interrupted_run_ends_in_the_same_weights(values, shards, tmp_path, monkeypatch, broken_after):
    values = {**values, "steps": 8}
    monkeypatch.setattr("os.fsync", lambda _: None)
    whole = train(values, shards, tmp_path / "whole")
    method = METHODS[values["method"]]

    def break_off(self, step):
        if step == broken_after:
            raise KeyboardInterrupt
        after_step(self, step)

    after_step = method.after_step
    with monkeypatch.context() as patch:
        patch.setattr(method, "after_step", break_off)
        with pytest.raises(KeyboardInterrupt):
            train(values, shards, tmp_path / "cut", checkpoint_every_s=0)
    assert len(list(tmp_path.glob("cut/checkpoints/*/step-*.pt"))) == min(broken_after, 2)
    assert train(values, shards, tmp_path / "cut") == whole


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_writes_a_checkpoint_and_ends_the_run(values, shards, tmp_path, monkeypatch, capsys, name):
    whole = train(values, shards, tmp_path / "whole")
    number = getattr(signal, name)
    handler = signal.getsignal(number)
    method = METHODS[values["method"]]

    def send(self, step):
        after_step(self, step)
        if step == 2:
            os.kill(os.getpid(), number)

    after_step = method.after_step
    with monkeypatch.context() as patch:
        patch.setattr(method, "after_step", send)
        with pytest.raises(SystemExit) as ended:
            train(values, shards, tmp_path / "cut")
    assert ended.value.code == 128 + number
    assert f"{name}: stopped after step 3" in capsys.readouterr().err
    assert signal.getsignal(number) == handler
    (checkpoint,) = tmp_path.glob("cut/checkpoints/*/step-*.pt")
    assert checkpoint.name == "step-000000003.pt"
    assert train(values, shards, tmp_path / "cut") == whole
    assert "resuming after 3 of 6 steps" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [Dino, Simclr])
def test_a_loss_that_is_not_finite_is_named(kind, dino_values, simclr_values, shards, tmp_path, monkeypatch):
    def diverge(self, crops, step):
        loss, figures = forward(self, crops, step)
        return loss * float("nan"), figures

    forward = kind.forward
    monkeypatch.setattr(kind, "forward", diverge)
    values = dino_values if kind is Dino else simclr_values
    with pytest.raises(UserError, match="the loss is nan after step 0; lower learning_rate"):
        train(values, shards, tmp_path)
    assert not (tmp_path / "encoder.pt").exists()


def test_mixed_precision_trains(dino_values, shards, tmp_path):
    *_, last = train({**dino_values, "precision": "bf16"}, shards, tmp_path)[1]
    full = train(dino_values, shards, tmp_path)[1][-1]
    assert last["loss"] != full["loss"]
    assert last["loss"] == pytest.approx(full["loss"], rel=0.05)


def test_an_input_size_that_the_network_cannot_take_is_refused_before_training(dino_values, shards, tmp_path):
    with pytest.raises(UserError, match="does not take pictures of 20 px"):
        train({**dino_values, "input_px": 20}, shards, tmp_path)


def command(values, paths, folder, *more):
    folder.mkdir(exist_ok=True)
    slides = folder / "slides.txt"
    slides.write_text("".join(f"{path.stem}\n" for path in paths))
    return [
        str(SCRIPT),
        *("--name", "tiny"),
        *("--settings", json.dumps(values)),
        *("--slides", str(slides)),
        *("--shards", str(paths[0].parent)),
        *("--output", str(folder / "encoder.pt")),
        *("--curve", str(folder / "curve.jsonl")),
        *("--checkpoints", str(folder / "checkpoints")),
        *more,
    ]


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(dino_values, shard_paths, shards, tmp_path):
    values = {**dino_values, "training_args": {}, "steps": 20}
    _, alone = train(values, shards, tmp_path / "one")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    more = ("--workers", "0")
    subprocess.run(torchrun + command(values, shard_paths, tmp_path / "two", *more), check=True, capture_output=True)
    together = figures(tmp_path / "two/curve.jsonl")
    assert [line["step"] for line in alone] == [line["step"] for line in together]
    assert alone[-1]["step"] == 20
    for one, two in zip(alone, together, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)


@pytest.mark.slow
def test_a_terminated_process_exits_with_a_checkpoint_though_its_workers_are_signalled_too(
    simclr_values, shard_paths, tmp_path
):
    values = {**simclr_values, "steps": 100_000}
    line = [sys.executable, *command(values, shard_paths, tmp_path, "--workers", "1")]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True)
    for heard in process.stderr:
        if "/100000 steps" in heard:
            break
    os.killpg(process.pid, signal.SIGTERM)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert "SIGTERM: stopped after step" in rest
    assert len(list(tmp_path.glob("checkpoints/*/step-*.pt"))) == 1


def test_a_run_of_no_step_is_refused_instead_of_passing_for_trained(simclr_values, shards, tmp_path):
    with pytest.raises(UserError, match="less than one batch"):
        train({**simclr_values, "steps": None, "epochs": 0.001, "warmup_epochs": 0}, shards, tmp_path)
    assert not (tmp_path / "encoder.pt").exists()


@pytest.mark.parametrize("length", [{"steps": 6}, {"steps": None, "epochs": 2.0}])
def test_a_warm_up_as_long_as_the_run_is_refused(simclr_values, shards, tmp_path, length):
    with pytest.raises(UserError, match="lower `warmup_epochs`"):
        train({**simclr_values, **length, "warmup_epochs": 2.0}, shards, tmp_path)
