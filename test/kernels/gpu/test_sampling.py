# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Farthest points and nearest neighbours against plain torch."""

import pytest
import torch
from real_clouds import CloudSource

from kpconv_ros.geometry.packing import offsets_of
from kpconv_ros.geometry.sampling import complete_farthest
from kpconv_ros.kernels.gpu.sampling import find_k_nearest, pick_farthest
from reference.neighbors import all_distances


def test_farthest_points_are_those_of_each_cloud_alone(device: torch.device, source: CloudSource) -> None:
    points, lengths = source.batch([40, 9, 70])
    seeds, counts = torch.tensor([[3, 0], [5, 2], [69, 0]]), torch.tensor([1, 2, 1])
    places = (points, offsets_of(lengths), seeds, counts)
    picked = pick_farthest(*(t.to(device) for t in places), 9, 70)
    clouds = points.double().split(lengths.tolist())  # float64 goes the way of plain torch
    expected = [complete_farthest(c, s[:n], 9) for c, s, n in zip(clouds, seeds, counts.tolist(), strict=True)]
    assert picked.tolist() == torch.stack(expected).tolist()
    assert sorted(picked[1].tolist()) == list(range(9))


def test_copies_are_picked_once_each(device: torch.device) -> None:
    points, starts = torch.ones(5, 3, device=device), torch.tensor([0, 5], device=device)
    first = torch.zeros(1, 1, dtype=torch.int64, device=device)
    picked = pick_farthest(points, starts, first, torch.ones_like(first[0]), 5, 5)
    assert picked.tolist() == [[0, 1, 2, 3, 4]]


def test_clouds_beyond_the_registers_are_refused(device: torch.device) -> None:
    zeros = torch.zeros(1, 1, dtype=torch.int64, device=device)
    with pytest.raises(ValueError, match="expected at most 16384, got 16385"):
        pick_farthest(torch.zeros(1, 3, device=device), zeros[0], zeros, zeros[0], 1, 16385)


@pytest.mark.parametrize("k", [1, 4, 34])
def test_the_k_nearest_are_those_of_all_distances(device: torch.device, source: CloudSource, k: int) -> None:
    points, lengths = source.batch([35, 40])
    queries, query_lengths = source.batch([1, 2], seed=1)
    starts = offsets_of(lengths)
    cloud = torch.tensor([0, 1, 1])
    places = (queries, points, starts[:-1][cloud], starts[1:][cloud])
    rows = find_k_nearest(*(t.to(device) for t in places), k)
    assert rows.tolist() == all_distances(queries, points, query_lengths, lengths).argsort(1)[:, :k].tolist()


def test_too_few_points_leave_places_empty(device: torch.device) -> None:
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0]], device=device)
    bounds = torch.tensor([0], device=device), torch.tensor([2], device=device)
    assert find_k_nearest(points[1:], points, *bounds, 4).tolist() == [[1, 0, -1, -1]]
    with pytest.raises(ValueError, match="expected 1 to 512, got 0"):
        find_k_nearest(points[1:], points, *bounds, 0)
