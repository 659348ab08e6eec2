# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fused KPConv against the dense one of the paper in float64."""

import pytest
import torch
from random_clouds import random_features, random_neighborhood
from real_clouds import CloudSource, FeatureMaker
from torch import Tensor

from kpconv_ros.kernels.gpu.kernel_sum import Pairs, RowLists, gather, kernel_sum, scatter
from kpconv_ros.layers.neighborhood import Neighborhood
from reference.kpconv import dense_kpconv, pad_lists

SIGMA = 0.2


def pairs_of(hood: Neighborhood, device: torch.device) -> Pairs:
    """Return a neighbourhood as the kernels take it."""
    starts = hood.lists.row_starts
    lists = RowLists(*(t.contiguous().to(device) for t in (starts[:-1], starts[1:], hood.lists.columns)))
    return Pairs(hood.queries.to(device), hood.supports.to(device), lists)


def dense(features: Tensor, weights: Tensor, points: Tensor, hood: Neighborhood) -> Tensor:
    """The same by the reference, which takes any precision."""
    at = (hood.queries.to(features), hood.supports.to(features), pad_lists(hood.lists, len(hood.supports)))
    return dense_kpconv(features, weights, points, SIGMA, *at)


def random_layer(
    supports: Tensor, channels: int, out: int, num_kernels: int, features: FeatureMaker = random_features
) -> tuple[Tensor, Tensor, Tensor]:
    """Return features, weights and kernel points ``(1, K, 3)``, the first of them at the centre, as ever."""
    generator = torch.Generator().manual_seed(channels + 1)
    weights = torch.randn(num_kernels, channels, out, generator=generator) / channels
    points = (torch.rand(1, num_kernels, 3, generator=generator) - 0.5) * 0.6
    points[:, 0] = 0
    return features(supports, channels), weights, points


@pytest.mark.parametrize(("channels", "num_kernels"), [(1, 15), (80, 7), (16, 20)])
def test_the_rigid_sum_is_that_of_the_paper(
    device: torch.device, source: CloudSource, channels: int, num_kernels: int
) -> None:
    # The first query has no neighbours, some have more than a block of them.
    hood = random_neighborhood(5, 90, radius=0.7, batch=source.batch)
    assert hood.lists.row_starts.diff().max() > 32
    features, weights, points = random_layer(hood.supports, channels, 6, num_kernels, source.features)
    out = kernel_sum(features.to(device), weights.to(device), pairs_of(hood, device), points.to(device), SIGMA)
    expected = dense(features.double(), weights.double(), points[0].double(), hood)
    assert (out[0] == 0).all() and expected.abs().max() > 0.1
    torch.testing.assert_close(out.cpu().double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_sums_in_float32(device: torch.device, source: CloudSource, dtype: torch.dtype) -> None:
    hood = random_neighborhood(6, 80, radius=0.5, batch=source.batch)
    features, _, points = random_layer(hood.supports, 16, 1, 15, source.features)
    features = features.to(dtype)
    gathered = gather(features.to(device), pairs_of(hood, device), points.to(device), SIGMA)
    eye = torch.eye(15 * 16, dtype=torch.float64).view(15, 16, -1)  # the dense sum, still by kernel point
    expected = dense(features.double(), eye, points[0].double(), hood)
    assert gathered.dtype == dtype
    step = torch.finfo(dtype).eps  # one rounding of the influences, one of the result
    scale = dense(features.double().abs(), eye, points[0].double(), hood).max()
    torch.testing.assert_close(gathered.cpu().double(), expected, rtol=step, atol=float(step * scale))


def test_padded_lists_give_what_packed_ones_give(device: torch.device) -> None:
    hood = random_neighborhood(7, 40)
    features, weights, points = (t.to(device) for t in random_layer(hood.supports, 8, 4, 15))
    packed = pairs_of(hood, device)
    padded = pad_lists(hood.lists, 40)
    begins = torch.arange(7, dtype=torch.int32) * padded.shape[1]
    lists = RowLists(begins, begins + hood.lists.row_starts.diff(), padded.int().flatten())
    other = Pairs(packed.queries, packed.supports, RowLists(*(t.to(device) for t in lists)))
    one, two = (kernel_sum(features, weights, pairs, points, SIGMA) for pairs in (packed, other))
    assert one.equal(two) and one.abs().max() > 0


def test_gradients_of_the_rigid_sum_are_those_of_the_paper(device: torch.device, source: CloudSource) -> None:
    hood = random_neighborhood(6, 40, batch=source.batch)
    features, weights, points = random_layer(hood.supports, 20, 3, 15, source.features)
    upstream = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    ours = [t.clone().to(device).requires_grad_() for t in (features, weights)]
    kernel_sum(*ours, pairs_of(hood, device), points.to(device), SIGMA).backward(upstream.to(device))
    theirs = [t.double().requires_grad_() for t in (features, weights)]
    dense(*theirs, points[0].double(), hood).backward(upstream.double())
    for one, other in zip(ours, theirs, strict=True):
        assert other.grad is not None and other.grad.abs().max() > 0.01
        torch.testing.assert_close(one.grad.cpu().double(), other.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [8, 40])
def test_the_deformable_sum_and_its_gradients_are_those_of_the_paper(
    device: torch.device, source: CloudSource, channels: int
) -> None:
    hood = random_neighborhood(6, 40, batch=source.batch)
    features, weights, points = random_layer(hood.supports, channels, 3, 15, source.features)
    placed = points + 0.1 * torch.randn(6, 15, 3, generator=torch.Generator().manual_seed(1))
    placed[:, 0] = 0  # where a query that is a support itself has a neighbour at no distance: no slope there
    upstream = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    ours = [t.clone().to(device).requires_grad_() for t in (features, weights, placed)]
    out = kernel_sum(ours[0], ours[1], pairs_of(hood, device), ours[2], SIGMA)
    out.backward(upstream.to(device))
    theirs = [t.double().requires_grad_() for t in (features, weights, placed)]
    expected = dense(*theirs, hood)
    expected.backward(upstream.double())
    torch.testing.assert_close(out.detach().cpu().double(), expected.detach(), rtol=1e-4, atol=1e-5)
    for one, other in zip(ours, theirs, strict=True):
        assert other.grad is not None and other.grad.abs().max() > 0.01
        torch.testing.assert_close(one.grad.cpu().double(), other.grad, rtol=1e-3, atol=1e-4)


def test_scattering_is_the_adjoint_of_gathering(device: torch.device) -> None:
    hood = random_neighborhood(5, 30)
    pairs = pairs_of(hood, device)
    features, _, points = (t.to(device) for t in random_layer(hood.supports, 16, 1, 15))
    gradient = torch.randn(5, 15 * 16, generator=torch.Generator().manual_seed(2)).to(device)
    there = (gather(features, pairs, points, SIGMA).double() * gradient).sum()
    back = (scatter(gradient, pairs, points, SIGMA).double() * features).sum()
    assert abs(there) > 0.1
    torch.testing.assert_close(there, back, rtol=1e-5, atol=1e-5)


def test_no_queries_give_no_rows(device: torch.device) -> None:
    hood = random_neighborhood(3, 10)
    pairs = pairs_of(hood, device)
    none = Pairs(pairs.queries[:0], pairs.supports, RowLists(*(t[:0] for t in pairs.lists)))
    features, weights, points = (t.to(device) for t in random_layer(pairs.supports, 4, 2, 15))
    assert kernel_sum(features, weights, none, points, SIGMA).shape == (0, 2)


def test_kernel_points_of_some_queries_are_refused(device: torch.device) -> None:
    pairs = pairs_of(random_neighborhood(3, 10), device)
    features, weights, points = (t.to(device) for t in random_layer(pairs.supports, 4, 2, 15))
    with pytest.raises(ValueError, match=r"expected those of 1 or 3 queries, got \(2, 15, 3\)"):
        kernel_sum(features, weights, pairs, points.expand(2, -1, -1), SIGMA)
