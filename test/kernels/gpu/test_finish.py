# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pass behind a matrix product against plain torch."""

import pytest
import torch
from real_clouds import CloudSource
from torch.nn.functional import leaky_relu

from kpconv_ros.kernels.gpu.finish import finish_
from reference.neighbors import all_distances

GENERATOR = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1), (20, 70), (33, 64)])
def test_bias_shortcut_and_leaky_relu_are_one_pass(
    device: torch.device, source: CloudSource, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    points, _ = source.batch([shape[0]])
    out, other = source.features(points, 2 * shape[1]).to(dtype).chunk(2, 1)
    out, other = out.contiguous().to(device), other.contiguous().to(device)
    bias = torch.randn(shape[1], generator=GENERATOR).to(device)
    expected = leaky_relu(out.float() + bias + other.float(), 0.1).to(dtype)
    assert finish_(out, bias, 0.1, other) is out
    torch.testing.assert_close(out, expected)


def test_fine_points_take_the_features_of_the_nearest_coarse_one(device: torch.device, source: CloudSource) -> None:
    (points, lengths), (places, counts) = source.batch([18]), source.batch([4], seed=1)
    out, coarse = source.features(points, 5).to(device), source.features(places, 5).to(device)
    rows = all_distances(points, places, lengths, counts).argmin(1).to(device)
    assert len(rows.unique()) > 1
    expected = leaky_relu(out + coarse[rows], 0.2)
    torch.testing.assert_close(finish_(out, None, 0.2, coarse, rows), expected)


def test_a_slope_of_one_only_adds(device: torch.device) -> None:
    out = torch.tensor([[-1.0, 2.0]], device=device)
    assert finish_(out, torch.tensor([0.5, 0.5], device=device), 1.0).tolist() == [[-0.5, 2.5]]
    assert finish_(out[:0], None, 1.0).shape == (0, 2)


def test_other_rows_must_fit(device: torch.device) -> None:
    with pytest.raises(ValueError, match=r"expected \(2, 3\), or more rows to choose from, got \(1, 3\)"):
        finish_(torch.zeros(2, 3, device=device), None, 1.0, torch.zeros(1, 3, device=device))
