# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A hash table from keys of cells to rows of a map, on a CUDA device; nothing in it waits for the device."""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import BLOCK, EMPTY, NOWHERE, claim_slot, find_slot, make_table, shift_of

_NOWHERE = tl.constexpr(NOWHERE)


@dataclass
class HashTable:
    """Open addressing in a table that is at most half full; the slot behind the last stands for no key."""

    keys: Tensor
    """``(T + 1,)`` int64."""
    rows: Tensor
    """Row of each slot, ``(T + 1,)`` int32; -1 where it has none."""

    @classmethod
    def empty(cls, most_keys: int, device: torch.device) -> "HashTable":
        """Make a table for at most ``most_keys`` keys; more of them would be searched for ever."""
        keys = make_table(most_keys, device)
        return cls(keys, torch.full((len(keys),), -1, dtype=torch.int32, device=device))

    def claim(self, keys: Tensor) -> Tensor:
        """Return the slot of each key ``(N,)``, a new one for a new key: ``(N,)`` int64, T for NOWHERE."""
        slots = torch.full((len(keys),), len(self.keys) - 1, dtype=torch.int64, device=keys.device)
        if len(keys):
            _claim[(triton.cdiv(len(keys), BLOCK),)](keys, self.keys, slots, *self._sizes(keys), BLOCK=BLOCK)
        return slots

    def find(self, keys: Tensor) -> Tensor:
        """Return the row of each key ``(N,)``: ``(N,)`` int64, -1 where there is none."""
        rows = torch.full((len(keys),), -1, dtype=torch.int64, device=keys.device)
        if len(keys):
            _find[(triton.cdiv(len(keys), BLOCK),)](keys, self.keys, self.rows, rows, *self._sizes(keys), BLOCK=BLOCK)
        return rows

    def fill(self, keys: Tensor) -> None:
        """Hold ``keys (V,)`` alone, each with its place as row; NOWHERE is left out."""
        self.keys.fill_(EMPTY)
        self.rows.fill_(-1)
        if len(keys):
            _fill_rows[(triton.cdiv(len(keys), BLOCK),)](keys, self.keys, self.rows, *self._sizes(keys), BLOCK=BLOCK)

    def _sizes(self, keys: Tensor) -> tuple[int, int, int]:
        return len(keys), shift_of(self.keys), len(self.keys) - 2


@triton.jit
def _claim(keys, table, slots, num_keys, shift, mask, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + place, mask=place < num_keys, other=_NOWHERE)
    slot, _ = claim_slot(table, key, key != _NOWHERE, shift, mask)
    tl.store(slots + place, slot, mask=key != _NOWHERE)


@triton.jit
def _find(keys, table, rows_of_slots, rows, num_keys, shift, mask, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + place, mask=place < num_keys, other=_NOWHERE)
    slot, found = find_slot(table, key, key != _NOWHERE, shift, mask)
    tl.store(rows + place, tl.load(rows_of_slots + slot, mask=found, other=-1).to(tl.int64), mask=place < num_keys)


@triton.jit
def _fill_rows(keys, table, rows_of_slots, num_keys, shift, mask, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + row, mask=row < num_keys, other=_NOWHERE)
    slot, took = claim_slot(table, key, key != _NOWHERE, shift, mask)
    tl.store(rows_of_slots + slot, row, mask=took)
