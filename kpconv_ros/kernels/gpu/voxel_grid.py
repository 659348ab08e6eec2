# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grid subsampling on a CUDA device, from keys that are sorted. The torch truth stands in ``geometry.voxel_grid``.

Sorting keeps the result the same in every run, which sums by atomic additions are not, and leaves neighbouring voxels
side by side in memory.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import BLOCK, NOWHERE

_NOWHERE = tl.constexpr(NOWHERE)
BLOCK_VOXELS = 64
BLOCK_CHANNELS = 4


class VoxelRuns(NamedTuple):
    """Points grouped by voxel, at most V voxels; they lie in the order of their keys."""

    begins: Tensor
    """First sorted point of each voxel, ``(V,)`` int32; what lies beyond ``total`` is empty."""
    ends: Tensor
    """``(V,)`` int32."""
    order: Tensor
    """Row of each sorted point, ``(N,)`` int64."""
    voxel_of_point: Tensor
    """``(N,)`` int64; V for points without a voxel."""
    total: Tensor
    """Occupied voxels, ``(1,)`` int64; it may exceed V, and then the last ones are missing."""


@triton.jit
def _list_runs(  # type: ignore[no-untyped-def]
    keys, order, voxels, begins, ends, voxel_of_point, num_points, most, BLOCK: tl.constexpr
):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < num_points
    key = tl.load(keys + place, mask=inside, other=_NOWHERE)
    before = tl.load(keys + place - 1, mask=inside & (place > 0), other=-1)
    after = tl.load(keys + place + 1, mask=place + 1 < num_points, other=_NOWHERE)
    voxel = tl.load(voxels + place, mask=inside, other=0) - 1
    held = inside & (key != _NOWHERE) & (voxel < most)
    tl.store(begins + voxel, place, mask=held & (key != before))
    tl.store(ends + voxel, place + 1, mask=held & (key != after))
    row = tl.load(order + place, mask=inside, other=0)
    tl.store(voxel_of_point + row, tl.where(held, voxel, most), mask=inside)


@triton.jit
def _average(  # type: ignore[no-untyped-def]
    values, order, begins, ends, out, num_voxels, channels, BLOCK_V: tl.constexpr, BLOCK_C: tl.constexpr
):
    voxel = tl.program_id(0) * BLOCK_V + tl.arange(0, BLOCK_V)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    begin = tl.load(begins + voxel, mask=voxel < num_voxels, other=0)
    end = tl.load(ends + voxel, mask=voxel < num_voxels, other=0)
    total = tl.zeros((BLOCK_V, BLOCK_C), tl.float64)
    for step in range(tl.max(end - begin, 0)):
        held = begin + step < end
        row = tl.load(order + begin + step, mask=held, other=0)
        inside = held[:, None] & (c < channels)[None, :]
        total += tl.load(values + row[:, None] * channels + c[None, :], mask=inside, other=0.0).to(tl.float64)
    mean = total / tl.maximum(end - begin, 1).to(tl.float64)[:, None]
    inside = (voxel < num_voxels)[:, None] & (c < channels)[None, :]
    tl.store(out + voxel[:, None] * channels + c[None, :], mean.to(tl.float32), mask=inside)


def group_by_voxel(keys: Tensor, most: int) -> VoxelRuns:
    """Group points by the keys ``(N,)`` of their cells into at most ``most`` voxels, which lie in order of the keys."""
    in_order, order = keys.sort(stable=True)
    is_first = in_order != NOWHERE
    is_first[1:] &= in_order[1:] != in_order[:-1]
    voxels = is_first.cumsum(0)
    begins, ends = torch.zeros((2, most), dtype=torch.int32, device=keys.device)
    voxel_of_point = torch.empty_like(order)
    if len(keys):
        _list_runs[(triton.cdiv(len(keys), BLOCK),)](
            in_order, order, voxels, begins, ends, voxel_of_point, len(keys), most, BLOCK=BLOCK
        )
    total = voxels[-1:] if len(keys) else voxels.new_zeros(1)
    return VoxelRuns(begins, ends, order, voxel_of_point, total)


def average_by_voxel(values: Tensor, runs: VoxelRuns) -> Tensor:
    """Average the rows ``(N, C)`` that share a voxel, in float64: ``(V, C)`` float32, 0 for voxels that are empty."""
    num_voxels, channels = len(runs.begins), values.shape[1]
    out = torch.empty(num_voxels, channels, device=values.device)
    if num_voxels and channels:
        grid = triton.cdiv(num_voxels, BLOCK_VOXELS), triton.cdiv(channels, BLOCK_CHANNELS)
        _average[grid](
            values, runs.order, runs.begins, runs.ends, out, num_voxels, channels,
            BLOCK_V=BLOCK_VOXELS, BLOCK_C=BLOCK_CHANNELS,
        )  # fmt: skip
    return out


def first_of_voxel(values: Tensor, runs: VoxelRuns, otherwise: int) -> Tensor:
    """Return what the first point of each voxel has in ``values (N,)``, ``otherwise`` for empty voxels: ``(V,)``."""
    if not len(values):
        return values.new_full((len(runs.begins),), otherwise)
    return torch.where(runs.ends > runs.begins, values[runs.order[runs.begins.long()]], otherwise)
