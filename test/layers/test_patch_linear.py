# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Linear layers of patches, grouped, against the same patch by patch in float64; the decoder on a real tile."""

import pytest
import torch
from real_clouds import near_place
from torch import Tensor

from kpconv_ros.data.clouds import Cloud
from kpconv_ros.layers.patch_linear import PatchLinear, shared_linear
from kpconv_ros.networks.neural_qaad import NeuralQAAD, NeuralQAADConfig, split_into_patches
from reference.neural_qaad import decode_by_patches
from reference.patch_linear import linear_by_patches


def make(num_patches: int, in_channels: int, out_channels: int, bias: bool) -> PatchLinear:
    """Return a layer whose biases are not 0."""
    torch.manual_seed(0)
    layer = PatchLinear(num_patches, in_channels, out_channels, bias)
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(5, 7, 6, 4), (1, 1, 1, 1), (3, 0, 4, 2)])
def test_the_grouped_layer_and_its_gradients_are_those_of_each_patch(sizes: tuple[int, ...], bias: bool) -> None:
    num_patches, num_points, in_channels, out_channels = sizes
    layer = make(num_patches, in_channels, out_channels, bias)
    features = torch.randn(num_patches, num_points, in_channels, requires_grad=True)
    upstream = torch.randn(num_patches, num_points, out_channels)
    out = layer(features)
    out.backward(upstream)
    ours = [features, *layer.parameters()]
    theirs = [t.detach().double().requires_grad_() for t in ours]
    expected = linear_by_patches(theirs[0], theirs[1], theirs[2] if bias else None)
    expected.backward(upstream.double())
    assert out.shape == upstream.shape and len(ours) == 2 + bias
    torch.testing.assert_close(out.detach().double(), expected.detach(), rtol=1e-5, atol=1e-5)
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-5, atol=1e-5)
        assert num_points == 0 or other.grad.abs().min() > 0


@pytest.mark.parametrize("bias", [True, False])
def test_its_derivatives_are_those_of_differences(bias: bool) -> None:
    layer = make(3, 4, 2, bias).double()
    features = torch.randn(3, 5, 4, dtype=torch.float64, requires_grad=True)
    names, values = zip(*layer.named_parameters(), strict=True)

    def call(features: Tensor, *parameters: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), features)
        return out

    assert torch.autograd.gradcheck(call, (features, *values))


@pytest.mark.parametrize("bias", [True, False])
def test_some_of_the_patches_are_that_part_of_all(bias: bool) -> None:
    layer, features = make(5, 6, 4, bias), torch.randn(5, 7, 6)
    torch.testing.assert_close(layer(features[1:4], slice(1, 4)), layer(features)[1:4])


def test_no_patch_sees_the_features_of_another() -> None:
    layer, features = make(4, 3, 2, True), torch.randn(4, 5, 3)
    changed = features.clone()
    changed[2] += 1
    same = (layer(changed) == layer(features)).all(2).all(1)
    assert same.tolist() == [True, True, False, True]


def test_shapes_that_do_not_fit_are_refused() -> None:
    for bias in (True, False):
        layer = make(4, 3, 2, bias)
        for wrong in (torch.zeros(4, 5, 2), torch.zeros(3, 5, 3), torch.zeros(20, 3)):  # channels, patches, no groups
            with pytest.raises(RuntimeError):
                layer(wrong)


def test_new_layers_keep_the_variance_and_add_nothing() -> None:
    torch.manual_seed(0)
    for layer in (PatchLinear(8, 64, 48), shared_linear(64, 48)):
        features = torch.randn(8, 100, 64)
        assert 0.9 < float(layer(features).detach().std()) < 1.1
        assert layer.bias is not None and not layer.bias.any()
    assert PatchLinear(2, 3, 4, bias=False).bias is None and shared_linear(3, 4, bias=False).bias is None


@pytest.mark.data
def test_the_decoder_of_a_real_tile_is_the_one_patch_by_patch(real_scan: Cloud) -> None:
    tile = torch.from_numpy(real_scan.points[near_place(real_scan.points, 1.5)][:1536])
    patches = split_into_patches(tile - tile.mean(0), 12)
    torch.manual_seed(0)
    network = NeuralQAAD(NeuralQAADConfig(12, 128, 6, 2, (32, 24), (16, 8)))
    twin = NeuralQAAD(network.config).double()
    with torch.no_grad():
        network.input_cloud.copy_(patches)
        network.latents.normal_()
    twin.load_state_dict(network.state_dict())
    outs = [network(network.latents), decode_by_patches(twin, twin.latents)]
    for out in outs:
        (out - patches).square().mean().backward()  # the tile is what the codes stand for
    torch.testing.assert_close(outs[0].detach().double(), outs[1].detach(), rtol=1e-4, atol=1e-5)
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None and other.grad.abs().max() > 1e-4
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-3, atol=1e-6)
