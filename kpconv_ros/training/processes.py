# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training by several processes, as ``torchrun`` starts them: each takes steps on batches of its own.

Gradients are averaged over the processes. They are those of one process on the joined batch where the loss is a mean
over all points of all processes and the batch norms see all points: the weighted cross entropy, and the gap of DSP, for
which each process pairs spheres of its own batch, with :class:`SharedBatchNorm`. Lovasz-Softmax, co-occurrence losses
and the offset regularisation are no such means; of these each process has its own, and their gradients are averaged.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.parallel import DistributedDataParallel

from kpconv_ros.layers.blocks import PackedBatchNorm
from kpconv_ros.model_folder import choose_device


def process_rank() -> int:
    """Return which process this is, 0 if there is only one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def num_processes() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def choose_process_device(device: str) -> torch.device:
    """Return the device of this process: with several on a machine of CUDA devices, one for each.

    Raises:
        CheckpointError: If there are not as many.
    """
    chosen = choose_device(device)
    local = os.environ.get("LOCAL_RANK")  # set by torchrun
    return choose_device(f"cuda:{local}") if str(chosen) == "cuda" and local is not None else chosen


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the processes that ``torchrun`` started, over NCCL on CUDA and Gloo elsewhere; alone, do nothing.

    They can join once in a life: several trainings in a row stand within one group, in which this does nothing either.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield
        return
    chosen = choose_process_device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def mean_over_processes(values: Tensor) -> Tensor:
    """Return the mean of a tensor over the processes, without a gradient."""
    values = values.detach().clone()
    if distributed.is_initialized():
        distributed.all_reduce(values)
        values /= distributed.get_world_size()
    return values


def sum_over_processes(values: Tensor, group: distributed.ProcessGroup | None = None) -> Tensor:
    """Return the sum of a tensor over the processes, differentiable in what each of them gave."""
    out: Tensor = _SumOverProcesses.apply(values, group)  # type: ignore[no-untyped-call]
    return out


class _SumOverProcesses(Function):
    """Each process's loss depends on the sum, so the gradient of what one gave is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, group: distributed.ProcessGroup | None) -> Tensor:
        ctx.group = group
        total = values.detach().clone()
        distributed.all_reduce(total, group=group)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total, group=ctx.group)
        return total, None


class SharedBatchNorm(PackedBatchNorm):
    """Batch normalisation over the rows of all processes, also on the CPU, where torch's SyncBatchNorm does not run."""

    def __init__(self, norm: PackedBatchNorm, group: distributed.ProcessGroup) -> None:
        """Take over the parameters and statistics of ``norm``; ``group`` is of the batch norms alone."""
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.weight, self.bias, self.group = norm.weight, norm.bias, group
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked

    def forward(self, features: Tensor) -> Tensor:
        """Normalise ``(N, C)``; in training every process calls this as often, N may differ."""
        if not self.training:
            return super().forward(features)
        rows = features.to(torch.promote_types(features.dtype, torch.float32))
        count = sum_over_processes(rows.new_tensor(len(rows)), self.group)
        mean = sum_over_processes(rows.sum(0), self.group) / count.clamp(min=1)
        variance = sum_over_processes((rows - mean).square().sum(0), self.group) / count.clamp(min=1)
        assert self.running_mean is not None and self.running_var is not None
        is_enough = count > 1  # else as PackedBatchNorm, without asking the device
        used = torch.where(is_enough, mean, self.running_mean), torch.where(is_enough, variance, self.running_var)
        self._track(mean, variance * (count / (count - 1).clamp(min=1)), is_enough)
        return ((rows - used[0]) * (used[1] + self.eps).rsqrt() * self.weight + self.bias).to(features.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, is_enough: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        share = self.momentum * is_enough.to(mean.dtype)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)
        self.num_batches_tracked += is_enough.long()


def share_batch_norms(network: nn.Module) -> None:
    """Make every batch norm of a network one over all processes, in place."""
    # A group of its own: the order relative to the gradients' sums may differ between processes.
    group = distributed.new_group()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, PackedBatchNorm):
                setattr(module, name, SharedBatchNorm(child, group))


class Objective(nn.Module):
    """A loss as a module, which DistributedDataParallel wants."""

    def __init__(self, modules: nn.Module, compute_loss: Callable[[Any], Any]) -> None:
        """Hold the ``modules`` whose parameters ``compute_loss`` depends on."""
        super().__init__()
        self.trained, self.compute_loss = modules, compute_loss

    def forward(self, batch: Any) -> Any:
        """Return what the function does."""
        return self.compute_loss(batch)


def join_gradients(objective: Objective, leaves_parameters_out: bool, shared_norms: bool) -> nn.Module:
    """Return the objective with its gradients averaged over the processes, if there are several.

    Args:
        objective: The loss of this process.
        leaves_parameters_out: Whether that may be independent of some parameters.
        shared_norms: Whether its batch norms become :class:`SharedBatchNorm`.
    """
    if num_processes() == 1:
        return objective
    if shared_norms:
        share_batch_norms(objective)
    return DistributedDataParallel(objective, find_unused_parameters=leaves_parameters_out)
