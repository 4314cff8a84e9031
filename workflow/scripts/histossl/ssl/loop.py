"""The training loop: the same for every method, from one CPU core to many GPUs.

    python workflow/scripts/pretrain.py --settings JSON --sheet slides.csv --shards FOLDER --output encoder.pt ...
    torchrun --standalone --nproc-per-node 4 workflow/scripts/pretrain.py ...

The state of a run after a step is a function of its settings and its patches: all random numbers of a step come from
the seed and the step. A run that was broken off goes on from its last checkpoint and ends in the same weights.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from histossl.encoders.backbone import build_backbone, count_features
from histossl.encoders.encoder_file import EncoderCard, save_encoder
from histossl.errors import UserError
from histossl.ssl.batches import PatchViews, StepSampler, load_batches
from histossl.ssl.checkpoints import Checkpoints
from histossl.ssl.method import Horizon, Method, check_takes
from histossl.ssl.methods import METHODS
from histossl.ssl.optimizers import build_optimizer, set_schedules
from histossl.ssl.processes import join_processes
from histossl.ssl.settings import PretrainSettings
from histossl.ssl.training_log import TrainingLog
from histossl.tiles.shards import ShardSet

LOG_EVERY_STEPS = 10
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pretrain(
    name: str,
    settings: PretrainSettings,
    shards: ShardSet,
    output: Path,
    curve_path: Path,
    checkpoints_dir: Path,
    workers: int,
    checkpoint_every_s: float = 600.0,
    code: str = "",
) -> None:
    """Train an encoder on the patches of `shards` and write it to `output`.

    Args:
        name: the encoder's name, for messages.
        settings: all that determines the result, together with the patches.
        shards: the patches.
        output: `encoder.pt`; see `histossl.encoders.encoder_file`.
        curve_path: the training curve, JSON lines.
        checkpoints_dir: checkpoints lie in a folder in it while the run lasts.
        workers: processes that prepare batches, for each training process; 0 for none.
        checkpoint_every_s: seconds between checkpoints.
        code: fingerprint of the code; a checkpoint of other code is not resumed.

    Raises:
        UserError: settings and patches don't fit, or the loss is no longer finite.
        SystemExit: SIGTERM or SIGUSR1 came; a checkpoint has been written.
    """
    with join_processes() as processes:
        device = processes.device
        steps_per_epoch = max(len(shards) // settings.batch, 1)
        steps = settings.steps if settings.steps is not None else round(settings.epochs * steps_per_epoch)
        if steps < 1:
            raise UserError(
                f"{settings.epochs} epochs of {len(shards)} patches are less than one batch of {settings.batch}; "
                "raise `epochs`, lower `batch`, or add slides"
            )
        horizon = Horizon(steps, steps_per_epoch)
        finished = build_backbone(settings.model, settings.model_args, settings.seed)
        check_takes(finished, settings.model, settings.input_px)

        torch.manual_seed(settings.seed)
        method = METHODS[settings.method](settings, horizon).to(device, memory_format=torch.channels_last)
        if device.type == "cuda" and processes.count > 1:
            method = nn.SyncBatchNorm.convert_sync_batchnorm(method)
        optimizer = build_optimizer(settings, method)
        scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")

        checkpoints = Checkpoints(checkpoints_dir, {**asdict(settings), "code": code}, shards.data_hash)
        first_step = resume(checkpoints, method, optimizer, scaler)
        model = method
        if processes.count > 1:
            model = DistributedDataParallel(method, device_ids=[device] if device.type == "cuda" else None)

        sampler = StepSampler(
            shards.slide_index,
            settings.sampling,
            settings.batch,
            settings.seed,
            first_step,
            horizon.steps,
            processes.rank,
            processes.count,
        )
        views = PatchViews(shards, settings.augmentation, settings.seed)
        batches = load_batches(views, sampler, workers, pin_memory=device.type == "cuda")
        normalise = Normaliser(settings, device)
        log = TrainingLog(name, settings, horizon, first_step, processes, checkpoints.folder / "curve.jsonl")
        saved_at = time.monotonic()

        with catch_signals(processes.is_main) as caught:
            for step in range(first_step, horizon.steps):
                waiting_since = time.monotonic()
                batch = next(batches)
                log.waited(time.monotonic() - waiting_since)
                log.name_damaged(batch.damaged)

                crops = [normalise(crop) for crop in batch.crops]
                seed_step(settings.seed, step, processes.rank)
                set_schedules(optimizer, settings, horizon, step)
                optimizer.zero_grad()
                with autocast(device, settings.precision):
                    loss, figures = model(crops, step)
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                method.after_backward(step)
                clip_gradients(method, settings.gradient_clip)
                scaler.step(optimizer)
                scaler.update()
                method.after_step(step)

                if (step + 1) % LOG_EVERY_STEPS == 0 or step + 1 == horizon.steps:
                    log.write(step + 1, {"loss": loss, **figures}, optimizer.param_groups[0]["lr"])
                if caught or (processes.is_main and time.monotonic() - saved_at > checkpoint_every_s):
                    log.check_finite(step + 1, float(loss.detach()))
                    checkpoints.save(step + 1, state_of(step + 1, method, optimizer, scaler))
                    saved_at = time.monotonic()
                if caught:
                    print(
                        f"[{name}] {signal.Signals(caught[0]).name}: stopped after step {step + 1} with a "
                        f"checkpoint in {checkpoints.folder}; the same command goes on from there",
                        file=sys.stderr,
                    )
                    raise SystemExit(128 + caught[0])

        if processes.is_main:
            finished.load_state_dict(method.encoder().state_dict())
            card = EncoderCard(
                model=settings.model,
                model_args=settings.model_args,
                mean=settings.mean,
                std=settings.std,
                input_px=settings.input_px,
                spacing_um=shards.spacing_um,
                feature_dim=count_features(finished, settings.input_px),
                method=settings.method,
                training=asdict(settings),
                data_hash=shards.data_hash,
            )
            save_encoder(output, card, finished)
            log.finish(output, curve_path)
            checkpoints.remove()


def resume(
    checkpoints: Checkpoints, method: Method, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> int:
    """Load the newest sound checkpoint, if there is one, and return the number of steps it has behind it."""
    state = checkpoints.load_newest()
    if state is None:
        return 0
    method.load_state_dict(state["method"])
    optimizer.load_state_dict(state["optimizer"])
    scaler.load_state_dict(state["scaler"])
    return state["step"]


def state_of(
    step: int, method: Method, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> dict[str, Any]:
    """All that a run needs to go on after `step` steps."""
    return {
        "step": step,
        "method": method.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
    }


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch (e.g. drop path) by the step, so that there is no state of random numbers to save and restore."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1)))


def autocast(device: torch.device, precision: str) -> torch.autocast | nullcontext:
    """The context in which the networks run; losses leave it."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, AUTOCAST[precision])


def clip_gradients(method: Method, limit: float | None) -> None:
    """Clip the norm of each parameter's gradient by itself, as the original DINO does."""
    if limit is not None:
        for parameter in method.parameters():
            if parameter.grad is not None:
                nn.utils.clip_grad_norm_(parameter, limit)


class Normaliser:
    """uint8 crops (V, B, px, px, 3) to normalised float32 (V, B, 3, px, px) on the device, channels last in memory."""

    def __init__(self, settings: PretrainSettings, device: torch.device) -> None:
        self.device = device
        self.shift = 255 * torch.tensor(settings.mean, device=device)
        self.factor = 1 / (255 * torch.tensor(settings.std, device=device))

    def __call__(self, crops: torch.Tensor) -> torch.Tensor:
        """Normalise."""
        values = crops.to(self.device, non_blocking=True).float()
        return values.sub_(self.shift).mul_(self.factor).permute(0, 1, 4, 2, 3)


@contextmanager
def catch_signals(is_main: bool) -> Iterator[list[int]]:
    """Yield a list to which SIGTERM and SIGUSR1 are added as they come.

    The state is the same in all processes, so that the main one alone saves it. The others work on until it has:
    were they to stop at once, it could not end its step. What started the processes ends them then.
    """
    caught: list[int] = []

    def catch(number: int, _: object) -> None:
        if is_main:
            caught.append(number)

    before = {number: signal.signal(number, catch) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
