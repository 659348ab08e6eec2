# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dispositions of kernel points: supplement B of the paper."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from kpconv_ros.layers.kernel_points import KernelPointError, _solve, disposition_energy, kernel_disposition


def shells(points: Tensor, decimals: int = 2) -> list[tuple[float, int]]:
    """Return the distances from the first of the other points to each other, rounded, with how often each occurs."""
    distances = torch.pdist(points[1:]).round(decimals=decimals)
    values, counts = distances.unique(return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))


def best_of_random_restarts(num_points: int, tries: int) -> float:
    """Return the least energy of Eq. (11) that L-BFGS finds from random starts, the first point held at the centre."""
    generator, best = torch.Generator().manual_seed(99), math.inf
    for _ in range(tries):
        free = torch.randn(num_points - 1, 3, dtype=torch.float64, generator=generator).requires_grad_()
        optimizer = torch.optim.LBFGS([free], max_iter=300, line_search_fn="strong_wolfe", tolerance_change=1e-12)

        def energy(free: Tensor = free, optimizer: torch.optim.Optimizer = optimizer) -> Tensor:
            optimizer.zero_grad()
            result = disposition_energy(torch.cat([free.new_zeros(1, 3), free]))
            result.backward()
            return result

        optimizer.step(energy)
        best = min(best, float(energy().detach()))
    return best


def scaled_to_least_energy(points: Tensor) -> float:
    """Return the least energy over the sizes of a disposition: a s^2 + b / s."""
    attraction = float(points.square().sum())
    repulsion = float(disposition_energy(points)) - attraction
    size = (repulsion / (2 * attraction)) ** (1 / 3)
    return attraction * size**2 + repulsion / size


def test_the_energy_of_two_points_is_that_of_the_equation() -> None:
    points = torch.tensor([[0.0, 0, 0], [2, 0, 0]], dtype=torch.float64)
    assert float(disposition_energy(points)) == 4 + 2 / 2
    assert disposition_energy(torch.stack([points, 2 * points])).tolist() == [5, 16.5]


@pytest.mark.parametrize(
    ("num_points", "expected"),
    [
        (5, [(math.sqrt(8 / 3), 6)]),  # a regular tetrahedron around the centre
        (7, [(math.sqrt(2), 12), (2.0, 3)]),  # an octahedron
        (13, [(1.0515, 30), (1.7013, 30), (2.0, 6)]),  # an icosahedron
    ],
)
def test_the_stable_dispositions_of_table_4_are_the_platonic_ones(
    num_points: int, expected: list[tuple[float, int]]
) -> None:
    points = kernel_disposition(num_points, 1 / 1.5)
    found = shells(points)
    assert [count for _, count in found] == [count for _, count in expected]
    torch.testing.assert_close(
        torch.tensor([d for d, _ in found]), torch.tensor([d for d, _ in expected]), atol=0.011, rtol=0
    )


def groups_along_axes(points: Tensor, gap: float) -> set[tuple[int, ...]]:
    """Return the sizes of groups in planes across every axis through a point or the middle of two or four points."""
    first, second = torch.triu_indices(len(points), len(points), 1)
    pairs = points[first] + points[second]
    axes = torch.cat([points, pairs, (pairs[:, None] + pairs[::5]).flatten(0, 1)])
    axes = axes[axes.norm(dim=1) > 0.1]
    heights = (axes / axes.norm(dim=1, keepdim=True) @ points.T).sort(1)[0]
    found = set()
    for row in heights:
        ends = [0, *(row.diff() > gap).nonzero()[:, 0].add(1).tolist(), len(row)]
        found.add(tuple(last - first for first, last in pairwise(ends)))
    return found


@pytest.mark.parametrize(
    ("num_points", "groups", "gap"),
    [
        (7, (1, 4, 1), 0.02),
        (13, (1, 5, 5, 1), 0.02),
        (15, (1, 6, 6, 1), 0.02),
        (18, (1, 5, 5, 5, 1), 0.02),
        (19, (1, 4, 4, 4, 4, 1), 0.02),
        (21, (1, 6, 6, 6, 1), 0.15),  # the outer six are three and three close together
        (25, (4, 4, 4, 4, 4, 4), 0.02),
    ],
)
def test_the_points_lie_in_the_groups_of_table_4(num_points: int, groups: tuple[int, ...], gap: float) -> None:
    assert groups in groups_along_axes(_solve(num_points)[1:], gap)


@pytest.mark.parametrize("num_points", [3, 9, 15, 17])
def test_no_random_restart_finds_less_energy(num_points: int) -> None:
    found = scaled_to_least_energy(_solve(num_points))
    assert found <= best_of_random_restarts(num_points, 6) * (1 + 1e-7)


@pytest.mark.parametrize("num_points", [1, 2, 4, 15, 20])
def test_one_point_is_at_the_centre_and_the_others_at_one_and_a_half_sigma(num_points: int) -> None:
    points = kernel_disposition(num_points, 0.3)
    assert points.shape == (num_points, 3) and points.dtype == torch.float32
    assert points[0].eq(0).all()
    if num_points > 1:
        assert float(points[1:].norm(dim=1).mean()) == pytest.approx(0.45, rel=1e-5)


def test_a_disposition_is_solved_once_and_always_the_same() -> None:
    first = _solve(6)
    assert _solve(6) is first
    before = first.clone()
    kernel_disposition(6, 1.0).add_(5)  # what callers do with theirs is their own affair
    assert _solve(6).equal(before)
    _solve.cache_clear()
    assert _solve(6).equal(before)


def test_a_generator_turns_the_disposition_about_the_vertical() -> None:
    plain = kernel_disposition(15, 1.0)
    turned = kernel_disposition(15, 1.0, torch.Generator().manual_seed(1))
    assert turned.equal(kernel_disposition(15, 1.0, torch.Generator().manual_seed(1)))
    assert not torch.allclose(plain, turned, atol=0.01)
    torch.testing.assert_close(turned[:, 2], plain[:, 2])
    torch.testing.assert_close(torch.cdist(turned, turned), torch.cdist(plain, plain), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("num_points", "sigma"), [(0, 1.0), (-1, 1.0), (15, 0.0), (15, -1.0), (15, float("nan"))])
def test_a_disposition_that_cannot_be_is_refused(num_points: int, sigma: float) -> None:
    with pytest.raises(KernelPointError, match="expected num_points >= 1 and sigma > 0, got"):
        kernel_disposition(num_points, sigma)
