# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hash table against a dictionary."""

import torch
from real_clouds import CloudSource
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import NOWHERE, find_keys, frame_of
from kpconv_ros.kernels.gpu.hash_table import HashTable

FARTHER = 1 << 62  # cells along x; no cloud reaches that far


def keys_of_points(source: CloudSource, device: torch.device, num_points: int, cell_size: float) -> Tensor:
    """Return the keys of the cells of points, ``(N,)``."""
    points = source.batch([num_points])[0].to(device)
    clouds = torch.zeros(num_points, dtype=torch.int64, device=device)
    return find_keys(points, clouds, frame_of(points, clouds, 1), cell_size)


def test_equal_keys_share_a_slot_and_different_ones_do_not(device: torch.device, source: CloudSource) -> None:
    keys = keys_of_points(source, device, 300, 0.2)
    keys[3] = NOWHERE
    table = HashTable.empty(len(keys.unique()), device)
    first, again = table.claim(keys[:150]), table.claim(keys)
    assert again[:150].equal(first) and int(again[3]) == len(table.keys) - 1
    slots = dict(zip(keys.tolist(), again.tolist(), strict=True))
    assert [slots[key] for key in keys.tolist()] == again.tolist() and len(set(slots.values())) == len(slots)
    assert 60 < len(slots) < 200 and (table.find(keys) == -1).all()  # slots without rows


def test_a_filled_table_finds_the_place_of_each_key_and_forgets_the_others(
    device: torch.device, source: CloudSource
) -> None:
    keys = keys_of_points(source, device, 600, 0.1).unique()
    keys = keys[torch.randperm(len(keys), generator=torch.Generator().manual_seed(1)).to(device)]
    others = keys + FARTHER
    keys[[5, 9]] = NOWHERE
    table = HashTable.empty(len(keys), device)
    table.claim(others)
    table.fill(keys)
    expected = torch.where(keys == NOWHERE, -1, torch.arange(len(keys), device=device))
    assert len(keys) > 200 and table.find(keys).equal(expected)
    assert (table.find(others) == -1).all()
    assert table.find(keys[:0]).shape == table.claim(keys[:0]).shape == (0,)
    table.fill(keys[:0])
    assert (table.find(keys) == -1).all()
