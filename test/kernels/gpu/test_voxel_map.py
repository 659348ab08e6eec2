# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The map on the device against the one on the CPU and against sums in NumPy."""

import numpy as np
import pytest
import torch
from random_clouds import random_batch

from kpconv_ros.kernels.gpu.cells import NOWHERE, Frame, find_keys
from kpconv_ros.kernels.gpu.voxel_map import VoxelMap
from kpconv_ros.mapping import voxel_map as on_cpu

SIZE = 0.25


def keys_of(points: torch.Tensor) -> torch.Tensor:
    """Return keys counted from 100 m below the origin."""
    low = torch.full((1, 3), -100.0, dtype=torch.float64, device=points.device)
    extent = torch.full((3,), 200.0, dtype=torch.float64, device=points.device)
    clouds = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    return find_keys(points, clouds, Frame(low, extent), SIZE)


def test_scans_give_the_voxels_and_running_means_of_the_map_on_the_cpu(device: torch.device) -> None:
    ours = VoxelMap.empty(120, 4, device)
    theirs = on_cpu.VoxelMap(on_cpu.VoxelMapConfig(voxel_size=SIZE, max_count=3), 1)
    for scan in range(3):
        points, _ = random_batch([60], seed=scan)
        intensity = torch.rand(60, generator=torch.Generator().manual_seed(scan))
        rows = ours.insert(keys_of(points.to(device)), torch.cat([points, intensity[:, None]], 1).to(device), 3.0)
        expected = theirs.insert(points.numpy(), intensity.numpy(), float(scan))
        pairs = set(zip(rows.tolist(), expected.tolist(), strict=True))
        assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})  # one to one
    assert int(ours.count) == len(theirs) > 40
    found = ours.find(keys_of(torch.from_numpy(theirs.points).float().to(device))).cpu().long()
    np.testing.assert_allclose(ours.means.cpu()[found, :3], theirs.points, atol=1e-6)
    np.testing.assert_allclose(ours.means.cpu()[found, 3], theirs.intensity, atol=1e-6)
    assert ours.counts.cpu()[found].tolist() == theirs.counts.tolist()
    assert (ours.sums == 0).all()


def test_places_without_a_voxel_are_not_found(device: torch.device) -> None:
    voxels = VoxelMap.empty(10, 3, device)
    points = torch.tensor([[0.1, 0, 0], [5.0, 0, 0]], device=device)
    keys = keys_of(points)
    keys[1] = NOWHERE
    assert voxels.insert(keys, points, 8.0).tolist() == [0, -1]
    assert voxels.find(keys_of(torch.tensor([[0.2, 0.1, 0], [0.3, 0, 0], [5.0, 0, 0]], device=device))).tolist() == [
        0,
        -1,
        -1,
    ]
    assert voxels.find(keys[:0]).shape == (0,)


def test_a_full_map_takes_no_more_voxels_and_says_how_many_it_lacks(device: torch.device) -> None:
    points = torch.arange(7.0)[:, None].expand(7, 3).contiguous().to(device)
    voxels = VoxelMap.empty(4, 3, device)
    rows = torch.cat([voxels.insert(keys_of(part), part, 8.0) for part in (points[:3], points[2:6], points[3:])])
    assert rows[:4].sort()[0].tolist() == [0, 1, 2, 2] and int(voxels.count) == 6
    assert sorted(rows[4:7].tolist()) == [-1, -1, 3] and rows[7:].tolist() == [*rows[4:7].tolist(), -1]
    held = voxels.find(keys_of(points)).long()
    assert (held >= 0).sum() == 4 and voxels.means[held[held >= 0]].equal(points[held >= 0])
    with pytest.raises(ValueError, match="expected at most 4, the room of the map, got 7"):
        voxels.insert(keys_of(points), points, 8.0)


def test_evicted_voxels_are_gone_and_the_others_are_found_under_their_new_rows(device: torch.device) -> None:
    points = torch.arange(6.0)[:, None].expand(6, 3).contiguous().to(device)
    voxels = VoxelMap.empty(8, 3, device)
    rows = voxels.insert(keys_of(points), points, 8.0).long()
    keep = torch.zeros(8, dtype=torch.bool, device=device)
    keep[rows[2:5]] = True
    keep[7] = True  # no voxel
    new_of_old = voxels.evict(keep)
    assert int(voxels.count) == 3
    found = voxels.find(keys_of(points))
    assert found[2:5].tolist() == new_of_old[rows[2:5]].tolist() and sorted(found[2:5].tolist()) == [0, 1, 2]
    assert found[[0, 1, 5]].tolist() == [-1, -1, -1] and (new_of_old[rows[[0, 1, 5]]] == -1).all()
    assert voxels.means[found[2:5].long()].equal(points[2:5])
    more = voxels.insert(keys_of(points), points, 8.0)
    assert int(voxels.count) == 6 and sorted(more.tolist()) == [0, 1, 2, 3, 4, 5]
