# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grid subsampling."""

import numpy as np
import pytest
import torch
from random_clouds import random_batch

from kpconv_ros.geometry.voxel_grid import GridError, Subsampled, grid_subsample
from reference.voxel_grid import brute_cells, brute_majority

SIZE = 0.2


def sorted_rows(result: Subsampled) -> torch.Tensor:
    """Return the voxels of a batch of one cloud in an order that does not depend on that of the points."""
    table = torch.cat([result.points, *([] if result.features is None else [result.features])], 1)
    return table[np.lexsort(table.round(decimals=4).numpy().T)]


def test_voxels_are_those_of_a_dictionary_of_cells() -> None:
    points, lengths = random_batch([300, 0, 150], size=2.0)
    features, labels = torch.randn(450, 4), torch.randint(0, 5, (450,))
    result = grid_subsample(points, lengths, SIZE, features, labels)
    cells = brute_cells(points.numpy(), lengths.tolist(), SIZE)
    assert result.lengths.tolist() == [sum(cell[0] == cloud for cell in cells) for cloud in range(3)]
    assert result.points.dtype == torch.float32 and result.features is not None and result.labels is not None
    for rows in cells.values():
        voxel = result.voxel_of_point[rows].unique()
        assert len(voxel) == 1
        torch.testing.assert_close(result.points[voxel[0]], points[rows].mean(0), atol=1e-6, rtol=0)
        torch.testing.assert_close(result.features[voxel[0]], features[rows].mean(0), atol=1e-6, rtol=1e-5)
        assert result.labels[voxel[0]] == brute_majority(labels[rows].numpy())


@pytest.mark.parametrize("size", [0.3, 0.7])
def test_a_point_on_a_border_has_its_cell_wherever_the_cloud_begins(size: float) -> None:
    points = torch.arange(-9.0, 9.0, 0.125)[:, None].repeat(1, 3)  # as float32 holds them; some lie on borders
    for first in range(0, 40, 3):
        cloud = points[first:]
        found = grid_subsample(cloud, torch.tensor([len(cloud)]), size).voxel_of_point.tolist()
        cells = brute_cells(cloud.numpy(), [len(cloud)], size)
        assert [found[rows[0]] for rows in cells.values()] == list(range(len(cells)))
        assert all(len({found[row] for row in rows}) == 1 for rows in cells.values())


def test_voxels_come_in_order_of_first_appearance() -> None:
    points, lengths = random_batch([200, 100], size=2.0)
    seen = list(dict.fromkeys(grid_subsample(points, lengths, SIZE).voxel_of_point.tolist()))
    assert seen == list(range(len(seen)))


def test_four_points_give_two_voxels_by_hand() -> None:
    points = torch.tensor([[0.1, 0.1, 0.1], [0.3, 0.1, 0.1], [-0.1, 0.1, 0.1], [0.5, 0.5, 0.5]])
    features, labels = torch.tensor([[1.0], [3.0], [7.0], [5.0]]), torch.tensor([2, 1, 3, 3])
    result = grid_subsample(points, torch.tensor([4]), 1.0, features, labels)
    torch.testing.assert_close(result.points, torch.tensor([[0.3, 0.7 / 3, 0.7 / 3], [-0.1, 0.1, 0.1]]))
    assert result.features is not None and result.features[:, 0].tolist() == [3.0, 7.0]
    assert result.labels is not None and result.labels.tolist() == [1, 3]  # 2, 1 and 3 tie: the smallest
    assert result.voxel_of_point.tolist() == [0, 0, 1, 0]


def test_the_order_of_the_points_does_not_matter() -> None:
    points, lengths = random_batch([400], size=2.0)
    features, order = torch.randn(400, 2), torch.randperm(400)
    one = grid_subsample(points, lengths, SIZE, features)
    other = grid_subsample(points[order], lengths, SIZE, features[order])
    torch.testing.assert_close(sorted_rows(one), sorted_rows(other), atol=1e-6, rtol=0)


def test_a_cloud_moved_by_whole_cells_gives_the_same_voxels_moved() -> None:
    points, lengths = random_batch([400], size=2.0)
    points = (points * 1024).round() / 1024  # exact in float32, here and there
    shift = torch.tensor([3, -17, 120]) * 0.25
    one, other = (grid_subsample(cloud, lengths, 0.25) for cloud in (points, points + shift))
    assert one.voxel_of_point.tolist() == other.voxel_of_point.tolist()
    torch.testing.assert_close(one.points + shift, other.points, atol=1e-5, rtol=0)


def test_a_packed_batch_equals_its_clouds_one_by_one() -> None:
    points, lengths = random_batch([50, 0, 70, 1], size=2.0)
    batch = grid_subsample(points, lengths, SIZE)
    singles = [grid_subsample(cloud, torch.tensor([len(cloud)]), SIZE) for cloud in points.split(lengths.tolist())]
    assert batch.points.equal(torch.cat([single.points for single in singles]))
    assert batch.lengths.tolist() == [len(single.points) for single in singles]


def test_edges_have_the_voxels_one_expects() -> None:
    for count, expected in ((0, 0), (1, 1), (100, 1)):
        result = grid_subsample(torch.full((count, 3), 1.25), torch.tensor([count]), SIZE, torch.ones(count, 2))
        assert result.points.shape == (expected, 3) and result.lengths.tolist() == [expected]
        assert result.points.eq(1.25).all()
    assert grid_subsample(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), SIZE).points.shape == (0, 3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e9])
def test_a_cloud_that_does_not_fit_the_grid_is_refused(bad: float) -> None:
    points, lengths = random_batch([10])
    points[3, 1] = bad
    with pytest.raises(GridError, match="expected finite and within"):
        grid_subsample(points, lengths, SIZE)


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan")])
def test_a_voxel_size_that_is_not_positive_is_refused(size: float) -> None:
    with pytest.raises(GridError, match="expected a positive length"):
        grid_subsample(*random_batch([10]), size)


@pytest.mark.gpu
def test_the_voxels_on_a_gpu_are_the_same() -> None:
    points, lengths = random_batch([3000, 0, 2000], size=5.0)
    features, labels = torch.randn(5000, 3), torch.randint(0, 5, (5000,))
    here = grid_subsample(points, lengths, SIZE, features, labels)
    there = grid_subsample(points.cuda(), lengths.cuda(), SIZE, features.cuda(), labels.cuda())
    assert there.lengths.tolist() == here.lengths.tolist() and there.features is not None and there.labels is not None
    assert here.features is not None and here.labels is not None
    for mine, its in ((here.points, there.points), (here.features, there.features), (here.labels, there.labels)):
        torch.testing.assert_close(mine[here.voxel_of_point], its[there.voxel_of_point].cpu(), atol=1e-5, rtol=1e-5)
