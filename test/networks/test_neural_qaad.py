# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NeuralQAAD, grouped, beside the same network patch by patch."""

import pytest
import torch

from kpconv_ros.networks.encoder import NetworkError
from kpconv_ros.networks.neural_qaad import NeuralQAAD, NeuralQAADConfig, split_into_patches
from reference.neural_qaad import decode_by_patches

SMALL = NeuralQAADConfig(num_patches=5, points_per_patch=7, latent_size=6, num_instances=3, shared_widths=(16, 8, 8))


def make(config: NeuralQAADConfig = SMALL) -> NeuralQAAD:
    torch.manual_seed(0)
    network = NeuralQAAD(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("patch_widths", [(10,), (10, 9)])
def test_grouped_decoding_and_its_gradients_are_those_of_patch_by_patch(patch_widths: tuple[int, ...]) -> None:
    config = NeuralQAADConfig(5, 7, 6, 3, (16, 8, 8), patch_widths)
    network = make(config).double()
    rows = torch.stack([torch.randperm(7)[:4] for _ in range(5)])
    for chosen in (None, rows):
        gradients = []
        for decode in (network, lambda *args: decode_by_patches(network, *args)):
            network.zero_grad()
            points = decode(network.latents, chosen)
            assert points.shape == (3, 5, 7 if chosen is None else 4, 3)
            points.square().sum().backward()
            gradients.append((points.detach(), *(p.grad.clone() for p in network.parameters())))
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)


def test_without_gradients_the_points_are_the_same() -> None:
    network = make(NeuralQAADConfig(128, 9, 20))
    latents = torch.randn(3, 20)
    with torch.no_grad():
        torch.testing.assert_close(network(latents), decode_by_patches(network, latents))
    torch.testing.assert_close(network(latents), decode_by_patches(network, latents))


def test_clouds_decode_alike_alone_and_in_a_batch() -> None:
    network, latents = make(), torch.randn(4, 6)
    alone = torch.cat([network(latent[None]) for latent in latents])
    torch.testing.assert_close(network(latents), alone)


def test_a_subset_is_that_part_of_all_points() -> None:
    network = make()
    rows = torch.tensor([[6, 0], [1, 1], [2, 3], [4, 5], [0, 6]])
    everything = network(network.latents)
    expected = everything.gather(2, rows[None, :, :, None].expand(3, -1, -1, 3))
    torch.testing.assert_close(network(network.latents, rows), expected)


def test_a_code_and_a_cloud_are_learned() -> None:
    network = make(NeuralQAADConfig(4, 4, 3, 2, (32, 16), (16,)))
    targets = torch.randn(2, 4, 4, 3)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(300):
        loss = (network(network.latents) - targets).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 1e-3


def test_signals_keep_their_size_through_the_layers() -> None:
    torch.manual_seed(0)
    network = NeuralQAAD(NeuralQAADConfig(8, 64, 32))
    assert 0.4 < float(network(torch.randn(8, 32)).detach().std()) < 2.5


def test_the_paper_s_layers_have_their_number_of_weights() -> None:
    network = NeuralQAAD(NeuralQAADConfig(16, 8, 10))
    shared = 13 * 256 + 256 + 256 * 128 + 128 + 2 * (128 * 128 + 128)
    patch = (128 + 3) * 64 + 64 + 64 * 3 + 3
    assert sum(p.numel() for p in network.parameters()) == shared + 16 * patch + 16 * 8 * 3


def test_patches_are_compact_and_hold_every_point_once() -> None:
    cloud = torch.rand(512, 3, generator=torch.Generator().manual_seed(0))
    patches = split_into_patches(cloud, 8)
    assert patches.shape == (8, 64, 3)
    assert sorted(patches.flatten(0, 1).tolist()) == sorted(cloud.tolist())
    assert float((patches.amax(1) - patches.amin(1)).max()) < 0.65  # octants of the unit cube
    with pytest.raises(NetworkError, match="multiple of 7"):
        split_into_patches(cloud, 7)


def test_shapes_that_do_not_fit_are_refused() -> None:
    network = make()
    with pytest.raises(NetworkError, match=r"\(B, 6\), got \(2, 5\)"):
        network(torch.zeros(2, 5))
    with pytest.raises(NetworkError, match=r"rows: expected \(5, p\), got \(4, 2\)"):
        network(torch.zeros(2, 6), torch.zeros(4, 2, dtype=torch.int64))
    with pytest.raises(NetworkError, match="patch_widths"):
        NeuralQAADConfig(patch_widths=())
