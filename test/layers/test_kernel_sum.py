# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sum of Eqs. (1) and (2) from the non-zero influences."""

import pytest
import torch
from random_clouds import random_neighborhood
from torch import Tensor

from kpconv_ros.layers import kernel_sum as module
from kpconv_ros.layers.kernel_points import kernel_disposition
from kpconv_ros.layers.kernel_sum import kernel_sum
from kpconv_ros.layers.neighborhood import Influences, Neighborhood, find_influences
from reference.kpconv import dense_kpconv, pad_lists

SIGMA, CIN, COUT = 0.15, 6, 10


@pytest.fixture
def neighborhood() -> Neighborhood:
    """Queries enough for several chunks and both threads, if chunks are small."""
    return random_neighborhood(3000, 200)


@pytest.fixture
def influences(neighborhood: Neighborhood) -> Influences:
    """Those of fifteen kernel points."""
    return find_influences(neighborhood, kernel_disposition(15, SIGMA)[None], SIGMA)


def gradients(out: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Return the derivatives of a fixed function of ``out``."""
    weights = torch.linspace(-1, 1, out.numel()).view_as(out)
    return list(torch.autograd.grad((out.float() * weights).sum(), inputs))


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20, 1 << 30])
def test_values_and_gradients_are_those_of_the_dense_twin(
    neighborhood: Neighborhood, influences: Influences, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk_bytes)
    features, weights = torch.randn(200, CIN, requires_grad=True), torch.randn(15, CIN, COUT, requires_grad=True)
    out = kernel_sum(features, weights, influences)
    padded = pad_lists(neighborhood.lists, 200)
    shared = (kernel_disposition(15, SIGMA), SIGMA, neighborhood.queries, neighborhood.supports, padded)
    expected = dense_kpconv(features, weights, *shared)
    assert out.dtype == torch.float32 and out[0].eq(0).all()
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    for mine, its in zip(gradients(out, [features, weights]), gradients(expected, [features, weights]), strict=True):
        torch.testing.assert_close(mine / its.abs().max(), its / its.abs().max(), atol=1e-5, rtol=0)


def test_plain_torch_computes_the_same_with_the_gradient_of_the_strengths(influences: Influences) -> None:
    features, weights = torch.randn(200, CIN, requires_grad=True), torch.randn(15, CIN, COUT, requires_grad=True)
    strengths = influences.weights.clone().requires_grad_()
    inputs = [features, weights, strengths]
    one = kernel_sum(features, weights, influences, strengths)
    other = module._kernel_sum_sparse(features, weights, influences, strengths)
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    for mine, its in zip(gradients(one, inputs), gradients(other, inputs), strict=True):
        torch.testing.assert_close(mine / its.abs().max(), its / its.abs().max(), atol=1e-5, rtol=0)


def test_the_gradients_are_right_in_double_precision() -> None:
    influences = find_influences(random_neighborhood(6, 30), kernel_disposition(5, 0.3)[None], 0.3)
    assert len(influences.weights) > 10
    features, weights = torch.randn(30, 2).double().requires_grad_(), torch.randn(5, 2, 3).double().requires_grad_()
    strengths = influences.weights.double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f, w, s: kernel_sum(f, w, influences, s), (features, weights, strengths), atol=1e-8
    )


@pytest.mark.parametrize("wanted", range(3))
def test_a_gradient_asked_for_alone_is_the_same(influences: Influences, wanted: int) -> None:
    inputs = [torch.randn(200, CIN), torch.randn(15, CIN, COUT), influences.weights.clone()]
    together = [tensor.clone().requires_grad_() for tensor in inputs]
    expected = gradients(kernel_sum(*together[:2], influences, together[2]), together)[wanted]
    inputs[wanted].requires_grad_()
    (alone,) = gradients(kernel_sum(*inputs[:2], influences, inputs[2]), [inputs[wanted]])
    torch.testing.assert_close(alone, expected)


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
def test_bfloat16_products_stay_close(
    influences: Influences, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk_bytes)
    features, weights = torch.randn(200, CIN, requires_grad=True), torch.randn(15, CIN, COUT, requires_grad=True)
    strengths = influences.weights.clone().requires_grad_()
    inputs = [features, weights, strengths]
    plain = kernel_sum(features, weights, influences, strengths)
    with torch.autocast("cpu", torch.bfloat16):
        low = kernel_sum(features.bfloat16(), weights, influences, strengths)
    assert low.dtype == torch.float32 and not low.equal(plain)
    pairs = [(low, plain), *zip(gradients(low, inputs), gradients(plain, inputs), strict=True)]
    for mine, its in pairs:
        assert (mine - its).norm() < 0.01 * its.norm()


def test_no_queries_give_no_rows_and_no_influence_gives_zero() -> None:
    nothing = torch.zeros(0)
    for starts in ([0], [0, 0, 0]):
        influences = Influences(torch.tensor(starts), nothing.byte(), nothing.int(), nothing)
        features, weights = torch.randn(4, CIN, requires_grad=True), torch.randn(15, CIN, COUT, requires_grad=True)
        out = kernel_sum(features, weights, influences)
        assert out.shape == (len(starts) - 1, COUT) and out.eq(0).all()
        out.sum().backward()
        assert features.grad is not None and features.grad.eq(0).all()
