# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Farthest-point sampling and k nearest neighbours of batches on a CUDA device.

The torch truths stand in ``geometry.sampling`` and ``geometry.neighbors``.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kpconv_ros.kernels.gpu.neighbors import FEWEST, MOST, NONE

MOST_POINTS = 16384
"""Points of a cloud that farthest-point sampling holds in registers."""


@triton.jit
def _pick(  # type: ignore[no-untyped-def]
    points, starts, seeds, seed_counts, picked, num_samples, num_seeds, BLOCK: tl.constexpr
):
    cloud = tl.program_id(0).to(tl.int64)
    first, end = tl.load(starts + cloud), tl.load(starts + cloud + 1)
    given = tl.load(seed_counts + cloud)
    row = tl.arange(0, BLOCK)
    inside = row < end - first
    x = tl.load(points + 3 * (first + row), mask=inside, other=0.0)
    y = tl.load(points + 3 * (first + row) + 1, mask=inside, other=0.0)
    z = tl.load(points + 3 * (first + row) + 2, mask=inside, other=0.0)
    distance = tl.where(inside, float("inf"), -2.0)
    last = tl.load(seeds + cloud * num_seeds).to(tl.int64)
    tl.store(picked + cloud * num_samples, last)
    for i in range(1, num_samples):
        place = points + 3 * (first + last)
        dx, dy, dz = x - tl.load(place), y - tl.load(place + 1), z - tl.load(place + 2)
        distance = tl.minimum(distance, dx * dx + dy * dy + dz * dz)
        distance = tl.where(row == last, -1.0, distance)  # never again, even where all that is left are copies
        seed = tl.load(seeds + cloud * num_seeds + i, mask=i < given, other=0).to(tl.int64)
        farthest = tl.min(tl.where(distance == tl.max(distance, 0), row, BLOCK), 0).to(tl.int64)
        last = tl.where(i < given, seed, farthest)
        tl.store(picked + cloud * num_samples + i, last)


def pick_farthest(
    points: Tensor, starts: Tensor, seeds: Tensor, seed_counts: Tensor, num_samples: int, most_points: int
) -> Tensor:
    """Pick points one by one, each the farthest from those picked before; ``(B, num_samples)`` int64, rows of a cloud.

    A tie goes to the smaller row.

    Args:
        points: Packed, ``(N, 3)`` float32, contiguous, metres.
        starts: First row of each cloud and the end of the last, ``(B + 1,)`` int64; each has ``num_samples`` or more.
        seeds: Rows of each cloud that come first, ``(B, S)`` int64.
        seed_counts: How many of them count, ``(B,)`` int64, 1 to S.
        num_samples: Points to pick, those of the seeds among them.
        most_points: Points of the largest cloud, or more.

    Raises:
        ValueError: If a cloud may have more than :data:`MOST_POINTS`.
    """
    if most_points > MOST_POINTS:
        raise ValueError(f"most_points: expected at most {MOST_POINTS}, got {most_points}")
    picked = torch.empty(len(starts) - 1, num_samples, dtype=torch.int64, device=points.device)
    if len(picked):
        block = max(32, triton.next_power_of_2(most_points))
        _pick[(len(picked),)](
            points, starts, seeds.contiguous(), seed_counts, picked, num_samples, seeds.shape[1],
            BLOCK=block, num_warps=min(32, max(1, block // 128)),
        )  # fmt: skip
    return picked


@triton.jit
def _search(queries, points, begins, ends, rows, LEAST: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    query = tl.program_id(0).to(tl.int64)
    qx, qy, qz = tl.load(queries + 3 * query), tl.load(queries + 3 * query + 1), tl.load(queries + 3 * query + 2)
    end = tl.load(ends + query)
    best = tl.full((BLOCK,), NONE, tl.int64)
    for first in range(tl.load(begins + query), end, BLOCK):
        row = first + tl.arange(0, BLOCK)
        dx = tl.load(points + 3 * row, mask=row < end, other=0.0) - qx
        dy = tl.load(points + 3 * row + 1, mask=row < end, other=0.0) - qy
        dz = tl.load(points + 3 * row + 2, mask=row < end, other=0.0) - qz
        square = dx * dx + dy * dy + dz * dz
        near = tl.where(row < end, (square.to(tl.int32, bitcast=True).to(tl.int64) << 32) | row, NONE)
        if tl.min(near, 0) < tl.max(best, 0):
            if LEAST == 1:
                best = tl.minimum(best, tl.min(near, 0))
            else:
                best = tl.bitonic_merge(tl.minimum(best, tl.sort(near, descending=True)))
    place = tl.arange(0, BLOCK)
    row = tl.where(best == NONE, -1, best.to(tl.int32))
    tl.store(rows + query * LEAST + place, row.to(tl.int64), mask=place < LEAST)


def find_k_nearest(queries: Tensor, points: Tensor, begins: Tensor, ends: Tensor, k: int) -> Tensor:
    """Find the k nearest points of each query by all distances, ``(M, k)`` int64 rows, nearest first, -1 for none.

    Of points equally near the smaller row comes first.

    Args:
        queries: ``(M, 3)`` float32, contiguous, metres.
        points: ``(N, 3)`` float32, contiguous, metres.
        begins: First point of each query's cloud, ``(M,)`` int64.
        ends: Its end, ``(M,)`` int64.
        k: From 1 to 512.

    Raises:
        ValueError: If k is out of range.
    """
    if not 1 <= k <= MOST:
        raise ValueError(f"k: expected 1 to {MOST}, got {k}")
    rows = torch.empty(len(queries), k, dtype=torch.int64, device=queries.device)
    if len(queries):
        block = max(FEWEST, triton.next_power_of_2(k))
        _search[(len(queries),)](
            queries, points, begins, ends, rows, LEAST=k, BLOCK=block, num_warps=max(1, block // 64)
        )
    return rows
