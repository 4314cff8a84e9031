"""One step of training: networks, optimizer and scaler, and how they move together."""

import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch.nn.parallel import DistributedDataParallel

from histossl.ssl.batch_norm import share_statistics
from histossl.ssl.method import Horizon
from histossl.ssl.methods import METHODS
from histossl.ssl.optimizers import build_optimizer, clip_gradients, set_schedules
from histossl.ssl.processes import Processes
from histossl.ssl.settings import PretrainSettings
from histossl.ssl.share import Share

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Training:
    """The state of a run.

    After a step it is a function of the settings and the patches: all random numbers of a step come from the seed and
    the step, so that none of their state needs to be kept.
    """

    def __init__(
        self, settings: PretrainSettings, horizon: Horizon, processes: Processes, compiled: bool = False
    ) -> None:
        """Build the networks as they are before training.

        Args:
            settings: of the run.
            horizon: its length.
            processes: those that share its work.
            compiled: whether torch.compile works on the networks; it pays in long runs.

        Raises:
            UserError: the settings don't fit the method or the network.
        """
        self.settings, self.horizon, self.processes = settings, horizon, processes
        share = Share(settings.batch // settings.accumulate, processes.rank, processes.count)
        torch.manual_seed(settings.seed)
        self.method = METHODS[settings.method](settings, horizon, share)
        self.method.to(processes.device, memory_format=torch.channels_last)
        if processes.device.type == "cpu":
            # Torch's fused attention saves memory there, but costs a tenth of the step's time.
            for module in self.method.modules():
                if hasattr(module, "fused_attn"):
                    module.fused_attn = False
        if processes.count > 1:
            self.method = share_statistics(self.method, processes.device)
        if compiled:
            for network in self.method.backbones():
                network.compile(dynamic=False)
        self.optimizer = build_optimizer(settings, self.method)
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=settings.precision == "fp16")
        self.model = self.method
        if processes.count > 1:
            devices = [processes.device] if processes.device.type == "cuda" else None
            with warnings.catch_warnings():
                # Buffers are not sent around: they come out alike in all processes. Torch 2.13 renamed the argument.
                warnings.simplefilter("ignore", FutureWarning)
                self.model = DistributedDataParallel(self.method, device_ids=devices, broadcast_buffers=False)

    def step(self, step: int, parts: Iterable[list[torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Do step `step` (from 0) on a batch that comes in `settings.accumulate` parts.

        Args:
            step: counts from 0.
            parts: what `Method.forward` takes, this process's share of each part.

        Returns:
            The loss and the method's figures, means over the parts, of this process.
        """
        settings, method = self.settings, self.method
        set_schedules(self.optimizer, settings, self.horizon, step)
        self.optimizer.zero_grad()
        figures: list[dict[str, torch.Tensor]] = []
        for part, crops in enumerate(parts):
            seed_step(settings.seed, step, part)
            # Gradients are summed over the processes once, with those of the last part.
            summed = part + 1 == settings.accumulate or self.processes.count == 1
            with nullcontext() if summed else self.model.no_sync():
                with autocast(self.processes.device, settings.precision):
                    loss, more = self.model(crops, step)
                self.scaler.scale(loss / settings.accumulate).backward()
            figures.append({"loss": loss.detach(), **more})
        self.scaler.unscale_(self.optimizer)
        method.after_backward(step)
        clip_gradients(method, settings.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        method.after_step(step)
        return {name: torch.stack([part[name] for part in figures]).mean() for name in figures[0]}

    @property
    def learning_rate(self) -> float:
        """Of the last step."""
        return self.optimizer.param_groups[0]["lr"]

    def state(self) -> dict[str, Any]:
        """All that a run needs to go on."""
        return {
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take on what `state` gave."""
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


def seed_step(seed: int, step: int, part: int) -> None:
    """Seed torch's random numbers for a part of a step; the same in all processes (see `Share`)."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, part]).generate_state(1, np.uint64)[0] >> np.uint64(1)))


def autocast(device: torch.device, precision: str) -> torch.autocast | nullcontext:
    """The context in which the networks run; losses leave it."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, AUTOCAST[precision])
