"""The training loop: the same for every method, from one CPU core to many GPUs.

    python workflow/scripts/pretrain.py --settings JSON --slides slides.txt --shards FOLDER --output encoder.pt ...
    torchrun --standalone --nproc-per-node 4 workflow/scripts/pretrain.py ...

A run that was broken off goes on from its last checkpoint and ends in the same weights.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from histossl.encoders.backbone import build_backbone, count_features
from histossl.encoders.encoder_file import EncoderCard, save_encoder
from histossl.errors import JobError, UserError
from histossl.ssl.batches import PatchViews, StepSampler, load_batches
from histossl.ssl.checkpoints import Checkpoints
from histossl.ssl.crops import CropMaker
from histossl.ssl.health import Health
from histossl.ssl.method import Horizon, check_takes
from histossl.ssl.processes import join_processes
from histossl.ssl.settings import PretrainSettings
from histossl.ssl.training import Training
from histossl.ssl.training_log import TrainingLog, read_curve
from histossl.ssl.waiting import WaitingClock
from histossl.stain.normaliser import Normaliser
from histossl.tiles.shards import ShardSet

LOG_EVERY_STEPS = 10


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
    compiled: bool = False,
    knn_source: Path | None = None,
    knn_layout: str = "",
    knn_stain: Normaliser | None = None,
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
        compiled: whether torch.compile works on the networks first, which pays in long runs.
        knn_source: the patch data set that `settings.health.knn` names.
        knn_layout: how it lies on the disk, see `histossl.patch_datasets.listing.read_patch_dataset`.
        knn_stain: how its colours are normalised.

    Raises:
        JobError: processes on several nodes see different checkpoints.
        UserError: settings and patches don't fit, or the run has collapsed.
        SystemExit: SIGTERM or SIGUSR1 came; a checkpoint has been written.
    """
    with join_processes() as processes:
        device = processes.device
        horizon = plan_horizon(settings, len(shards))
        finished = build_backbone(settings.model, settings.model_args, settings.seed)
        check_takes(finished, settings.model, settings.input_px)
        training = Training(settings, horizon, processes, compiled)
        identity = {**asdict(settings), "code": code, "slides": shards.slides}
        del identity["health"]  # how a run is watched changes nothing of it
        checkpoints = Checkpoints(checkpoints_dir, identity, shards.data_hash)
        first_step = damaged = 0
        if (saved := checkpoints.load_newest()) is not None:
            training.load(saved["training"])
            first_step, damaged = saved["step"], saved["damaged"]
        del saved  # as large as the networks and the optimizer together
        if processes.largest(first_step) != -processes.largest(-first_step):
            raise JobError(
                f"{name}: the processes see different checkpoints in {checkpoints.folder}, whose file system shows new "
                "files late on some nodes; start the run again"
            )
        health = Health(settings, shards, device, knn_source, knn_layout, knn_stain) if processes.is_main else None

        sampler = StepSampler(
            shards.slide_index,
            settings.sampling,
            settings.batch,
            settings.seed,
            first_step,
            horizon.steps,
            processes.rank,
            processes.count,
            settings.accumulate,
        )
        views = PatchViews(shards, settings.augmentation, settings.seed, on_device=device.type == "cuda")
        batches = load_batches(views, sampler, workers, pin_memory=device.type == "cuda")
        make_crops = CropMaker(settings, device)
        log = TrainingLog(
            name,
            settings,
            horizon,
            first_step,
            processes,
            checkpoints.folder / "curve.jsonl",
            curve_path.parent / "tensorboard",
            len(shards),
            damaged if processes.is_main else 0,
        )
        waiting = WaitingClock(device)
        saved_at = time.monotonic()

        def take_crops() -> list[torch.Tensor]:
            """The next part of a batch, as the networks take it."""
            with waiting:
                batch = next(batches)
            log.name_damaged(batch.damaged)
            return make_crops(batch)

        def examine() -> dict[str, float]:
            """Figures of the encoder, in the main process; the others wait for it in `log.write`."""
            with log.paused():
                return health.examine(training.method.encoder()) if health is not None else {}

        with closing(batches), catch_signals() as caught:
            untrained = examine() if first_step == 0 else {}
            for step in range(first_step, horizon.steps):
                try:
                    figures = training.step(step, (take_crops() for _ in range(settings.accumulate)))
                except torch.OutOfMemoryError as error:
                    raise UserError(
                        f"{name}: the GPU's memory does not hold its share of {settings.batch // settings.accumulate} "
                        f"patches over {processes.count} GPU(s); raise `accumulate` (now {settings.accumulate}) or "
                        "`compute: pretrain_gpus`, or lower `batch`"
                    ) from error
                if step == 0:
                    log.write(0, figures, training.learning_rate, untrained)
                last = step + 1 == horizon.steps
                examined = examine() if last or (step + 1) % settings.health.every_steps == 0 else None
                if last or (step + 1) % LOG_EVERY_STEPS == 0 or examined is not None:
                    log.waited(waiting.take())
                    log.write(step + 1, figures, training.learning_rate, examined)
                stopping = processes.largest(max(caught, default=0))
                saving = stopping or processes.largest(int(time.monotonic() - saved_at > checkpoint_every_s))
                damaged = log.count_unwritten_damaged() if saving else 0
                if saving and processes.is_main:
                    log.check_finite(step + 1, float(figures["loss"]))
                    checkpoints.save(step + 1, {"step": step + 1, "training": training.state(), "damaged": damaged})
                    saved_at = time.monotonic()
                if stopping:
                    if processes.is_main:
                        print(
                            f"[{name}] {signal.Signals(stopping).name}: stopped after step {step + 1} with a "
                            f"checkpoint in {checkpoints.folder}; the same command goes on from there",
                            file=sys.stderr,
                        )
                    processes.largest(0)  # none ends before the checkpoint is written: torchrun would end the others
                    raise SystemExit(128 + stopping)

        if processes.is_main:
            finished.load_state_dict(training.method.encoder().state_dict())
            card = EncoderCard(
                model=settings.model,
                model_args=settings.model_args,
                mean=settings.mean,
                std=settings.std,
                input_px=settings.input_px,
                spacing_um=(shards.spacing_um,),
                feature_dim=count_features(finished, settings.input_px),
                method=settings.method,
                training=asdict(settings),
                data_hash=shards.data_hash,
                patch_px=shards.patch_px,
                slides=tuple(shards.slides),
            )
            save_encoder(output, card, finished, read_curve(log.working_file, horizon.steps))
            log.finish(output, curve_path)
            checkpoints.remove()


def plan_horizon(settings: PretrainSettings, patches: int) -> Horizon:
    """How long a run on so many patches is.

    Raises:
        UserError: it has no step, or its warm-up never ends.
    """
    steps_per_epoch = max(patches // settings.batch, 1)
    steps = settings.steps if settings.steps is not None else round(settings.epochs * steps_per_epoch)
    if steps < 1:
        raise UserError(
            f"{settings.epochs} epochs of {patches} patches are less than one batch of {settings.batch}; "
            "raise `epochs`, lower `batch`, or add slides"
        )
    warmup_steps = round(settings.warmup_epochs * steps_per_epoch)
    if warmup_steps >= steps:
        raise UserError(
            f"the warm-up of {settings.warmup_epochs:g} epochs takes {warmup_steps} steps, no less than the whole run "
            f"of {steps}; lower `warmup_epochs` or lengthen the run"
        )
    return Horizon(steps, steps_per_epoch)


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Yield a list to which SIGTERM and SIGUSR1 are added as they come.

    Whichever process is signalled, all end after the same step: were one to stop at once, the others could not end it.
    """
    caught: list[int] = []

    def catch(number: int, _: object) -> None:
        caught.append(number)

    before = {number: signal.signal(number, catch) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
