# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KPConv on a CUDA device: influence, gather and weighted sum in one pass. The torch truth is ``layers.kernel_sum``.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, Eqs. (1)-(5). A program takes one query: the influences
``(K, H)`` of a block of neighbours are made in registers and multiplied with their features ``(H, C)``; K of 15 fills
the 16 rows of a matrix instruction. Neither ``(M, H, C)`` nor ``(M, K, H)`` is ever written, only ``(M, K, C)``, which
one matrix product then turns into the output. Sums are float32 whatever the features are.

Note:
    In half precision the influences are rounded like the features before they are multiplied.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from kpconv_ros.kernels.choice import is_interpreting

FAR = tl.constexpr(1e6)  # metres; where kernel points and neighbours stand that fill up a block
BLOCK_NEIGHBORS = 32
MOST_CHANNELS = 64  # of one program
TYPES = {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}


class RowLists(NamedTuple):
    """Neighbours of each query: ``columns[begins[q]:ends[q]]``, rows of the supports. Packed or padded lists fit."""

    begins: Tensor
    """``(M,)`` int32."""
    ends: Tensor
    """``(M,)`` int32."""
    columns: Tensor
    """int32."""


def row_lists(row_starts: Tensor, columns: Tensor) -> RowLists:
    """Return packed lists, ``(M + 1,)`` and ``(E,)`` int32, as the kernels take them."""
    return RowLists(row_starts[:-1], row_starts[1:], columns)


class Pairs(NamedTuple):
    """What an influence is made of: positions ``(M, 3)`` and ``(N, 3)`` in metres, and who sees whom."""

    queries: Tensor
    supports: Tensor
    lists: RowLists


@triton.jit
def _influences(supports, rows, seen, qx, qy, qz, px, py, pz, inverse_sigma):  # type: ignore[no-untyped-def]
    """Return h of Eq. (3), ``(K, H)``, and the gaps y - x_k along each axis."""
    x = tl.load(supports + 3 * rows, mask=seen, other=FAR) - qx
    y = tl.load(supports + 3 * rows + 1, mask=seen, other=FAR) - qy
    z = tl.load(supports + 3 * rows + 2, mask=seen, other=FAR) - qz
    gx, gy, gz = x[None, :] - px[:, None], y[None, :] - py[:, None], z[None, :] - pz[:, None]
    distances = tl.sqrt(gx * gx + gy * gy + gz * gz)
    return tl.maximum(1.0 - distances * inverse_sigma, 0.0), gx, gy, gz, distances


@triton.jit
def _kernel_points(points, query, k, K: tl.constexpr, PER_QUERY: tl.constexpr):  # type: ignore[no-untyped-def]
    first = points + (query * K * 3 if PER_QUERY else 0)
    px = tl.load(first + 3 * k, mask=k < K, other=-FAR)
    py = tl.load(first + 3 * k + 1, mask=k < K, other=-FAR)
    return px, py, tl.load(first + 3 * k + 2, mask=k < K, other=-FAR)


@triton.jit
def _gather(  # type: ignore[no-untyped-def]
    features, queries, supports, begins, ends, columns, points, out, channels, inverse_sigma,
    K: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_C: tl.constexpr,
    PER_QUERY: tl.constexpr, ROUND: tl.constexpr, DOT: tl.constexpr,
):  # fmt: skip
    """Write sum_i h_ik f_i of one query and a block of channels."""
    query = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    k = tl.arange(0, BLOCK_K)
    qx, qy, qz = tl.load(queries + 3 * query), tl.load(queries + 3 * query + 1), tl.load(queries + 3 * query + 2)
    px, py, pz = _kernel_points(points, query, k, K, PER_QUERY)
    total = tl.zeros((BLOCK_K, BLOCK_C), tl.float32)
    end = tl.load(ends + query)
    for first in range(tl.load(begins + query), end, BLOCK_H):
        place = first + tl.arange(0, BLOCK_H)
        seen = place < end
        row = tl.load(columns + place, mask=seen, other=0).to(tl.int64)
        weights, _, _, _, _ = _influences(supports, row, seen, qx, qy, qz, px, py, pz, inverse_sigma)
        inside = seen[:, None] & (c < channels)[None, :]
        values = tl.load(features + row[:, None] * channels + c[None, :], mask=inside, other=0.0)
        total = tl.dot(weights.to(ROUND).to(DOT), values.to(DOT), total, input_precision="ieee")
    inside = (k < K)[:, None] & (c < channels)[None, :]
    tl.store(out + (query * K + k[:, None]) * channels + c[None, :], total.to(ROUND), mask=inside)


@triton.jit
def _scatter(  # type: ignore[no-untyped-def]
    gradient, queries, supports, begins, ends, columns, points, out, channels, inverse_sigma,
    K: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_C: tl.constexpr,
    PER_QUERY: tl.constexpr, ROUND: tl.constexpr, DOT: tl.constexpr,
):  # fmt: skip
    """Add the adjoint of `_gather` for one query to ``out (N, C)`` float32."""
    query = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    k = tl.arange(0, BLOCK_K)
    qx, qy, qz = tl.load(queries + 3 * query), tl.load(queries + 3 * query + 1), tl.load(queries + 3 * query + 2)
    px, py, pz = _kernel_points(points, query, k, K, PER_QUERY)
    inside = (k < K)[:, None] & (c < channels)[None, :]
    given = tl.load(gradient + (query * K + k[:, None]) * channels + c[None, :], mask=inside, other=0.0)
    end = tl.load(ends + query)
    for first in range(tl.load(begins + query), end, BLOCK_H):
        place = first + tl.arange(0, BLOCK_H)
        seen = place < end
        row = tl.load(columns + place, mask=seen, other=0).to(tl.int64)
        weights, _, _, _, _ = _influences(supports, row, seen, qx, qy, qz, px, py, pz, inverse_sigma)
        spread = tl.dot(tl.trans(weights).to(ROUND).to(DOT), given.to(DOT), input_precision="ieee")
        touched = seen[:, None] & (c < channels)[None, :]
        tl.atomic_add(out + row[:, None] * channels + c[None, :], spread, mask=touched, sem="relaxed")


@triton.jit
def _move(  # type: ignore[no-untyped-def]
    gradient, features, queries, supports, begins, ends, columns, points, out, channels, inverse_sigma,
    K: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_C: tl.constexpr, DOT: tl.constexpr,
):  # fmt: skip
    """Write the derivative by the kernel points of one query: dh / dx_k = (y - x_k) / (|y - x_k| sigma)."""
    query = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, BLOCK_K)
    qx, qy, qz = tl.load(queries + 3 * query), tl.load(queries + 3 * query + 1), tl.load(queries + 3 * query + 2)
    px, py, pz = _kernel_points(points, query, k, K, True)
    sx, sy, sz = tl.zeros((BLOCK_K,), tl.float32), tl.zeros((BLOCK_K,), tl.float32), tl.zeros((BLOCK_K,), tl.float32)
    end = tl.load(ends + query)
    for first in range(tl.load(begins + query), end, BLOCK_H):
        place = first + tl.arange(0, BLOCK_H)
        seen = place < end
        row = tl.load(columns + place, mask=seen, other=0).to(tl.int64)
        weights, gx, gy, gz, distances = _influences(supports, row, seen, qx, qy, qz, px, py, pz, inverse_sigma)
        by_weight = tl.zeros((BLOCK_K, BLOCK_H), tl.float32)
        for start in range(0, channels, BLOCK_C):
            c = start + tl.arange(0, BLOCK_C)
            inside = (k < K)[:, None] & (c < channels)[None, :]
            given = tl.load(gradient + (query * K + k[:, None]) * channels + c[None, :], mask=inside, other=0.0)
            inside = (c < channels)[:, None] & seen[None, :]
            values = tl.load(features + row[None, :] * channels + c[:, None], mask=inside, other=0.0)
            by_weight = tl.dot(given.to(DOT), values.to(DOT), by_weight, input_precision="ieee")
        slope = tl.where(weights > 0, by_weight * inverse_sigma / tl.maximum(distances, 1e-12), 0.0)  # 0 at the point
        sx, sy, sz = sx + tl.sum(slope * gx, 1), sy + tl.sum(slope * gy, 1), sz + tl.sum(slope * gz, 1)
    first_out = out + query * K * 3 + 3 * k
    tl.store(first_out, sx, mask=k < K)
    tl.store(first_out + 1, sy, mask=k < K)
    tl.store(first_out + 2, sz, mask=k < K)


def _sizes(num_kernels: int, channels: int, most: int = MOST_CHANNELS) -> dict[str, int]:
    block_c = min(most, max(16, triton.next_power_of_2(channels)))
    return {
        "K": num_kernels,
        "BLOCK_K": max(16, triton.next_power_of_2(num_kernels)),
        "BLOCK_H": BLOCK_NEIGHBORS,
        "BLOCK_C": block_c,
        "num_warps": 2 if block_c <= 32 else 4,
    }


def _types(dtype: torch.dtype) -> dict[str, Any]:
    """The interpreter cannot multiply bfloat16; it multiplies the rounded numbers as float32."""
    return {"ROUND": TYPES[dtype], "DOT": tl.float32 if is_interpreting() else TYPES[dtype]}


def gather(features: Tensor, pairs: Pairs, points: Tensor, sigma: float) -> Tensor:
    """Sum weighted features by kernel point, the inner sum of Eq. (2): ``(M, K C)`` in the type of the features.

    Args:
        features: ``(N, C)``, contiguous; float32, float16 or bfloat16.
        pairs: M queries and their neighbours, float32, contiguous.
        points: Kernel points ``(1, K, 3)``, or of each query ``(M, K, 3)``; float32, contiguous, metres.
        sigma: Influence distance, metres.
    """
    num_queries, num_kernels, channels = len(pairs.queries), points.shape[1], features.shape[1]
    out = features.new_empty(num_queries, num_kernels * channels)
    sizes = _sizes(num_kernels, channels)
    if num_queries:
        _gather[(num_queries, triton.cdiv(channels, sizes["BLOCK_C"]))](
            features, pairs.queries, pairs.supports, *pairs.lists, points, out, channels, 1 / sigma,
            PER_QUERY=len(points) > 1, **_types(features.dtype), **sizes,
        )  # fmt: skip
    return out


def scatter(gradient: Tensor, pairs: Pairs, points: Tensor, sigma: float) -> Tensor:
    """Apply the adjoint of :func:`gather`: ``(M, K C)``, contiguous, to ``(N, C)`` float32."""
    num_queries, num_kernels = len(pairs.queries), points.shape[1]
    channels = gradient.shape[1] // num_kernels
    out = torch.zeros(len(pairs.supports), channels, device=gradient.device)
    sizes = _sizes(num_kernels, channels)
    if num_queries:
        _scatter[(num_queries, triton.cdiv(channels, sizes["BLOCK_C"]))](
            gradient, pairs.queries, pairs.supports, *pairs.lists, points, out, channels, 1 / sigma,
            PER_QUERY=len(points) > 1, **_types(gradient.dtype), **sizes,
        )  # fmt: skip
    return out


def move(gradient: Tensor, features: Tensor, pairs: Pairs, points: Tensor, sigma: float) -> Tensor:
    """Return the derivative of :func:`gather` by the kernel points ``(M, K, 3)`` for ``gradient (M, K C)``."""
    num_queries, num_kernels, channels = len(pairs.queries), points.shape[1], features.shape[1]
    out = torch.zeros_like(points)
    if num_queries:
        _move[(num_queries,)](
            gradient, features, pairs.queries, pairs.supports, *pairs.lists, points, out, channels, 1 / sigma,
            DOT=_types(features.dtype)["DOT"], **_sizes(num_kernels, channels, 32),
        )  # fmt: skip
    return out


class _KernelSum(Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weights: Tensor, points: Tensor, pairs: Pairs, sigma: float
    ) -> Tensor:  # the gathered features are made again in backward: they are the largest tensor here
        ctx.save_for_backward(features, weights, points)
        ctx.pairs, ctx.sigma = pairs, sigma
        return gather(features, pairs, points, sigma) @ weights.flatten(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, weights, points = ctx.saved_tensors
        at = (ctx.pairs, points, ctx.sigma)
        wants_features, wants_weights, wants_points = ctx.needs_input_grad[:3]
        by_features = by_weights = by_points = None
        if wants_weights:
            by_weights = (gather(features, *at).t() @ gradient).view_as(weights)
        if wants_features or wants_points:
            by_gathered = gradient @ weights.flatten(0, 1).t()  # (M, K C)
            by_features = scatter(by_gathered, *at).to(features.dtype) if wants_features else None
            by_points = move(by_gathered, features, *at) if wants_points else None
        return by_features, by_weights, by_points, None, None


def kernel_sum(features: Tensor, weights: Tensor, pairs: Pairs, points: Tensor, sigma: float) -> Tensor:
    """Compute sum_i sum_k h_ik W_k f_i for every query, Eqs. (1) and (2); differentiable in all but positions.

    Args:
        features: ``(N, Cin)``; float32, float16 or bfloat16.
        weights: ``(K, Cin, Cout)``, of the same type.
        pairs: M queries and their neighbours.
        points: Kernel points ``(1, K, 3)``, or of each query ``(M, K, 3)``, Eq. (5); metres. Only those of each query
            can carry a gradient.
        sigma: Influence distance, metres.

    Returns:
        ``(M, Cout)`` in the type of the features.

    Raises:
        ValueError: If there are kernel points neither for all queries nor for each.
    """
    most = len(pairs.queries)
    if len(points) != most and (len(points) != 1 or points.requires_grad):
        expected = f"{most}" if points.requires_grad else f"1 or {most}"
        raise ValueError(f"points: expected those of {expected} queries, got {tuple(points.shape)}")
    placed = points.float().contiguous()
    out: Tensor = _KernelSum.apply(features.contiguous(), weights, placed, pairs, sigma)
    return out
