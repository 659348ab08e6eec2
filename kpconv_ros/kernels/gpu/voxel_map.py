# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A hashed voxel map that stays on a CUDA device: insert, barycentres, look-up, eviction under a cap.

Like ``kernels.voxel_hash``: a voxel holds the means of what its points have, the weight of earlier scans is capped when
a scan first touches it. Points of a scan are added up by atomic additions, so the last bits of a mean, and the order
of new voxels, differ from run to run.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import BLOCK, EMPTY, NOWHERE, claim_slot, find_slot, make_table, shift_of

_NOWHERE = tl.constexpr(NOWHERE)


@dataclass
class VoxelMap:
    """Voxels of one frame; rows keep their number until :meth:`evict`. Nothing here waits for the device."""

    table: Tensor
    """Keys, ``(T + 1,)`` int64."""
    row_of_slot: Tensor
    """Voxel of each slot, ``(T + 1,)`` int32; -1 where the map was full."""
    count: Tensor
    """Voxels, ``(1,)`` int32; more than V are no voxels, but places for which there was no room."""
    keys: Tensor
    """Key of each voxel, ``(V,)`` int64; NOWHERE beyond the count."""
    means: Tensor
    """``(V, C)``."""
    counts: Tensor
    """Points in each mean, those of earlier scans capped, ``(V,)``."""
    sums: Tensor
    """Of the scan that is inserted, and how many points it has there, ``(V, C + 1)``; 0 between scans."""

    @classmethod
    def empty(cls, most_voxels: int, channels: int, device: torch.device) -> "VoxelMap":
        """Make a map with room for ``most_voxels``, V, of ``channels``, C."""
        table = make_table(most_voxels, device)
        return cls(
            table,
            torch.full((len(table),), -1, dtype=torch.int32, device=device),
            torch.zeros(1, dtype=torch.int32, device=device),
            torch.full((most_voxels,), NOWHERE, dtype=torch.int64, device=device),
            torch.zeros(most_voxels, channels, device=device),
            torch.zeros(most_voxels, device=device),
            torch.zeros(most_voxels, channels + 1, device=device),
        )

    def insert(self, keys: Tensor, values: Tensor, max_count: float) -> Tensor:
        """Add the points of a scan.

        Args:
            keys: Of their cells, ``(N,)`` int64, N at most V; NOWHERE for none.
            values: What is averaged, positions and other features, ``(N, C)`` float32, contiguous.
            max_count: Weight of earlier scans, at most.

        Returns:
            Row of the voxel of each point, ``(N,)`` int32; -1 for none. A full map takes no new voxels.

        Raises:
            ValueError: If there are more points than voxels.
        """
        if len(keys) > len(self.keys):  # the table would fill up, and a search in a full table has no end
            raise ValueError(f"keys: expected at most {len(self.keys)}, the room of the map, got {len(keys)}")
        rows = torch.full((len(keys),), -1, dtype=torch.int32, device=keys.device)
        most, channels = self.means.shape
        if len(keys):
            slots = torch.empty_like(keys)
            grid, at = (triton.cdiv(len(keys), BLOCK),), (shift_of(self.table), len(self.table) - 2)
            _claim[grid](
                keys, self.table, self.row_of_slot, self.count, self.keys, slots, len(keys), most, *at, BLOCK=BLOCK
            )
            _add[grid](values, slots, self.row_of_slot, self.sums, rows, len(keys), channels, BLOCK=BLOCK)
            _merge[(triton.cdiv(most, BLOCK),)](
                self.sums, self.means, self.counts, most, channels, float(max_count), BLOCK=BLOCK
            )
        return rows

    def find(self, keys: Tensor) -> Tensor:
        """Return the row of the voxel of each key ``(N,)``, ``(N,)`` int32, -1 where there is none."""
        rows = torch.full((len(keys),), -1, dtype=torch.int32, device=keys.device)
        if len(keys):
            at = (len(keys), shift_of(self.table), len(self.table) - 2)
            _find[(triton.cdiv(len(keys), BLOCK),)](keys, self.table, self.row_of_slot, rows, *at, BLOCK=BLOCK)
        return rows

    def evict(self, keep: Tensor) -> Tensor:
        """Keep the voxels of ``keep (V,)`` bool; return the new row of each old one, ``(V,)`` int64, -1 for none."""
        most = len(self.keys)
        keep = keep & (self.keys != NOWHERE)
        new_of_old = torch.where(keep, keep.cumsum(0) - 1, -1)
        target = torch.where(keep, new_of_old, most)  # the row behind the last takes what goes

        def compact(values: Tensor, otherwise: float) -> Tensor:
            moved = values.new_full((most + 1, *values.shape[1:]), otherwise)
            return moved.index_copy_(0, target, values)[:most].contiguous()

        keys = torch.full((most + 1,), NOWHERE, dtype=torch.int64, device=keep.device).index_copy_(0, target, self.keys)
        keys[most] = NOWHERE
        self.keys, self.means, self.counts = keys[:most].contiguous(), compact(self.means, 0), compact(self.counts, 0)
        self.count.copy_(keep.sum(dtype=torch.int32))
        self.table.fill_(EMPTY)
        self.row_of_slot.fill_(-1)
        at = (most, shift_of(self.table), len(self.table) - 2)
        _refill[(triton.cdiv(most, BLOCK),)](self.keys, self.table, self.row_of_slot, *at, BLOCK=BLOCK)
        return new_of_old


@triton.jit
def _claim(  # type: ignore[no-untyped-def]
    keys, table, row_of_slot, count, keys_of_rows, slots, num_keys, most, shift, mask, BLOCK: tl.constexpr
):
    """Find the slot of each key; who takes a new slot numbers the voxel."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + place, mask=place < num_keys, other=_NOWHERE)
    has_room = tl.load(count + tl.zeros((BLOCK,), tl.int32)) < most
    slot, took = claim_slot(table, key, has_room & (key != _NOWHERE), shift, mask)
    other, found = find_slot(table, key, (key != _NOWHERE) & (has_room == 0), shift, mask)
    slot = tl.where(has_room & (key != _NOWHERE), slot, tl.where(found, other, -1))
    row = tl.atomic_add(count + tl.zeros((BLOCK,), tl.int32), 1, mask=took)
    held = took & (row < most)
    tl.store(row_of_slot + slot, row, mask=held)
    tl.store(keys_of_rows + row, key, mask=held)
    tl.store(slots + place, slot, mask=place < num_keys)


@triton.jit
def _add(values, slots, row_of_slot, sums, rows, num_points, channels, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    slot = tl.load(slots + place, mask=place < num_points, other=-1)
    row = tl.load(row_of_slot + slot, mask=slot >= 0, other=-1)
    tl.store(rows + place, row, mask=place < num_points)
    first = sums + row.to(tl.int64) * (channels + 1)
    for c in range(channels):
        value = tl.load(values + place * channels + c, mask=row >= 0, other=0.0)
        tl.atomic_add(first + c, value, mask=row >= 0, sem="relaxed")
    tl.atomic_add(first + channels, tl.full((BLOCK,), 1.0, tl.float32), mask=row >= 0, sem="relaxed")


@triton.jit
def _merge(sums, means, counts, num_rows, channels, max_count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    new = tl.load(sums + row * (channels + 1) + channels, mask=row < num_rows, other=0.0)
    touched = new > 0
    old = tl.minimum(tl.load(counts + row, mask=touched, other=0.0), max_count)
    total = tl.where(touched, old + new, 1.0)
    for c in range(channels):
        place = sums + row * (channels + 1) + c
        mean = tl.load(means + row * channels + c, mask=touched, other=0.0)
        # the change of the mean, not the mean of sums, which would lose the digits of far positions
        change = (tl.load(place, mask=touched, other=0.0) - new * mean) / total
        tl.store(means + row * channels + c, mean + change, mask=touched)
        tl.store(place, tl.zeros((BLOCK,), tl.float32), mask=touched)
    tl.store(counts + row, total, mask=touched)
    tl.store(sums + row * (channels + 1) + channels, tl.zeros((BLOCK,), tl.float32), mask=touched)


@triton.jit
def _find(keys, table, row_of_slot, rows, num_keys, shift, mask, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + place, mask=place < num_keys, other=_NOWHERE)
    slot, found = find_slot(table, key, key != _NOWHERE, shift, mask)
    tl.store(rows + place, tl.load(row_of_slot + slot, mask=found, other=-1), mask=place < num_keys)


@triton.jit
def _refill(keys, table, row_of_slot, num_rows, shift, mask, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + row, mask=row < num_rows, other=_NOWHERE)
    slot, took = claim_slot(table, key, key != _NOWHERE, shift, mask)
    tl.store(row_of_slot + slot, row, mask=took)
