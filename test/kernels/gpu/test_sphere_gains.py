# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sums within spheres against all distances in NumPy."""

import numpy as np
import pytest
import torch
from real_clouds import CloudSource

from kpconv_ros.kernels.gpu.sphere_gains import sum_within

RADIUS = 0.4


@pytest.mark.parametrize("is_tukey", [True, False])
@pytest.mark.parametrize("far", [0.0, 5e6])
def test_sums_within_a_radius(device: torch.device, source: CloudSource, is_tukey: bool, far: float) -> None:
    generator = np.random.default_rng(0)
    points, weights = source.batch([600])[0].double().numpy() + far, generator.random(600).astype(np.float32)
    rows, centers = generator.integers(-1, 600, 300), points[generator.integers(600, size=16)]
    limit = torch.full((1,), RADIUS**2, dtype=torch.float64)
    arrays = (torch.from_numpy(array).to(device) for array in (centers, points, rows, weights))
    sums = sum_within(*arrays, limit.to(device), is_tukey)
    held = rows[rows >= 0]
    share = np.maximum(1 - np.square(centers[:, None] - points[held]).sum(axis=2) / RADIUS**2, 0)
    expected = (np.square(share) if is_tukey else share > 0) @ weights[held].astype(np.float64)
    np.testing.assert_allclose(sums.cpu(), expected, rtol=1e-9)
    assert expected.min() > 0 and expected.max() < weights[held].sum()


def test_no_places_sum_to_nothing(device: torch.device) -> None:
    nothing, limit = torch.zeros(0, dtype=torch.int64, device=device), torch.ones(1, dtype=torch.float64, device=device)
    points = torch.zeros(4, 3, dtype=torch.float64, device=device)
    for rows in (nothing, nothing.new_full((9,), -1)):
        assert sum_within(points, points, rows, torch.ones(4, device=device), limit, True).tolist() == [0.0] * 4
