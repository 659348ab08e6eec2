# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Radius neighbours on a CUDA device by cell hashing. The torch truth stands in ``geometry.neighbors``.

A program takes one query: 27 lanes look up the cells around it, then the points of those cells are looked at a block
at a time. A neighbour is one number of 64 bits, the bits of its squared distance above its row: sorted, the nearest
come first, and of neighbours at the same distance the one with the smaller row.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import AXIS_BITS, NOWHERE, CellTable, find_slot, shift_of

NONE = tl.constexpr(NOWHERE)  # sorts behind every neighbour
_NOWHERE = tl.constexpr(NOWHERE)
_AXIS_BITS = tl.constexpr(AXIS_BITS)
FEWEST = 32  # candidates looked at side by side
MOST = 512  # neighbours that can be kept of a query


@triton.jit
def _find_ranges(key, table, begins, ends, shift, mask):  # type: ignore[no-untyped-def]
    """Return where the points of the 27 cells around a key lie, and how many places the cells up to each have."""
    lane = tl.arange(0, 32)
    x, y, z = lane // 9 - 1, (lane // 3) % 3 - 1, lane % 3 - 1
    key = key + tl.zeros((32,), tl.int64)
    cell = key + (x.to(tl.int64) << (2 * _AXIS_BITS)) + (y.to(tl.int64) << _AXIS_BITS) + z
    slot, found = find_slot(table, cell, (lane < 27) & (key != _NOWHERE), shift, mask)
    begin = tl.load(begins + slot, mask=found, other=0)
    upto = tl.cumsum(tl.load(ends + slot, mask=found, other=0) - begin, 0)
    return begin, upto


@triton.jit
def _look(first, begin, upto, total, order, points, qx, qy, qz, limit, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the neighbours among a block of candidates, `NONE` for the others."""
    candidate = first + tl.arange(0, BLOCK)
    inside = candidate < total
    before = (upto[None, :] <= candidate[:, None]).to(tl.int32)  # cells that end before the candidate, (BLOCK, 32)
    lane = tl.sum(before, 1)
    own = tl.arange(0, 32)[None, :] == lane[:, None]
    # The candidate's cell begins at place `begin`, after all candidates of the cells before it.
    passed = tl.max(tl.where(before > 0, upto[None, :], 0), 1)
    place = tl.sum(tl.where(own, begin[None, :], 0), 1) + candidate - passed
    dx = tl.load(points + 3 * place, mask=inside, other=0.0) - qx
    dy = tl.load(points + 3 * place + 1, mask=inside, other=0.0) - qy
    dz = tl.load(points + 3 * place + 2, mask=inside, other=0.0) - qz
    square = dx * dx + dy * dy + dz * dz
    row = tl.load(order + place, mask=inside, other=0)
    packed = (square.to(tl.int32, bitcast=True).to(tl.int64) << 32) | row
    return tl.where(inside & (square <= limit), packed, NONE)


@triton.jit
def _count(  # type: ignore[no-untyped-def]
    queries, keys, table, begins, ends, order, points, counts, limit, shift, mask, BLOCK: tl.constexpr
):
    query = tl.program_id(0).to(tl.int64)
    qx, qy, qz = tl.load(queries + 3 * query), tl.load(queries + 3 * query + 1), tl.load(queries + 3 * query + 2)
    begin, upto = _find_ranges(tl.load(keys + query), table, begins, ends, shift, mask)
    total = tl.max(upto, 0)
    found = tl.zeros((), tl.int32)
    for first in range(0, total, BLOCK):
        near = _look(first, begin, upto, total, order, points, qx, qy, qz, limit, BLOCK)
        found += tl.sum((near != NONE).to(tl.int32), 0)
    tl.store(counts + query, found)


@triton.jit
def _fill(  # type: ignore[no-untyped-def]
    queries, keys, table, begins, ends, order, points, starts, columns, limit, shift, mask, room, BLOCK: tl.constexpr
):
    query = tl.program_id(0).to(tl.int64)
    qx, qy, qz = tl.load(queries + 3 * query), tl.load(queries + 3 * query + 1), tl.load(queries + 3 * query + 2)
    begin, upto = _find_ranges(tl.load(keys + query), table, begins, ends, shift, mask)
    total = tl.max(upto, 0)
    place = tl.load(starts + query)
    for first in range(0, total, BLOCK):
        near = _look(first, begin, upto, total, order, points, qx, qy, qz, limit, BLOCK)
        held = (near != NONE).to(tl.int32)
        target = place + tl.cumsum(held, 0) - 1
        tl.store(columns + target, near.to(tl.int32), mask=(held > 0) & (target < room))
        place += tl.sum(held, 0)


@triton.jit
def _keep_nearest(  # type: ignore[no-untyped-def]
    queries, keys, table, begins, ends, order, points, columns, counts, limit, shift, mask, filling,
    MOST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    query = tl.program_id(0).to(tl.int64)
    qx, qy, qz = tl.load(queries + 3 * query), tl.load(queries + 3 * query + 1), tl.load(queries + 3 * query + 2)
    begin, upto = _find_ranges(tl.load(keys + query), table, begins, ends, shift, mask)
    total = tl.max(upto, 0)
    found = tl.zeros((), tl.int32)
    best = tl.full((BLOCK,), NONE, tl.int64)
    for first in range(0, total, BLOCK):
        near = _look(first, begin, upto, total, order, points, qx, qy, qz, limit, BLOCK)
        found += tl.sum((near != NONE).to(tl.int32), 0)
        if tl.min(near, 0) < tl.max(best, 0):
            if MOST == 1:
                best = tl.minimum(best, tl.min(near, 0))
            else:  # of two sorted halves, one turned round, the smaller of each pair are the smaller half
                best = tl.bitonic_merge(tl.minimum(best, tl.sort(near, descending=True)))
    place = tl.arange(0, BLOCK)
    row = tl.where(best == NONE, filling, best.to(tl.int32))
    tl.store(columns + query * MOST + place, row, mask=place < MOST)
    tl.store(counts + query, found)


def _places(queries: Tensor, keys: Tensor, cells: CellTable) -> tuple[Any, ...]:
    return queries, keys, cells.keys, cells.begins, cells.ends, cells.order, cells.points


def _scalars(cells: CellTable, radius: float) -> tuple[float, int, int]:
    return radius * radius, shift_of(cells.keys), len(cells.keys) - 2


def count_neighbors(queries: Tensor, keys: Tensor, cells: CellTable, radius: float) -> Tensor:
    """Count the supports within ``radius`` of each query, ``(M,)`` int32; arguments as in :func:`find_nearest_few`."""
    counts = torch.zeros(len(queries), dtype=torch.int32, device=queries.device)
    if len(queries) and len(cells.points):
        places, scalars = _places(queries, keys, cells), _scalars(cells, radius)
        _count[(len(queries),)](*places, counts, *scalars, BLOCK=FEWEST, num_warps=1)
    return counts


def list_neighbors(
    queries: Tensor, keys: Tensor, cells: CellTable, radius: float, row_starts: Tensor, num_pairs: int
) -> Tensor:
    """List the supports within ``radius`` of each query, in no order: ``(num_pairs,)`` int32, 0 where there is no pair.

    Args:
        queries, keys, cells, radius: As in :func:`find_nearest_few`.
        row_starts: Sums of the counts of :func:`count_neighbors`, ``(M + 1,)`` int32.
        num_pairs: The last of them; fewer leave pairs out, more leave places empty.
    """
    columns = torch.zeros(num_pairs, dtype=torch.int32, device=queries.device)
    if len(queries) and len(cells.points):
        places, scalars = _places(queries, keys, cells), _scalars(cells, radius)
        _fill[(len(queries),)](*places, row_starts, columns, *scalars, num_pairs, BLOCK=FEWEST, num_warps=1)
    return columns


def find_nearest_few(
    queries: Tensor, keys: Tensor, cells: CellTable, radius: float, most: int
) -> tuple[Tensor, Tensor]:
    """Find the nearest supports within ``radius`` of each query.

    Args:
        queries: ``(M, 3)`` float32, contiguous, metres.
        keys: Cells of the queries, ``(M,)`` int64, in the frame of the supports; one that is nowhere sees nothing.
        cells: N supports in cells whose edge is the radius or more.
        radius: Metres; a support at exactly this distance counts.
        most: Neighbours to keep, H, from 1 to :data:`MOST`.

    Returns:
        Rows of the supports ``(M, H)`` int32, nearest first, N in empty places; and how many there are within the
        radius, ``(M,)`` int32.

    Raises:
        ValueError: If ``most`` is out of range.
    """
    if not 1 <= most <= MOST:
        raise ValueError(f"most: expected 1 to {MOST} neighbours, got {most}")
    num_supports = len(cells.points)
    columns = torch.full((len(queries), most), num_supports, dtype=torch.int32, device=queries.device)
    counts = torch.zeros(len(queries), dtype=torch.int32, device=queries.device)
    if len(queries) and num_supports:
        block = max(FEWEST, triton.next_power_of_2(most))
        _keep_nearest[(len(queries),)](
            *_places(queries, keys, cells), columns, counts, *_scalars(cells, radius), num_supports,
            MOST=most, BLOCK=block, num_warps=max(1, block // 64),
        )  # fmt: skip
    return columns, counts
