# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nearest points of the other cloud, both ways, as the matrix of all distances has them."""

import numpy as np
import pytest
import torch

from kpconv_ros.geometry.distances import SOFTENING, mean_nearest_distances
from kpconv_ros.kernels.mutual_nearest import mutual_nearest


@pytest.mark.parametrize(("num", "most"), [(1, 1), (1, 9), (70, 3), (33, 130)])
def test_rows_are_those_of_the_matrix_of_all_distances(num: int, most: int) -> None:
    generator = np.random.default_rng(0)
    one, other = (generator.normal(size=(4, size, 3)).astype(np.float32) for size in (num, most))
    squares = ((one[:, :, None].astype(float) - other[:, None].astype(float)) ** 2).sum(3)
    there, back = mutual_nearest(one, other)
    assert np.array_equal(there, squares.argmin(2)) and np.array_equal(back, squares.argmin(1))


def test_mean_distances_are_those_by_hand_and_their_gradient_points_at_the_nearest() -> None:
    one = torch.tensor([[[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]]], requires_grad=True)
    other = torch.tensor([[[0.0, 2.0, 0.0], [3.0, 0.0, 1.0]]])
    there, back = mean_nearest_distances(one, other)
    assert there.tolist() == pytest.approx([1.5], abs=SOFTENING) and back.tolist() == pytest.approx([1.5], abs=1e-3)
    there.sum().backward()
    assert one.grad is not None
    assert torch.allclose(one.grad, torch.tensor([[[0.0, -0.5, 0.0], [0.0, 0.0, -0.5]]]), atol=1e-3)


def test_both_ways_of_computing_agree() -> None:
    one, other = torch.rand(2, 20, 3), torch.rand(2, 30, 3)
    compiled, plain = mean_nearest_distances(one, other), mean_nearest_distances(one.double(), other.double())
    for a, b in zip(compiled, plain, strict=True):
        assert torch.allclose(a.double(), b, atol=1e-5)
