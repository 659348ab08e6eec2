# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soft projection, matching, and the sample made of them."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from kpconv_ros.geometry.sampling import SamplingError
from kpconv_ros.layers.soft_projection import (
    ProjectionError,
    SoftProjection,
    match,
    order_points,
    project,
    project_normals,
    soft_project,
)
from reference.soft_projection import project_one, sample_one


def random_clouds(num_queries: int = 6, num_points: int = 30, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, points and scores of three clouds."""
    generator = torch.Generator().manual_seed(seed)
    queries = torch.rand(3, num_queries, 3, generator=generator)
    return queries, torch.rand(3, num_points, 3, generator=generator), torch.randn(3, num_points, generator=generator)


@pytest.mark.parametrize("temperature", [0.03, 0.5])
def test_a_batch_equals_its_queries_one_by_one(temperature: float) -> None:
    queries, points, scores = random_clouds()
    projection = soft_project(queries, points, 5, temperature, scores)
    projected = project(projection, points)
    for cloud in range(3):
        for row in range(6):
            expected, weights = project_one(
                queries[cloud, row].double().numpy(),
                points[cloud].double().numpy(),
                5,
                temperature,
                scores[cloud].double().numpy(),
            )
            assert projection.neighbors[cloud, row].tolist() == expected.tolist()
            np.testing.assert_allclose(projection.weights[cloud, row].numpy(), weights, atol=2e-4)
            mean = weights @ points[cloud].double().numpy()[expected]
            np.testing.assert_allclose(projected[cloud, row].numpy(), mean, atol=2e-4)


def test_two_neighbours_are_weighed_by_hand() -> None:
    points = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [9, 9, 9]]])
    query = torch.tensor([[[0.25, 0, 0]]])
    projection = soft_project(query, points, 2, 0.5)  # -d^2/t^2: -0.25 and -2.25
    assert projection.weights[0, 0].tolist() == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])
    assert project(projection, points)[0, 0].tolist() == pytest.approx([1 / (1 + math.exp(2)), 0, 0])


def test_a_score_draws_the_query_to_a_farther_point() -> None:
    points = torch.tensor([[[0.0, 0, 0], [1, 0, 0]]])
    query = torch.tensor([[[0.25, 0, 0]]])
    for score, expected in ((0.0, 0), (1.9, 0), (2.1, 1)):
        projection = soft_project(query, points, 2, 0.5, torch.tensor([[0.0, score]]))
        assert match(projection).tolist() == [[expected]]


def test_a_low_temperature_is_the_nearest_point() -> None:
    queries, points, _ = random_clouds()
    projection = soft_project(queries, points, 4, 1e-4)
    nearest = torch.cdist(queries, points).argmin(2)
    assert match(projection).equal(nearest)
    assert torch.allclose(project(projection, points), points.gather(1, nearest[..., None].expand(-1, -1, 3)))


def test_moving_everything_moves_the_projection() -> None:
    queries, points, _ = random_clouds()
    shift = torch.tensor([3.0, -2.0, 1.0])
    before, after = soft_project(queries, points, 4, 0.2), soft_project(queries + shift, points + shift, 4, 0.2)
    assert before.neighbors.equal(after.neighbors)
    assert torch.allclose(project(before, points) + shift, project(after, points + shift), atol=1e-5)


def test_gradients_reach_queries_points_temperature_and_scores() -> None:
    queries, points, scores = (tensor.double().requires_grad_() for tensor in random_clouds(2, 6))
    temperature = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)

    def run(q: Tensor, p: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return project(soft_project(q, p, 3, t, s), p)

    assert torch.autograd.gradcheck(run, (queries, points, temperature, scores))


def test_padding_is_never_a_neighbour_with_weight() -> None:
    queries, points, scores = random_clouds()
    counts = torch.tensor([30, 3, 1])
    points[1, 3:], points[2, 1:] = queries[1, 0], queries[2, 0]  # the padding lies right at a query
    scores.requires_grad_()
    projection = soft_project(queries, points, 5, 0.3, scores, counts)
    alone = soft_project(queries[1:2], points[1:2, :3], 3, 0.3, scores[1:2, :3])
    assert torch.allclose(project(projection, points)[1:2], project(alone, points[1:2, :3]), atol=1e-6)
    assert torch.allclose(project(projection, points)[2], points[2, :1].expand(6, 3))
    assert (match(projection)[1] < 3).all() and (match(projection)[2] == 0).all()
    projection.weights.square().sum().backward()
    assert scores.grad is not None and bool(scores.grad.isfinite().all())


def test_normals_are_projected_whatever_their_sign() -> None:
    points = torch.tensor([[[0.0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]])
    normals = torch.tensor([[[0.0, 0, 1], [0, 0, -1], [0, 0.6, 0.8]]])
    projection = SoftProjection(torch.tensor([[[0, 1, 2]]]), torch.tensor([[[0.5, 0.25, 0.25]]]))
    mean = torch.tensor([0.0, 0.15, 0.95])
    assert torch.allclose(project_normals(projection, normals)[0, 0], mean / mean.norm())
    assert points.shape == normals.shape


@pytest.mark.parametrize("num_samples", [3, 8, 20])
def test_a_sample_keeps_first_appearances_and_is_completed(num_samples: int) -> None:
    _, points, _ = random_clouds()
    matched = torch.randint(0, 12, (3, 9), generator=torch.Generator().manual_seed(4))
    matched[0] = 5
    sample = order_points(matched, points, num_samples)
    for cloud in range(3):
        expected = sample_one(matched[cloud].tolist(), points[cloud].numpy(), num_samples)
        assert sample[cloud].tolist() == expected
        assert len(set(expected)) == num_samples


def test_a_smaller_sample_is_the_beginning_of_a_larger_one() -> None:
    _, points, _ = random_clouds()
    matched = torch.randint(0, 30, (3, 9), generator=torch.Generator().manual_seed(5))
    whole = order_points(matched, points, 30)
    for size in (1, 4, 12):
        assert order_points(matched, points, size).equal(whole[:, :size])


def test_a_sample_leaves_padding_out() -> None:
    _, points, _ = random_clouds()
    sample = order_points(torch.zeros(3, 2, dtype=torch.int64), points, 4, torch.tensor([4, 30, 10]))
    assert sorted(sample[0].tolist()) == [0, 1, 2, 3] and int(sample[2].max()) < 10
    with pytest.raises(SamplingError, match="at least 5 points"):
        order_points(torch.zeros(3, 2, dtype=torch.int64), points, 5, torch.tensor([4, 30, 10]))


def test_what_does_not_fit_is_refused() -> None:
    queries, points, scores = random_clouds()
    with pytest.raises(ProjectionError, match="k: expected 1 to 30"):
        soft_project(queries, points, 31, 0.1)
    with pytest.raises(ProjectionError, match="expected .B, m, 3."):
        soft_project(queries[:2], points, 3, 0.1)
    with pytest.raises(ProjectionError, match="scores: expected .3, 30."):
        soft_project(queries, points, 3, 0.1, scores[:, :4])
    with pytest.raises(ProjectionError, match="counts: expected 3"):
        soft_project(queries, points, 3, 0.1, scores, torch.tensor([0, 3, 3]))
