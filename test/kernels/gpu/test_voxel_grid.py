# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cells and voxels against sets of cells counted in plain Python and NumPy."""

import numpy as np
import torch
from random_clouds import random_batch
from real_clouds import CloudSource
from torch import Tensor

from kpconv_ros.geometry.packing import cloud_of_point
from kpconv_ros.kernels.gpu.cells import NOWHERE, Frame, find_keys, frame_of, sort_into_cells
from kpconv_ros.kernels.gpu.voxel_grid import average_by_voxel, first_of_voxel, group_by_voxel


def keys_of(points: Tensor, lengths: Tensor, cell: float) -> Tensor:
    """Return the keys of a batch in its own frame."""
    clouds = cloud_of_point(lengths)
    return find_keys(points, clouds, frame_of(points, clouds, len(lengths)), cell)


def cells_of(points: Tensor, lengths: Tensor, cell: float) -> list[tuple[int, ...]]:
    """Return cloud and cell of each point, from float64."""
    cells = np.floor(points.cpu().double().numpy() * (1.0 / cell)).astype(int).tolist()
    return [(cloud, *steps) for cloud, steps in zip(cloud_of_point(lengths.cpu()).tolist(), cells, strict=True)]


def test_points_share_a_key_if_and_only_if_they_share_cloud_and_cell(device: torch.device, source: CloudSource) -> None:
    points, lengths = source.batch([70, 1, 90], size=2.0)
    points[:70] += 1000.0  # clouds far apart, on both sides of the origin
    keys = keys_of(points.to(device), lengths.to(device), 0.5).tolist()
    pairs = set(zip(cells_of(points, lengths, 0.5), keys, strict=True))
    assert len(pairs) == len(set(keys)) == len({cell for cell, _ in pairs}) > 30


def test_a_cell_size_is_not_rounded_to_float32(device: torch.device) -> None:
    steps = torch.arange(1, 2000, dtype=torch.float64) * 0.06
    points = torch.zeros(len(steps), 3)
    points[:, 1] = steps.float()
    keys = keys_of(points.to(device), torch.tensor([len(points)], device=device), 0.06)
    expected = np.floor(points[:, 1].double().numpy() / 0.06)
    found = ((keys.cpu().numpy() >> 21) & (2**21 - 1)) - 1
    np.testing.assert_array_equal(found - found[0], expected - expected[0])


def test_points_that_are_not_finite_or_of_no_cloud_are_nowhere(device: torch.device) -> None:
    points = torch.tensor([[0.1, 0, 0], [torch.nan, 0, 0], [0, torch.inf, 0], [0, 0, 0.2], [1e9, 0, 0]], device=device)
    frame = Frame(torch.zeros(1, 3, dtype=torch.float64, device=device), torch.ones(3, dtype=torch.float64).to(device))
    keys = find_keys(points, torch.tensor([0, 0, 0, 1, 0], device=device), frame, 0.5)
    assert (keys == NOWHERE).tolist() == [False, True, True, True, True]


def test_clouds_fit_as_long_as_their_cells_have_keys(device: torch.device) -> None:
    points = torch.tensor([[0.0, 0, 0], [1000, 10, 0], [5, 0, 0], [1005, 0, 900]], device=device)
    frame = frame_of(points, torch.tensor([0, 0, 1, 1], device=device), 2)
    assert frame.extent.tolist() == [1000, 10, 900]
    assert frame.fits(0.001) and not frame.fits(0.0009)  # two of 2^20 cells along x
    assert not frame_of(points * torch.nan, torch.zeros(4, dtype=torch.int64, device=device), 1).fits(1.0)


def test_the_table_finds_the_points_of_every_cell(device: torch.device, source: CloudSource) -> None:
    points, lengths = source.batch([300], size=2.0)
    keys = keys_of(points.to(device), lengths.to(device), 0.4)
    keys[5] = NOWHERE
    table = sort_into_cells(points.to(device), keys)
    held = (table.keys >= 0).nonzero()[:, 0]
    cells = {}
    for slot in held.tolist():
        rows = table.order[table.begins[slot] : table.ends[slot]].tolist()
        cells[int(table.keys[slot])] = sorted(rows)
    expected: dict[int, list[int]] = {}
    for row, key in enumerate(keys.tolist()):
        if key != NOWHERE:
            expected.setdefault(key, []).append(row)
    assert cells == expected and len(cells) > 60
    assert table.points.equal(points.to(device)[table.order])


def test_voxels_are_barycentres_in_order_of_their_cells(device: torch.device, source: CloudSource) -> None:
    points, lengths = source.batch([250, 0, 350], size=1.0)
    runs = group_by_voxel(keys_of(points.to(device), lengths.to(device), 0.3), 400)
    cells = cells_of(points, lengths, 0.3)
    names = sorted(set(cells))  # cloud by cloud, then x, y, z
    assert int(runs.total) == len(names) < 400
    assert runs.voxel_of_point.tolist() == [names.index(cell) for cell in cells]
    means = average_by_voxel(points.to(device), runs).cpu().double().numpy()
    index = runs.voxel_of_point.cpu().numpy()
    sums = np.stack([np.bincount(index, points[:, a].numpy(), 400) for a in range(3)], 1)
    counts = np.bincount(index, minlength=400)[:, None]
    np.testing.assert_allclose(means, sums / np.maximum(counts, 1), atol=1e-7)
    clouds = first_of_voxel(cloud_of_point(lengths).to(device), runs, 3)
    assert clouds[: len(names)].tolist() == [cell[0] for cell in names] and (clouds[len(names) :] == 3).all()


def test_voxels_beyond_the_room_are_counted_but_left_out(device: torch.device) -> None:
    points, lengths = random_batch([60], size=1.0)
    keys = keys_of(points.to(device), lengths.to(device), 0.2)
    every, some = group_by_voxel(keys, 60), group_by_voxel(keys, 10)
    assert int(some.total) == int(every.total) > 10
    assert some.voxel_of_point.equal(every.voxel_of_point.clamp(max=10))
    means = average_by_voxel(points.to(device), some)
    assert means.equal(average_by_voxel(points.to(device), every)[:10])


def test_means_of_many_channels_and_of_none(device: torch.device) -> None:
    points, lengths = random_batch([40], size=0.5)
    runs = group_by_voxel(keys_of(points.to(device), lengths.to(device), 0.3), 40)
    values = torch.arange(40.0)[:, None] * torch.arange(1.0, 8.0)
    means = average_by_voxel(values.to(device), runs)
    torch.testing.assert_close(means[:, 6], 7 * means[:, 0])
    assert average_by_voxel(values[:, :0].to(device), runs).shape == (40, 0)


def test_no_points_give_no_voxels(device: torch.device) -> None:
    runs = group_by_voxel(torch.zeros(0, dtype=torch.int64, device=device), 4)
    assert int(runs.total) == 0 and average_by_voxel(torch.zeros(0, 3, device=device), runs).abs().sum() == 0
    assert first_of_voxel(torch.zeros(0, dtype=torch.int64, device=device), runs, 7).tolist() == [7, 7, 7, 7]
