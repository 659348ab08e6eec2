# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What spheres around a few candidates would gain, on a CUDA device: ``kernels.voting.best_sphere`` in two passes."""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 64  # places looked at by one program, for all candidates


@triton.jit
def _gather_weights(  # type: ignore[no-untyped-def]
    centers, points, rows, weights, limit, sums, num_rows, NUM_CENTERS: tl.constexpr, TUKEY: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Write, for each candidate, the sum over one block of places within the radius, ``(blocks, K)``."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row = tl.load(rows + place, mask=place < num_rows, other=-1)
    center = tl.arange(0, NUM_CENTERS)
    weight = tl.load(weights + row, mask=row >= 0, other=0.0).to(tl.float64)
    squared = tl.zeros((NUM_CENTERS, BLOCK), tl.float64)
    for axis in tl.static_range(3):
        at = tl.load(points + 3 * row + axis, mask=row >= 0, other=0.0)
        away = at[None, :] - tl.load(centers + 3 * center + axis)[:, None]
        squared += away * away
    share = tl.maximum(1.0 - squared / tl.load(limit), 0.0)
    if TUKEY:
        share = share * share
    else:
        share = (share > 0.0).to(tl.float64)
    tl.store(sums + tl.program_id(0) * NUM_CENTERS + center, tl.sum(share * weight[None, :], 1))


def sum_within(
    centers: Tensor, points: Tensor, rows: Tensor, weights: Tensor, squared_radius: Tensor, tukey: bool
) -> Tensor:
    """Sum the weights of places closer than a radius to each candidate.

    The sums are those of blocks in their order, so they are the same in every run.

    Args:
        centers: ``(K, 3)`` float64, contiguous, metres; K a power of two.
        points: ``(V, 3)`` float64, contiguous, metres.
        rows: Places that count, ``(S,)`` int64 rows of the points; -1 is none.
        weights: ``(V,)``.
        squared_radius: ``(1,)`` float64, m^2.
        tukey: Whether a place counts by Tukey's weight (1 - d^2 / R^2)^2, or as a whole.

    Returns:
        ``(K,)`` float64.
    """
    blocks = triton.cdiv(len(rows), BLOCK)
    sums = torch.zeros(blocks, len(centers), dtype=torch.float64, device=centers.device)
    if blocks:
        _gather_weights[(blocks,)](
            centers, points, rows, weights, squared_radius, sums, len(rows), NUM_CENTERS=len(centers), TUKEY=tukey,
            BLOCK=BLOCK,
        )  # fmt: skip
    return sums.sum(0)
