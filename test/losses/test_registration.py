# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objective of registration."""

import math

import pytest
import torch

from kpconv_ros.geometry.rotations import matrices_of_quaternions
from kpconv_ros.losses.registration import registration_loss, rotation_loss


def about_z(angle: float) -> torch.Tensor:
    """Return one rotation."""
    return matrices_of_quaternions(torch.tensor([[math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2)]]))


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.0])
def test_a_rotation_costs_eight_squared_sines_of_half_its_angle(angle: float) -> None:
    loss = rotation_loss(about_z(0.2 + angle), about_z(0.2))
    assert loss.item() == pytest.approx(8 * math.sin(angle / 2) ** 2, abs=1e-5)


def test_the_terms_add_up() -> None:
    sources, moved = torch.zeros(1, 1, 3), torch.tensor([[[0.5, 0.0, 0.0]]])
    rotations = about_z(0.0), about_z(1.0)
    expected = 8 * math.sin(0.5) ** 2 + 2 * 0.25
    assert registration_loss(*rotations, moved, sources).item() == pytest.approx(expected, rel=1e-5)
    offsets = torch.tensor([[0.0, 3, 4]])
    assert registration_loss(*rotations, moved, sources, offsets).item() == pytest.approx(expected + 25, rel=1e-5)
