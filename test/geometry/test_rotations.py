# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of rotations."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from kpconv_ros.geometry.rotations import apply_motions, geodesic_angles, matrices_of_quaternions
from kpconv_ros.geometry.se3 import pose_of


def about_z(degrees: float) -> Tensor:
    """Return one rotation in float32."""
    half = math.radians(degrees) / 2
    return matrices_of_quaternions(torch.tensor([[math.cos(half), 0.0, 0.0, math.sin(half)]]))


def test_quaternions_of_any_length_give_the_rotations_of_se3() -> None:
    quaternions = np.random.default_rng(0).normal(size=(5, 4)) * 3  # w first
    matrices = matrices_of_quaternions(torch.from_numpy(quaternions))
    for matrix, (w, x, y, z) in zip(matrices, quaternions, strict=True):
        np.testing.assert_allclose(matrix.numpy(), pose_of(np.zeros(3), np.array([x, y, z, w]))[:3, :3], atol=1e-12)


@pytest.mark.parametrize("degrees", [0.0, 0.01, 5.0, 45.0, 90.0, 179.0, 180.0])
def test_an_angle_is_the_true_one_and_not_twice_it(degrees: float) -> None:
    base = about_z(33.0)
    angle = torch.rad2deg(geodesic_angles(base, base @ about_z(degrees)))
    assert angle.item() == pytest.approx(degrees, abs=2e-2)


def test_an_angle_does_not_depend_on_the_order() -> None:
    one, other = matrices_of_quaternions(torch.randn(2, 4, generator=torch.Generator().manual_seed(0))).split(1)
    assert geodesic_angles(one, other).item() == pytest.approx(geodesic_angles(other, one).item())


def test_a_motion_turns_and_then_shifts() -> None:
    moved = apply_motions(about_z(90.0), torch.tensor([[1.0, 2, 3]]), torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]))
    assert torch.allclose(moved, torch.tensor([[[1.0, 3, 3], [0, 2, 3]]]), atol=1e-6)
