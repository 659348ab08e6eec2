# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid and deformable KPConv."""

import pytest
import torch
from random_clouds import in_double, random_neighborhood
from torch import Tensor

from kpconv_ros.layers import kpconv as module
from kpconv_ros.layers.kpconv import DeformableKPConv, KPConv, KPConvError, fitting_loss, repulsive_loss
from kpconv_ros.layers.neighborhood import Neighborhood, find_influences
from reference.kpconv import (
    dense_deformable_kpconv,
    dense_deformed_points,
    dense_kpconv,
    looped_fitting_loss,
    looped_repulsive_loss,
    neighbor_offsets,
    pad_lists,
)

SIGMA, CIN, COUT, K = 0.2, 4, 5, 15


@pytest.fixture
def neighborhood() -> Neighborhood:
    """Forty queries, the first without neighbours, among ninety supports."""
    return random_neighborhood(40, 90, radius=0.5)


def dense_arguments(neighborhood: Neighborhood) -> tuple[Tensor, Tensor, Tensor]:
    return neighborhood.queries, neighborhood.supports, pad_lists(neighborhood.lists, len(neighborhood.supports))


def deformed_layer(seed: int = 3) -> DeformableKPConv:
    """Return a layer whose kernel points are shifted by about half a sigma."""
    torch.manual_seed(seed)
    layer = DeformableKPConv(CIN, COUT, SIGMA, K)
    torch.nn.init.normal_(layer.offset_bias, std=0.3)
    return layer


def close(mine: Tensor | None, its: Tensor | None) -> None:
    """Check gradients to 1e-5 of the largest one."""
    assert mine is not None and its is not None
    scale = its.abs().max() + 1e-12
    torch.testing.assert_close(mine / scale, its / scale, atol=1e-5, rtol=0)


def test_a_rigid_layer_is_its_dense_twin(neighborhood: Neighborhood) -> None:
    layer, features = KPConv(CIN, COUT, SIGMA), torch.randn(90, CIN, requires_grad=True)
    out = layer(features, neighborhood)
    expected = dense_kpconv(features, layer.weights, layer.kernel_points, SIGMA, *dense_arguments(neighborhood))
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    inputs = [features, layer.weights]
    for mine, its in zip(
        torch.autograd.grad(out.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
        strict=True,
    ):
        close(mine, its)


def test_a_folded_bias_is_added(neighborhood: Neighborhood) -> None:
    features = torch.randn(90, CIN)
    for layer in (KPConv(CIN, COUT, SIGMA), deformed_layer()):
        plain = layer(features, neighborhood)
        layer.bias = torch.nn.Parameter(torch.arange(COUT).float())
        torch.testing.assert_close(layer(features, neighborhood), plain + torch.arange(COUT))


def test_a_deformable_layer_is_its_dense_twin_with_the_gradient_of_the_offsets(neighborhood: Neighborhood) -> None:
    layer, features = deformed_layer(), torch.randn(90, CIN, requires_grad=True)
    out = layer(features, neighborhood)
    parameters = (layer.weights, layer.offsets.weights, layer.offset_bias)
    expected = dense_deformable_kpconv(
        features, *parameters, layer.kernel_points, SIGMA, *dense_arguments(neighborhood)
    )
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    inputs = [features, *parameters]
    mine, its = (torch.autograd.grad(result.square().sum(), inputs) for result in (out, expected))
    assert all(gradient.abs().max() > 0 for gradient in mine)
    for one, other in zip(mine, its, strict=True):
        close(one, other)


def test_the_regularization_is_that_of_loops_with_its_gradient(neighborhood: Neighborhood) -> None:
    layer, features = deformed_layer().train(), torch.randn(90, CIN)
    layer(features, neighborhood)
    queries, supports, padded = dense_arguments(neighborhood)
    placed = dense_deformed_points(
        features, layer.offsets.weights, layer.offset_bias, layer.kernel_points, SIGMA, queries, supports, padded
    )
    offsets = neighbor_offsets(queries, supports, padded)
    near = [row[index < 90] for row, index in zip(offsets, padded, strict=True)]
    expected = looped_fitting_loss(near, placed, SIGMA) + looped_repulsive_loss(placed, SIGMA)
    assert layer.regularization is not None and float(expected.detach()) > 0.1
    torch.testing.assert_close(layer.regularization, expected, atol=1e-5, rtol=1e-5)
    inputs = [layer.offsets.weights, layer.offset_bias]
    mine, its = (torch.autograd.grad(loss, inputs, retain_graph=True) for loss in (layer.regularization, expected))
    for one, other in zip(mine, its, strict=True):
        close(one, other)


def test_the_losses_by_hand() -> None:
    lists = random_neighborhood(1, 2).lists
    lists = lists._replace(
        row_starts=torch.tensor([0, 2], dtype=torch.int32), columns=torch.tensor([0, 1], dtype=torch.int32)
    )
    neighborhood = Neighborhood(torch.ones(1, 3), torch.tensor([[1.0, 1, 1], [3, 1, 1]]), lists)
    placed = torch.tensor([[[0.0, 0, 0], [1.5, 0, 0]]])
    assert float(fitting_loss(neighborhood, placed, 2.0)) == pytest.approx(0.25**2)  # 0.5 m from (2, 0, 0)
    assert float(repulsive_loss(placed, 2.0)) == pytest.approx(2 * 0.25**2)  # both see each other at 1 - 1.5 / 2


def test_without_any_neighbors_the_fitting_loss_is_zero() -> None:
    lonely = random_neighborhood(1, 5)
    assert float(fitting_loss(lonely, torch.zeros(1, K, 3), SIGMA)) == 0.0
    layer = deformed_layer().train()
    assert layer(torch.randn(5, CIN), lonely).eq(0).all()
    assert layer.regularization is not None and layer.regularization.isfinite()


def test_the_search_for_the_nearest_neighbor_is_the_same_on_any_device(neighborhood: Neighborhood) -> None:
    placed = torch.randn(40, K, 3) * 0.3
    compiled = module._nearest_neighbors(neighborhood, placed)
    queries, supports, padded = dense_arguments(neighborhood)
    gaps = (neighbor_offsets(queries, supports, padded)[:, None] - placed[:, :, None]).norm(dim=3)  # (M, K, H)
    expected = padded.gather(1, gaps.argmin(2))
    expected[expected == 90] = -1
    assert compiled.equal(expected)


def test_the_gradients_are_right_in_double_precision() -> None:
    single = random_neighborhood(5, 25, radius=0.5)
    small = in_double(single)
    placed = (torch.randn(5, 4, 3).double() * 0.2).requires_grad_()
    influences = find_influences(single, placed.detach().float(), 0.3)
    assert len(influences.weights) > 10
    assert torch.autograd.gradcheck(lambda p: module.deformed_strengths(small, p, influences, 0.3), placed, atol=1e-6)
    assert torch.autograd.gradcheck(lambda p: repulsive_loss(p, 0.3), placed, atol=1e-6)


def test_offsets_of_zero_give_the_rigid_layer(neighborhood: Neighborhood) -> None:
    layer, features = DeformableKPConv(CIN, COUT, SIGMA), torch.randn(90, CIN)
    torch.nn.init.zeros_(layer.offsets.weights)
    rigid = KPConv(CIN, COUT, SIGMA)
    rigid.weights = layer.weights
    torch.testing.assert_close(layer(features, neighborhood), rigid(features, neighborhood), atol=1e-5, rtol=1e-5)


def test_bfloat16_autocast_stays_close(neighborhood: Neighborhood) -> None:
    features = torch.randn(90, CIN)
    for layer in (KPConv(CIN, COUT, SIGMA), deformed_layer()):
        plain = layer(features, neighborhood)
        with torch.autocast("cpu", torch.bfloat16):
            low = layer(features, neighborhood)
        assert (low - plain).norm() < 0.03 * plain.norm()


def test_moving_queries_and_supports_together_changes_nothing(neighborhood: Neighborhood) -> None:
    layer, features = KPConv(CIN, COUT, SIGMA), torch.randn(90, CIN)
    shift = torch.tensor([4.0, -2.0, 1.0])
    moved = Neighborhood(neighborhood.queries + shift, neighborhood.supports + shift, neighborhood.lists)
    torch.testing.assert_close(layer(features, moved), layer(features, neighborhood), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("make", [KPConv, DeformableKPConv])
def test_features_that_do_not_fit_are_refused(make: type, neighborhood: Neighborhood) -> None:
    for shape in ((90, CIN + 1), (89, CIN)):
        with pytest.raises(KPConvError, match=r"features: expected \(90, 4\), got"):
            make(CIN, COUT, SIGMA)(torch.zeros(shape), neighborhood)


@pytest.mark.gpu
@pytest.mark.parametrize("make", [lambda: KPConv(CIN, COUT, SIGMA), deformed_layer])
def test_a_gpu_computes_the_same(make, neighborhood: Neighborhood) -> None:  # type: ignore[no-untyped-def]
    layer, features = make().train(), torch.randn(90, CIN)
    here = layer(features, neighborhood)
    lists = type(neighborhood.lists)(*(tensor.cuda() for tensor in neighborhood.lists))
    there = Neighborhood(neighborhood.queries.cuda(), neighborhood.supports.cuda(), lists)
    regularization = getattr(layer, "regularization", None)
    torch.testing.assert_close(layer.cuda()(features.cuda(), there).cpu(), here, atol=1e-4, rtol=1e-4)
    if regularization is not None:
        torch.testing.assert_close(layer.regularization.cpu(), regularization, atol=1e-4, rtol=1e-4)
