import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from histossl.ssl.method import Horizon
from histossl.ssl.methods import METHODS
from histossl.ssl.processes import Processes
from histossl.ssl.settings import read_settings
from histossl.ssl.training import Training

STEPS = 5


def train(values: dict, rank: int, count: int) -> list[dict[str, float]]:
    """The figures of each step, means over the processes, of a run on random pictures."""
    settings = read_settings(values, METHODS)
    processes = Processes(rank, count, torch.device("cpu"))
    training = Training(settings, Horizon(STEPS, steps_per_epoch=2), processes)
    random = torch.Generator().manual_seed(0)
    sides: dict[int, int] = {}
    for view in settings.augmentation.views:
        sides[view.px] = sides.get(view.px, 0) + view.count
    curve = []
    for step in range(STEPS):
        crops = [torch.randn(views, settings.batch, 3, px, px, generator=random) for px, views in sides.items()]
        parts = [
            [part[:, rank::count] for part in parts]
            for parts in zip(*(crop.chunk(settings.accumulate, dim=1) for crop in crops), strict=True)
        ]
        figures = training.step(step, parts)
        curve.append({name: processes.mean(figure) for name, figure in figures.items()})
    return curve


def train_all(rank: int, count: int, runs: dict[str, dict], folder: str) -> None:
    """All runs, one after the other, as process `rank` of `count`; the first writes what came of them."""
    torch.set_num_threads(1)
    # In float64 what is left of rounding is far below any true difference.
    torch.set_default_dtype(torch.float64)
    if count > 1:
        distributed.init_process_group("gloo", init_method=f"file://{folder}/meet{count}", rank=rank, world_size=count)
    curves = {name: train(values, rank, count) for name, values in runs.items()}
    if rank == 0:
        (Path(folder) / f"curves{count}.json").write_text(json.dumps(curves), "utf-8")
    if count > 1:
        distributed.destroy_process_group()


@pytest.mark.slow
def test_losses_and_figures_do_not_depend_on_the_number_of_processes(
    dino_values, simclr_values, ibot_values, byol_values, tmp_path
):
    views = ibot_values["augmentation"]["views"]
    larger = [{**view, "px": px} for view, px in zip(views, (32, 16), strict=True)]
    ibot_values["augmentation"] = {**ibot_values["augmentation"], "views": larger}
    drop_path = {"training_args": {"drop_path_rate": 0.2}}
    runs = {
        "dino": dino_values,
        "dino in two parts": {**dino_values, "accumulate": 2},
        "ibot": ibot_values,
        "ibot with batch norm": {**ibot_values, "ibot": {**ibot_values["ibot"], "head_batch_norm": True}},
        "simclr": {**simclr_values, **drop_path},
        "byol": {**byol_values, **drop_path},
    }
    for count in (1, 2, 4):
        # Forked, the processes would wait for ever on threads of the autograd engine that stay behind.
        multiprocessing.spawn(train_all, (count, runs, str(tmp_path)), nprocs=count)
    curves = {count: json.loads((tmp_path / f"curves{count}.json").read_text("utf-8")) for count in (1, 2, 4)}
    for name in runs:
        for count in (2, 4):
            for step, (one, several) in enumerate(zip(curves[1][name], curves[count][name], strict=True)):
                assert several == pytest.approx(one, rel=1e-6), f"{name}, {count} processes, step {step}"
        losses = [figures["loss"] for figures in curves[1][name]]
        assert np.ptp(losses) > 1e-2, f"{name}: the losses of all steps are alike, so that the test shows nothing"
