# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Max pooling over neighbours: the shortcut of a strided block (Figure 9 of the paper)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from kpconv_ros.geometry.neighbors import NeighborLists
from kpconv_ros.kernels import kpconv as kernel
from kpconv_ros.kernels.choice import takes_triton
from kpconv_ros.kernels.threads import run_over_rows


def max_pool(features: Tensor, lists: NeighborLists, shadows: bool = False) -> Tensor:
    """Return the largest feature among each query's neighbours, ``(N, C)`` to ``(M, C)``; 0 without neighbours.

    With ``shadows``, queries that have fewer neighbours than the fullest one also see a feature of zeros, as in codes
    that pad the lists to one length.
    """
    pooled = _max_pool(features, lists)
    if not shadows or not len(pooled):
        return pooled
    counts = lists.row_starts.diff()
    return torch.where((counts < counts.max())[:, None], pooled.clamp(min=0), pooled)


def _max_pool(features: Tensor, lists: NeighborLists) -> Tensor:
    if takes_triton(features):
        from kpconv_ros.kernels.gpu import pooling
        from kpconv_ros.kernels.gpu.kernel_sum import row_lists

        return pooling.max_pool(features, row_lists(*lists))
    if features.device.type == "cpu" and features.dtype != torch.float64:
        pooled: Tensor = _CompiledMaxPool.apply(features.float(), lists)
        return pooled.to(features.dtype)
    shape = (len(lists.row_starts) - 1, features.shape[1])
    rows = lists.rows()[:, None].expand(-1, features.shape[1])
    seen = features[lists.columns.long()]
    return features.new_zeros(shape).scatter_reduce(0, rows, seen, "amax", include_self=False)


class _CompiledMaxPool(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, lists: NeighborLists) -> Tensor:
        array = features.detach().contiguous().numpy()
        out = np.empty((len(lists.row_starts) - 1, array.shape[1]), np.float32)
        winners = np.empty(out.shape, np.int32)
        starts, columns = lists.row_starts.numpy(), lists.columns.numpy()

        def pool(first: int, last: int) -> None:
            kernel.max_rows(first, last, starts, columns, array, out, winners)

        run_over_rows(pool, len(out))
        ctx.winners, ctx.shape = winners, array.shape
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        out = np.zeros(ctx.shape, np.float32)
        kernel.scatter_max(gradient.contiguous().numpy(), ctx.winners, out)
        return torch.from_numpy(out), None
