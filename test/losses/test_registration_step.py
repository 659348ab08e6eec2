# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The step of a registration as a loss."""

import numpy as np
import pytest
import torch
from torch import Tensor

from kpconv_ros.losses.registration_step import Samples, choose_softly, share_crowds, solve_step, step_error


def room(count: int, seed: int) -> Samples:
    """Return points on three walls of a room of 10 m, all in the sample, float64."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.randint(0, 3, (count,), generator=generator)
    points = torch.rand(count, 3, generator=generator, dtype=torch.float64) * 10
    points[torch.arange(count), axis] = 0.0
    return Samples(points, torch.eye(3, dtype=torch.float64)[axis], points.new_ones(count))


def moved(samples: Samples, offset: Tensor) -> Samples:
    """Return samples at other places."""
    return samples._replace(points=samples.points + offset)


def test_the_step_of_hard_matches_is_that_of_least_squares() -> None:
    target, source = room(400, 0), moved(room(300, 1), torch.tensor([0.02, -0.01, 0.03]))
    found = solve_step(source, target, max_distance=1e4, robust_scale=1e4, neighbors=1).sum(0)
    rows = torch.cdist(source.points, target.points).argmin(1)
    normals = target.normals[rows]
    residuals = ((target.points[rows] - source.points) * normals).sum(1).numpy()
    jacobian = np.hstack([np.cross(source.points.numpy(), normals.numpy()), normals.numpy()])
    weighted = share_crowds(source).numpy()[:, None] * jacobian
    information = jacobian.T @ weighted + np.diag([100.0] * 3 + [1.0] * 3)
    np.testing.assert_allclose(found.numpy(), np.linalg.solve(information, weighted.T @ residuals), atol=1e-7)


def test_a_small_offset_is_recovered() -> None:
    offset = torch.tensor([0.02, -0.01, 0.03], dtype=torch.float64)
    step = solve_step(moved(room(500, 1), offset), room(500, 0)).sum(0)
    torch.testing.assert_close(step[3:], -offset, atol=8e-3, rtol=0)
    assert step[:3].abs().max() < 1e-3


def test_at_the_truth_planes_pull_nowhere_and_a_bad_point_shows_in_both_errors() -> None:
    source, target = room(500, 1), room(500, 0)
    inside = (source.points > 2.0).sum(1) >= 2  # away from the edges, where a match may lie on the other wall
    good = Samples(*(values[inside] for values in source))
    step, deviation = step_error(solve_step(good, target, neighbors=1))
    assert step < 2e-3 and deviation < 2e-3
    bad = Samples(*(torch.cat([values, values[:1]]) for values in good))
    bad.points[-1] = torch.tensor([5.0, 5.0, 0.2])
    worse_step, worse_deviation = step_error(solve_step(bad, target, neighbors=1))
    assert worse_step > 2 * step and worse_deviation > 2 * deviation


def test_points_outside_the_sample_neither_pull_nor_are_matched() -> None:
    source, target, rng = room(60, 1), room(80, 0), torch.Generator().manual_seed(5)
    wrong = torch.rand(30, 3, generator=rng, dtype=torch.float64) * 10
    outside = Samples(wrong, torch.nn.functional.normalize(wrong, dim=1), torch.zeros(30, dtype=torch.float64))
    mixed = [Samples(*(torch.cat(pair) for pair in zip(side, outside, strict=True))) for side in (source, target)]
    expected = solve_step(source, target)
    torch.testing.assert_close(solve_step(*mixed)[:60], expected, atol=1e-9, rtol=1e-6)
    torch.testing.assert_close(solve_step(*mixed)[60:], torch.zeros(30, 6, dtype=torch.float64))


def test_copies_of_a_point_count_as_one() -> None:
    alone = room(40, 1)
    copied = Samples(*(torch.cat([values, values[:1], values[:1]]) for values in alone))
    weights, expected = share_crowds(copied), share_crowds(alone)
    torch.testing.assert_close(weights[[0, 40, 41]].sum(), expected[0], atol=0.05, rtol=0)
    far = Samples(torch.eye(3) * 100, torch.eye(3), torch.tensor([1.0, 0.5, 0.0]))
    torch.testing.assert_close(share_crowds(far), torch.tensor([1.0, 1.0, 0.0]))


def test_a_soft_choice_holds_the_greatest_gains() -> None:
    gains = torch.tensor([0.5, -1.0, 0.3, 0.1], requires_grad=True)
    shares = choose_softly(gains, 2, 0.01)
    torch.testing.assert_close(shares.detach(), torch.tensor([1.0, 0.0, 0.5, 0.0]), atol=1e-6, rtol=0)
    shares.sum().backward()
    assert gains.grad is not None and float(gains.grad[2]) == pytest.approx(25.0)
    assert bool((choose_softly(gains.detach(), 9, 0.01) >= 0.5).all())


def test_errors_that_cancel_have_a_deviation() -> None:
    contributions = torch.tensor([[0.0, 0, 0, 0.3, 0, 0], [0.0, 0, 0, -0.3, 0, 0]])
    step, deviation = step_error(contributions)
    assert float(step) == pytest.approx(1e-3) and float(deviation) == pytest.approx(0.3 * 2**0.5, abs=1e-4)
    turn, _ = step_error(torch.tensor([[0.01, 0, 0, 0, 0, 0]]), arm=10.0)
    assert float(turn) == pytest.approx(0.1, abs=1e-4)


def test_gradients_of_the_step() -> None:
    source, target = room(8, 2), room(9, 3)

    def loss(points: Tensor, shares: Tensor, target_points: Tensor) -> Tensor:
        sides = Samples(points, source.normals, shares), Samples(target_points, target.normals, target.shares)
        return torch.stack(step_error(solve_step(*sides, max_distance=20.0, robust_scale=9.0)))

    inputs = (source.points, 0.3 + 0.5 * torch.rand(8, dtype=torch.float64), target.points)
    assert torch.autograd.gradcheck(loss, tuple(values.requires_grad_() for values in inputs))


def test_points_without_a_match_give_a_finite_step_of_zero() -> None:
    far = torch.full((5, 3), 1e3, requires_grad=True)
    target = Samples(torch.zeros(4, 3), torch.eye(3)[[0, 1, 2, 2]], torch.ones(4))
    step = solve_step(Samples(far, torch.zeros(5, 3), torch.ones(5)), target).sum()
    step.backward()
    assert float(step.detach()) == 0.0 and bool(far.grad.isfinite().all())
