# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cells of k-d trees in canonical order: cell i of one cloud lies about where cell i of any similar cloud does.

Every cloud is halved at its median across the first axis, each half across the second, and so on in turn, so the order
of the cells depends on the points alone and not on the order in which they are given (points with equal coordinates
apart).
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class KdCellsError(ValueError):
    """Cells that a cloud cannot be divided into."""


def num_kd_cells(num_points: int, cell_size: int) -> int:
    """Return the least number of cells of at most ``cell_size`` points each.

    Raises:
        KdCellsError: If there are no points or no room in a cell.
    """
    if num_points < 1 or cell_size < 1:
        raise KdCellsError(f"expected at least one point, and one in a cell, got {num_points} and {cell_size}")
    return -(-num_points // cell_size)


def kd_bounds(num_points: int, num_cells: int) -> list[int]:
    """Return where each cell begins in the canonical order, and the end, ``num_cells + 1`` places.

    Cell i holds the places floor(i N / C) to floor((i + 1) N / C): whatever N and C are, cells differ by one point at
    most, and those of two clouds of as many points agree. N = C 2^k has equal ones.

    Raises:
        KdCellsError: If there are more cells than points, or none.
    """
    if not 1 <= num_cells <= num_points:
        raise KdCellsError(f"cells: expected 1 to {num_points}, the number of points, got {num_cells}")
    return [i * num_points // num_cells for i in range(num_cells + 1)]


def kd_order(clouds: Tensor, num_cells: int, axes: Sequence[int] = (0, 1, 2)) -> Tensor:
    """Order clouds by the cells of their k-d trees.

    A node of c cells gives floor(c / 2) of them, with the points that :func:`kd_bounds` says, to the side of smaller
    coordinates. As many cells as points give a canonical order of all points.

    Args:
        clouds: ``(B, N, 3)``.
        num_cells: Cells C of each cloud, any number from 1 to N.
        axes: Which coordinate is halved at the first level, the second, ..., over and over.

    Returns:
        Rows of each cloud, cell after cell, ``(B, N)`` int64; :func:`kd_bounds` tells the cells apart.

    Raises:
        KdCellsError: As :func:`kd_bounds`, or if the shape is another.
    """
    if clouds.ndim != 3 or clouds.shape[2] != 3:
        raise KdCellsError(f"clouds: expected (B, N, 3), got {tuple(clouds.shape)}")
    bounds = kd_bounds(clouds.shape[1], num_cells)
    order = torch.arange(clouds.shape[1], device=clouds.device).expand(clouds.shape[:2])
    # Ranks in place of coordinates: one integer key then sorts all nodes of a level at once.
    ranks = {axis: clouds[..., axis].argsort(dim=1, stable=True).argsort(1) for axis in set(axes)}
    nodes, level = [0, num_cells], 0
    while len(nodes) <= num_cells:
        node_of_place = torch.zeros(clouds.shape[1], dtype=torch.int64)
        node_of_place[[bounds[node] for node in nodes[1:-1]]] = 1
        node_of_place = node_of_place.cumsum(0).to(clouds.device)
        key = node_of_place * clouds.shape[1] + ranks[axes[level % len(axes)]].gather(1, order)
        order = order.gather(1, key.argsort(1))
        halves = [(a + b) // 2 for a, b in zip(nodes, nodes[1:], strict=False) if b - a > 1]
        nodes, level = sorted([*nodes, *halves]), level + 1
    return order
