"""Batch norm whose statistics are those of the batch of all processes together."""

from types import MethodType

import torch
from timm.layers import convert_sync_batchnorm
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SumOverProcesses(torch.autograd.Function):
    """Sum of a tensor over the processes; gradients come from all of them too."""

    @staticmethod
    def forward(context: object, values: torch.Tensor) -> torch.Tensor:
        """Sum."""
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: object, gradient: torch.Tensor) -> torch.Tensor:
        """Each process's values went into the sum of each process."""
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


def share_statistics(network: nn.Module, device: torch.device) -> nn.Module:
    """Make all batch norm layers of `network` use the statistics of all processes.

    On GPUs that is torch's SyncBatchNorm; it has no CPU version, so that there the layers are given a forward of
    their own, in place. Weights, buffers and their names stay.
    """
    if device.type == "cuda":
        return convert_sync_batchnorm(network)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.forward = MethodType(normalise_globally, module)
    return network


def normalise_globally(layer: _BatchNorm, values: torch.Tensor) -> torch.Tensor:
    """Batch norm of `values` (B, C, ...) as `layer` says, over the values of all processes."""
    shape = [1, -1] + [1] * (values.ndim - 2)
    dims = [0, *range(2, values.ndim)]
    # Sums of half precision would spoil the statistics.
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    if layer.training:
        # Processes need not have as many: the tokens that iBOT masks are not.
        sums = SumOverProcesses.apply(torch.cat([wide.sum(dims), wide.new_tensor([values.numel() // values.shape[1]])]))
        mean, count = sums[:-1] / sums[-1].detach(), sums[-1].detach()
        # A second pass instead of the mean of squares, which would lose the digits that the variance is made of.
        variance = SumOverProcesses.apply((wide - mean.view(shape)).square().sum(dims)) / count
        if layer.track_running_stats:
            with torch.no_grad():
                layer.num_batches_tracked += 1
                momentum = layer.momentum if layer.momentum is not None else 1 / float(layer.num_batches_tracked)
                layer.running_mean.lerp_(mean, momentum)
                layer.running_var.lerp_(variance * count / (count - 1), momentum)
    else:
        mean, variance = layer.running_mean, layer.running_var
    scale = torch.rsqrt(variance + layer.eps)
    weight = scale if layer.weight is None else scale * layer.weight
    normalised = (wide - mean.view(shape)) * weight.view(shape)
    if layer.bias is not None:
        normalised = normalised + layer.bias.view(shape)
    normalised = normalised.to(values.dtype)
    # timm's BatchNormAct2d has the activation that follows inside.
    return layer.act(layer.drop(normalised)) if hasattr(layer, "act") else normalised
