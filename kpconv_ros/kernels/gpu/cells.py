# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cells of packed clouds on a CUDA device: their keys, and a hash table from a key to the points of its cell.

The clouds of a batch are laid side by side along x, with empty cells in between, so one key of 63 bits names the cell
and the cloud, and no search ever meets a point of another cloud.
"""

import struct
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

NOWHERE = (1 << 63) - 1
"""Key of a point without a cell: it is not finite, out of range, or no point at all. Sorted, it comes last."""
EMPTY = -1
BLOCK = 128
AXIS_BITS = 21
_NOWHERE = tl.constexpr(NOWHERE)
_EMPTY = tl.constexpr(EMPTY)
_AXIS_BITS = tl.constexpr(AXIS_BITS)
_LAST_CELL = tl.constexpr((1 << AXIS_BITS) - 1)  # stays empty, as 0 does: the borders of the keys
_MULTIPLIER = tl.constexpr(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio


class Frame(NamedTuple):
    """Where the clouds of a batch are."""

    low: Tensor
    """Lowest corner of each cloud, ``(B, 3)`` float64, metres."""
    extent: Tensor
    """Largest extents of a cloud along the axes, ``(3,)`` float64, metres."""

    def fits(self, cell_size: float) -> bool:
        """Return whether all clouds, side by side, have room for cells of this size; waits for the device."""
        steps = self.extent / cell_size + 4.0
        steps = torch.cat([steps[:1] * len(self.low), steps[1:]])
        return bool((steps < 1 << AXIS_BITS).all())


class CellTable(NamedTuple):
    """Points sorted by cell, and where those of a cell begin and end: an open-addressing hash table."""

    keys: Tensor
    """``(T + 1,)`` int64, T a power of two; the last slot is a spare one."""
    begins: Tensor
    """First sorted point, ``(T + 1,)`` int32."""
    ends: Tensor
    """``(T + 1,)`` int32."""
    order: Tensor
    """Row of each sorted point, ``(N,)`` int64."""
    points: Tensor
    """Sorted positions, ``(N, 3)``, metres."""


def frame_of(points: Tensor, clouds: Tensor, num_clouds: int) -> Frame:
    """Find where packed clouds are.

    Args:
        points: ``(N, 3)``, metres.
        clouds: Cloud of each point, ``(N,)`` int64; ``num_clouds`` is none.
        num_clouds: B.
    """
    index, doubles = clouds[:, None].expand(-1, 3), points.double()
    ends = [
        doubles.new_zeros(num_clouds + 1, 3).scatter_reduce(0, index, doubles, how, include_self=False)[:num_clouds]
        for how in ("amin", "amax")
    ]
    extent = (ends[1] - ends[0]).amax(0) if num_clouds else doubles.new_zeros(3)
    return Frame(ends[0], extent)


@triton.jit
def _find_keys(points, clouds, low, extent, keys, inverse_bits, num_points, num_clouds, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inverse = tl.cast(inverse_bits, tl.float64, bitcast=True)
    cloud = tl.load(clouds + row, mask=row < num_points, other=num_clouds)
    valid = (row < num_points) & (cloud < num_clouds)
    key = tl.zeros((BLOCK,), tl.int64)
    for axis in tl.static_range(3):
        place = tl.load(points + 3 * row + axis, mask=valid, other=0.0).to(tl.float64)
        corner = tl.load(low + 3 * cloud + axis, mask=valid, other=0.0)
        steps = tl.floor(place * inverse) - tl.floor(corner * inverse) + 1.0
        if axis == 0:
            steps += cloud.to(tl.float64) * (tl.floor(tl.load(extent) * inverse) + 4.0)
        valid = valid & (steps >= 1.0) & (steps < _LAST_CELL)  # false for NaN
        key = (key << _AXIS_BITS) | tl.where(valid, steps, 0.0).to(tl.int64)
    tl.store(keys + row, tl.where(valid, key, _NOWHERE), mask=row < num_points)


def find_keys(points: Tensor, clouds: Tensor, frame: Frame, cell_size: float) -> Tensor:
    """Return the key of the cell of each point, ``(N,)`` int64; cells count from multiples of their size.

    Args:
        points: ``(N, 3)``, contiguous, metres.
        clouds: ``(N,)`` int64; B is none.
        frame: Of the clouds. The keys of two sets of points, queries and supports, are made with the same one.
        cell_size: Edge of a cell, metres.
    """
    keys = torch.empty(len(points), dtype=torch.int64, device=points.device)
    if len(points):
        (bits,) = struct.unpack("q", struct.pack("d", 1.0 / cell_size))  # Triton would round the number to float32
        _find_keys[(triton.cdiv(len(points), BLOCK),)](
            points, clouds, *frame, keys, bits, len(points), len(frame.low), BLOCK=BLOCK
        )
    return keys


@triton.jit
def first_slot(key, shift):  # type: ignore[no-untyped-def]
    """Fibonacci hashing: the upper bits of the product."""
    return ((key.to(tl.uint64) * _MULTIPLIER) >> shift).to(tl.int64)


@triton.jit
def find_slot(table, key, active, shift, mask):  # type: ignore[no-untyped-def]
    """Return the slot where the search for each key ended, and whether it holds the key."""
    slot = first_slot(key, shift.to(tl.uint64))
    held = tl.load(table + slot, mask=active, other=_EMPTY)
    going = active & (held != key) & (held != _EMPTY)
    while tl.max(going.to(tl.int32), 0) > 0:
        slot = tl.where(going, (slot + 1) & mask, slot)
        held = tl.where(going, tl.load(table + slot, mask=going, other=_EMPTY), held)
        going = going & (held != key) & (held != _EMPTY)
    return slot, active & (held == key)


@triton.jit
def claim_slot(table, key, active, shift, mask):  # type: ignore[no-untyped-def]
    """Insert keys; return their slots, and whether this lane was the one that took the slot.

    A compare-and-swap has no mask, so lanes that have nothing to do aim at the spare slot and never hit.
    """
    spare = mask + 1
    slot = first_slot(key, shift.to(tl.uint64))
    going, took = active, active & False
    while tl.max(going.to(tl.int32), 0) > 0:
        held = tl.atomic_cas(table + tl.where(going, slot, spare), tl.where(going, _EMPTY, -2).to(tl.int64), key)
        took = took | (going & (held == _EMPTY))
        going = going & (held != _EMPTY) & (held != key)
        slot = tl.where(going, (slot + 1) & mask, slot)
    return slot, took


@triton.jit
def _insert_cells(keys, table, begins, num_keys, shift, mask, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + place, mask=place < num_keys, other=_NOWHERE)
    before = tl.load(keys + place - 1, mask=(place > 0) & (place < num_keys), other=_EMPTY)
    first = (key != before) & (key != _NOWHERE)
    slot, took = claim_slot(table, key, first, shift, mask)
    tl.store(begins + slot, place, mask=took)


@triton.jit
def _close_cells(keys, table, ends, num_keys, shift, mask, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + place, mask=place < num_keys, other=_NOWHERE)
    after = tl.load(keys + place + 1, mask=place + 1 < num_keys, other=_NOWHERE)
    slot, found = find_slot(table, key, (key != after) & (key != _NOWHERE), shift, mask)
    tl.store(ends + slot, place + 1, mask=found)


def shift_of(table: Tensor) -> int:
    """Return by how many bits a hash is shifted for a table of ``T + 1`` slots."""
    return 65 - (len(table) - 1).bit_length()


def make_table(num_keys: int, device: torch.device) -> Tensor:
    """Return an empty table that will be at most half full, ``(T + 1,)`` int64."""
    size = 1 << max(2 * num_keys - 1, 15).bit_length()
    return torch.full((size + 1,), EMPTY, dtype=torch.int64, device=device)


def sort_into_cells(points: Tensor, keys: Tensor) -> CellTable:
    """Sort points ``(N, 3)`` by their keys and list the cells."""
    in_order, order = keys.sort(stable=True)
    table = make_table(len(keys), keys.device)
    begins, ends = torch.empty((2, len(table)), dtype=torch.int32, device=keys.device)
    if len(keys):
        grid, at = (triton.cdiv(len(keys), BLOCK),), (len(keys), shift_of(table), len(table) - 2)
        _insert_cells[grid](in_order, table, begins, *at, BLOCK=BLOCK)
        _close_cells[grid](in_order, table, ends, *at, BLOCK=BLOCK)
    return CellTable(table, begins, ends, order, points[order])
