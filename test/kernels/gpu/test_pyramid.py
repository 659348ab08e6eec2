# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All levels of the pyramid of a real scan through the kernels against those of the CPU."""

import pytest
import torch
from real_clouds import real_batch
from torch import Tensor

from kpconv_ros.data.clouds import Cloud
from kpconv_ros.geometry.packing import cloud_of_point
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.layers.neighborhood import Neighborhood
from kpconv_ros.networks.pyramid import Level, build_pyramid

VOXEL = 0.04
RADII = tuple(2.5 * VOXEL * 2**level for level in range(5))


def neighbors_of(hood: Neighborhood) -> list[set[int]]:
    """Return the neighbours of each query."""
    starts, columns = (t.tolist() for t in hood.lists)
    return [set(columns[first:end]) for first, end in zip(starts, starts[1:])]


def rows_in(truth: Level, level: Level) -> list[int]:
    """Return where each point is in the truth, which has them all in another order."""
    assert level.lengths.cpu().equal(truth.lengths)
    gaps, cloud = torch.cdist(level.points.cpu().double(), truth.points.double()), cloud_of_point(truth.lengths)
    gaps[cloud[:, None] != cloud] = torch.inf
    rows: list[int] = gaps.argmin(1).tolist()
    assert gaps.amin(1).max() < 1e-6 and sorted(rows) == list(range(len(cloud)))
    return rows


@pytest.mark.data
def test_all_five_levels_are_those_of_the_cpu(
    device: torch.device, real_scan: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = real_batch(real_scan.points, [12, 8], size=0.2)
    with monkeypatch.context() as plain:
        plain.delenv("TRITON_INTERPRET", raising=False)
        voxels = grid_subsample(*batch, VOXEL)
        truth = build_pyramid(voxels.points, voxels.lengths, VOXEL, RADII)
    levels = build_pyramid(voxels.points.to(device), voxels.lengths.to(device), VOXEL, RADII)
    names = [rows_in(expected, level) for level, expected in zip(levels, truth, strict=True)]
    sizes = [len(rows) for rows in names]
    assert sizes == sorted(set(sizes), reverse=True) and 2 <= sizes[-1] < sizes[0] / 4

    def named(hood: Neighborhood, supports: list[int]) -> list[set[int]]:
        return [{supports[row] for row in rows} for rows in neighbors_of(hood)]

    def ordered(hood: Neighborhood, queries: list[int]) -> list[set[int]]:
        found = neighbors_of(hood)
        return [found[row] for row in queries]

    for level, expected, own, above in zip(levels, truth, names, [*names[1:], []]):
        assert named(level.neighborhood, own) == ordered(expected.neighborhood, own)
        if above:
            assert level.pooling is not None and expected.pooling is not None
            assert named(level.pooling, own) == ordered(expected.pooling, above)
            assert level.coarse_of_fine is not None and expected.coarse_of_fine is not None
            nearest: Tensor = expected.coarse_of_fine[own]
            assert [above[row] for row in level.coarse_of_fine.tolist()] == nearest.tolist()
