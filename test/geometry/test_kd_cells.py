# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Canonical cells of k-d trees."""

import pytest
import torch

from kpconv_ros.geometry.kd_cells import KdCellsError, kd_bounds, kd_order, num_kd_cells
from reference.neural_qaad import kd_cells


def clouds(batch: int, count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, count, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0)])
@pytest.mark.parametrize(("count", "cells"), [(64, 8), (64, 64), (100, 7), (13, 13), (50, 3), (5, 1)])
def test_cells_are_those_of_the_recursion(count: int, cells: int, axes: tuple[int, ...]) -> None:
    batch, bounds = clouds(3, count), kd_bounds(count, cells)
    order = kd_order(batch, cells, axes)
    for cloud, rows in zip(batch, order.tolist(), strict=True):
        found = [sorted(rows[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)]
        assert found == [sorted(cell) for cell in kd_cells(cloud, cells, axes)]


def test_four_corners_by_hand() -> None:
    square = torch.tensor([[[1.0, 1, 0], [0, 0.1, 0], [0.9, 0, 0], [0.1, 1, 0]]])
    assert kd_order(square, 4, (0, 1)).tolist() == [[1, 3, 2, 0]]


def test_the_order_of_the_points_does_not_matter() -> None:
    cloud = clouds(1, 77)
    shuffled = cloud[:, torch.randperm(77, generator=torch.Generator().manual_seed(1))]
    for cells in (5, 77):
        bounds = kd_bounds(77, cells)
        one, other = (c[0][kd_order(c, cells)[0]] for c in (cloud, shuffled))
        for a, b in zip(bounds, bounds[1:], strict=False):
            assert sorted(one[a:b].tolist()) == sorted(other[a:b].tolist())


@pytest.mark.parametrize(("count", "size"), [(8192, 1024), (8193, 1024), (1000, 1024), (5000, 1024), (7, 1)])
def test_cells_of_any_cloud_differ_by_one_point_at_most(count: int, size: int) -> None:
    bounds = kd_bounds(count, num_kd_cells(count, size))
    sizes = {b - a for a, b in zip(bounds, bounds[1:], strict=False)}
    assert bounds[0] == 0 and bounds[-1] == count
    assert max(sizes) <= size and max(sizes) - min(sizes) <= 1


def test_equal_points_and_a_single_point_have_an_order() -> None:
    assert sorted(kd_order(torch.ones(1, 9, 3), 4)[0].tolist()) == list(range(9))
    assert kd_order(torch.zeros(2, 1, 3), 1).tolist() == [[0], [0]]


@pytest.mark.parametrize(
    ("shape", "cells", "text"), [((1, 4, 3), 5, "1 to 4"), ((1, 0, 3), 1, "1 to 0"), ((4, 3), 2, "B, N")]
)
def test_cells_that_cannot_be_are_refused(shape: tuple[int, ...], cells: int, text: str) -> None:
    with pytest.raises(KdCellsError, match=text):
        kd_order(torch.zeros(shape), cells)
    with pytest.raises(KdCellsError, match="at least one"):
        num_kd_cells(4, 0)
