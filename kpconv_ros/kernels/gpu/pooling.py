# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Max pooling over neighbours on a CUDA device. The torch truth stands in ``layers.pooling``."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from kpconv_ros.kernels.gpu.kernel_sum import RowLists

MOST_CHANNELS = 256  # of one program


@triton.jit
def _max_rows(features, begins, ends, columns, out, winners, channels, KEEP: tl.constexpr, BLOCK_C: tl.constexpr):  # type: ignore[no-untyped-def]
    query = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    best = tl.full((BLOCK_C,), -float("inf"), tl.float32)
    winner = tl.full((BLOCK_C,), -1, tl.int32)
    for place in range(tl.load(begins + query), tl.load(ends + query)):
        row = tl.load(columns + place)
        value = tl.load(features + row.to(tl.int64) * channels + c, mask=c < channels, other=0.0).to(tl.float32)
        better = (value > best) | (winner < 0)
        best = tl.where(better, value, best)
        winner = tl.where(better, row, winner)
    best = tl.where(winner < 0, 0.0, best)
    tl.store(out + query * channels + c, best.to(out.dtype.element_ty), mask=c < channels)
    if KEEP:
        tl.store(winners + query * channels + c, winner, mask=c < channels)


@triton.jit
def _scatter_max(gradient, winners, out, size, channels, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    winner = tl.load(winners + place, mask=place < size, other=-1).to(tl.int64)
    value = tl.load(gradient + place, mask=place < size, other=0.0).to(tl.float32)
    tl.atomic_add(out + winner * channels + place % channels, value, mask=winner >= 0, sem="relaxed")


class _MaxPool(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, lists: RowLists) -> Tensor:
        shape = (len(lists.begins), features.shape[1])
        out = features.new_empty(shape)
        keep = ctx.needs_input_grad[0]
        winners = torch.empty(shape if keep else 1, dtype=torch.int32, device=features.device)
        if out.numel():
            block = min(MOST_CHANNELS, max(32, triton.next_power_of_2(shape[1])))
            _max_rows[(shape[0], triton.cdiv(shape[1], block))](
                features, *lists, out, winners, shape[1], KEEP=keep, BLOCK_C=block, num_warps=max(1, block // 64)
            )
        ctx.winners, ctx.shape, ctx.dtype = winners, features.shape, features.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        out = torch.zeros(ctx.shape, device=gradient.device)
        if gradient.numel():
            _scatter_max[(triton.cdiv(gradient.numel(), 256),)](
                gradient.contiguous(), ctx.winners, out, gradient.numel(), ctx.shape[1], BLOCK=256
            )
        return out.to(ctx.dtype), None


def max_pool(features: Tensor, lists: RowLists) -> Tensor:
    """Return the largest feature among each query's neighbours, ``(N, C)`` to ``(M, C)``; 0 without neighbours.

    It can be differentiated; of equal features the first neighbour's gets the gradient.
    """
    out: Tensor = _MaxPool.apply(features.contiguous(), lists)
    return out
