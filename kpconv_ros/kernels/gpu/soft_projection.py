# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of the soft projection on a CUDA device. The torch truth stands in ``layers.soft_projection``.

Lang et al., "SampleNet", CVPR 2020, arXiv:1912.03663, Eq. (9): the softmax of -d^2 / t^2 + s over the neighbours of a
query, and its derivatives, in one pass each.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


@triton.jit
def _offsets(queries, points, query, row, seen):  # type: ignore[no-untyped-def]
    dx = tl.load(queries + 3 * query) - tl.load(points + 3 * row, mask=seen, other=0.0)
    dy = tl.load(queries + 3 * query + 1) - tl.load(points + 3 * row + 1, mask=seen, other=0.0)
    dz = tl.load(queries + 3 * query + 2) - tl.load(points + 3 * row + 2, mask=seen, other=0.0)
    return dx, dy, dz


@triton.jit
def _weigh(queries, points, rows, scores, temperature, weights, k, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    query = tl.program_id(0).to(tl.int64)
    place = tl.arange(0, BLOCK)
    row = tl.load(rows + query * k + place, mask=place < k, other=-1)
    seen = row >= 0
    dx, dy, dz = _offsets(queries, points, query, row, seen)
    t = tl.load(temperature)
    logit = tl.load(scores + row, mask=seen, other=0.0) - (dx * dx + dy * dy + dz * dz) / (t * t)
    logit = tl.where(seen, logit, -float("inf"))
    power = tl.exp(logit - tl.max(logit, 0))
    tl.store(weights + query * k + place, power / tl.sum(power, 0), mask=place < k)


@triton.jit
def _weigh_back(  # type: ignore[no-untyped-def]
    gradient, weights, queries, points, rows, temperature, by_queries, by_points, by_scores, by_temperature, k,
    BLOCK: tl.constexpr,
):  # fmt: skip
    query = tl.program_id(0).to(tl.int64)
    place = tl.arange(0, BLOCK)
    row = tl.load(rows + query * k + place, mask=place < k, other=-1)
    seen = row >= 0
    dx, dy, dz = _offsets(queries, points, query, row, seen)
    t = tl.load(temperature)
    weight = tl.load(weights + query * k + place, mask=seen, other=0.0)
    given = tl.load(gradient + query * k + place, mask=seen, other=0.0)
    by_logit = weight * (given - tl.sum(weight * given, 0))
    slope = -2.0 * by_logit / (t * t)
    tl.store(by_queries + 3 * query, tl.sum(slope * dx, 0))
    tl.store(by_queries + 3 * query + 1, tl.sum(slope * dy, 0))
    tl.store(by_queries + 3 * query + 2, tl.sum(slope * dz, 0))
    tl.atomic_add(by_points + 3 * row, -slope * dx, mask=seen, sem="relaxed")
    tl.atomic_add(by_points + 3 * row + 1, -slope * dy, mask=seen, sem="relaxed")
    tl.atomic_add(by_points + 3 * row + 2, -slope * dz, mask=seen, sem="relaxed")
    tl.atomic_add(by_scores + row, by_logit, mask=seen, sem="relaxed")
    square = dx * dx + dy * dy + dz * dz
    tl.store(by_temperature + query, tl.sum(2.0 * by_logit * square / (t * t * t), 0))


class _Weigh(Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, points: Tensor, scores: Tensor, temperature: Tensor, rows: Tensor) -> Tensor:
        num_queries, k = rows.shape
        weights = queries.new_empty(num_queries, k)
        block = max(16, triton.next_power_of_2(k))
        if num_queries:
            _weigh[(num_queries,)](queries, points, rows, scores, temperature, weights, k, BLOCK=block, num_warps=1)
        ctx.save_for_backward(weights, queries, points, rows, temperature)
        ctx.block = block
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, queries, points, rows, temperature = ctx.saved_tensors
        by_queries, by_points = torch.empty_like(queries), torch.zeros_like(points)
        by_scores, by_temperature = points.new_zeros(len(points)), points.new_empty(len(queries))
        if len(queries):
            _weigh_back[(len(queries),)](
                gradient.contiguous(), weights, queries, points, rows, temperature,
                by_queries, by_points, by_scores, by_temperature, rows.shape[1], BLOCK=ctx.block, num_warps=1,
            )  # fmt: skip
        return by_queries, by_points, by_scores, by_temperature.sum().view_as(temperature), None


def weigh(queries: Tensor, points: Tensor, scores: Tensor, temperature: Tensor, rows: Tensor) -> Tensor:
    """Return softmax(-d^2 / t^2 + s) over the neighbours of each query, Eq. (9): ``(M, k)``; differentiable.

    Args:
        queries: ``(M, 3)`` float32.
        points: ``(N, 3)`` float32, in the same unit.
        scores: s, ``(N,)`` float32.
        temperature: t, one number, in the unit of the points.
        rows: Neighbours, ``(M, k)`` int64; -1 is none and gets the weight 0, the first of each query is one.
    """
    out: Tensor = _Weigh.apply(*(t.contiguous() for t in (queries, points, scores)), temperature, rows.contiguous())
    return out
