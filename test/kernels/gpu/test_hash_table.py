# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hash table against a dictionary."""

import torch

from kpconv_ros.kernels.gpu.cells import NOWHERE
from kpconv_ros.kernels.gpu.hash_table import HashTable


def test_equal_keys_share_a_slot_and_different_ones_do_not(device: torch.device) -> None:
    keys = torch.randint(0, 60, (200,), generator=torch.Generator().manual_seed(0)).to(device) << 40
    keys[3] = NOWHERE
    table = HashTable.empty(60, device)
    first, again = table.claim(keys[:120]), table.claim(keys)
    assert again[:120].equal(first) and int(again[3]) == len(table.keys) - 1
    slots = dict(zip(keys.tolist(), again.tolist(), strict=True))
    assert [slots[key] for key in keys.tolist()] == again.tolist() and len(set(slots.values())) == len(slots)
    assert (table.find(keys) == -1).all()  # slots without rows


def test_a_filled_table_finds_the_place_of_each_key_and_forgets_the_others(device: torch.device) -> None:
    keys = (torch.randperm(500, generator=torch.Generator().manual_seed(1)) * 7).to(device)
    keys[[5, 9]] = NOWHERE
    table = HashTable.empty(500, device)
    table.claim(keys + 1)
    table.fill(keys)
    expected = torch.where(keys == NOWHERE, -1, torch.arange(500, device=device))
    assert table.find(keys).equal(expected)
    assert (table.find(keys.clamp(max=1 << 40) + 1) == -1).all()
    assert table.find(keys[:0]).shape == table.claim(keys[:0]).shape == (0,)
    table.fill(keys[:0])
    assert (table.find(keys) == -1).all()
