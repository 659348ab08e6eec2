# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objectives of learned sampling."""

import pytest
import torch

from kpconv_ros.losses.point_sampling import projection_loss, simplification_loss

POINTS = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [3, 0, 0]]])
SIMPLIFIED = torch.tensor([[[0.0, 1, 0], [1, 0, 2]]])
# Q to P: 1 and 4; P to Q: 1, min(2, 4) = 2, min(10, 8) = 8


def test_the_terms_are_those_of_the_equations() -> None:
    means, largest, coverage = 2.5, 4.0, 11 / 3
    assert simplification_loss(SIMPLIFIED, POINTS, 0, 0, 0).item() == pytest.approx(means)
    assert simplification_loss(SIMPLIFIED, POINTS, 2, 0, 0).item() == pytest.approx(means + 2 * largest)
    expected = means + largest + (0.5 + 0.25 * 2) * coverage
    assert simplification_loss(SIMPLIFIED, POINTS, 1, 0.5, 0.25).item() == pytest.approx(expected)


def test_the_largest_distance_is_that_of_each_cloud() -> None:
    simplified, points = torch.cat([SIMPLIFIED, POINTS[:, :2]]), torch.cat([POINTS, POINTS])
    assert simplification_loss(simplified, points, 1, 0, 0).item() == pytest.approx((5 + 0) / 4 + (4 + 0) / 2)


def test_a_sample_of_the_cloud_costs_only_what_it_leaves_out() -> None:
    assert simplification_loss(POINTS, POINTS).item() == 0
    assert simplification_loss(POINTS[:, :2], POINTS).item() == pytest.approx(4 / 3)


def test_a_projection_costs_the_square_of_its_temperature() -> None:
    temperature = torch.tensor(0.3, requires_grad=True)
    loss = projection_loss(temperature)
    loss.backward()
    assert loss.item() == pytest.approx(0.09) and temperature.grad is not None
    assert temperature.grad.item() == pytest.approx(0.6)
