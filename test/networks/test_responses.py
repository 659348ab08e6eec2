# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a block answers, what it depends on, and where its kernel points lie."""

import pytest
import torch
from random_clouds import random_batch
from torch import Tensor

from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.layers.kpconv import DeformableKPConv
from kpconv_ros.networks.encoder import NetworkError
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.pyramid import Level
from kpconv_ros.networks.responses import (
    block_response,
    nearest_row,
    placed_kernel,
    receptive_field,
    receptive_radius,
    spread_to_points,
)

RIGID = ("simple", "residual", "strided", "residual", "strided", "residual")
DEFORMABLE = ("simple", "residual", "strided", "deformable", "deformable_strided", "deformable")
PLACE = torch.tensor([0.4, -0.3, 0.1])


def make_network(encoder: tuple[str, ...], voxel_size: float = 0.2) -> KPFCNN:
    """Return a network with random weights, offsets too."""
    torch.manual_seed(0)
    network = KPFCNN(KPFCNNConfig(num_classes=3, in_features=2, voxel_size=voxel_size, width=8, encoder=encoder))
    for layer in network.modules():
        if isinstance(layer, DeformableKPConv):
            torch.nn.init.normal_(layer.offset_bias, std=0.2)
    return network.eval()


def make_scene(network: KPFCNN, size: float = 2.0, count: int = 400) -> tuple[list[Level], Tensor]:
    """Return a pyramid and input features."""
    voxels = grid_subsample(*random_batch([count], size=size), network.config.voxel_size)
    features = torch.rand(len(voxels.points), 2, generator=torch.Generator().manual_seed(1))
    return network.build_levels(voxels.points, voxels.lengths), features


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
def test_a_response_is_what_a_hook_on_the_block_sees(encoder: tuple[str, ...]) -> None:
    network = make_network(encoder)
    levels, features = make_scene(network)
    seen: list[Tensor] = []
    for block in network.encoder:
        block.register_forward_hook(lambda module, inputs, out: seen.append(out.clone()))
    network.classify(levels, features)
    hooked, found = list(seen), [block_response(network.encoder, levels, features, i) for i in range(len(encoder))]
    assert [level for level, _ in found] == [0, 0, 1, 1, 2, 2]
    assert all(response.equal(expected) for (_, response), expected in zip(found, hooked, strict=True))
    assert block_response(network.encoder, levels, features, -1)[1].equal(hooked[-1])


@pytest.mark.parametrize("block", [6, -7])
def test_a_block_that_is_not_there_is_refused(block: int) -> None:
    network = make_network(RIGID)
    levels, features = make_scene(network)
    for ask in (block_response, lambda *words: placed_kernel(*words, PLACE)):
        with pytest.raises(NetworkError, match="expected -6 to 5"):
            ask(network.encoder, levels, features, block)


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
def test_a_receptive_field_is_the_gradient_by_finite_differences(encoder: tuple[str, ...]) -> None:
    network = make_network(encoder).double()
    levels, features = make_scene(network)
    features = features.double()
    place, field = receptive_field(network.encoder, levels, features, 3, PLACE)
    row, step = nearest_row(levels[1].points, PLACE), 1e-6
    assert place.equal(levels[1].points[row])

    def length(changed: Tensor) -> Tensor:
        with torch.no_grad():
            return block_response(network.encoder, levels, changed, 3)[1][row].norm()

    strongest, weakest = int(field.argmax()), int(torch.where(field > 0, field, torch.inf).argmin())
    for voxel in (strongest, weakest, int((field == 0).nonzero()[0])):
        slopes = []
        for column in range(2):
            change = torch.zeros_like(features)
            change[voxel, column] = step
            slopes.append((length(features + change) - length(features - change)) / (2 * step))
        torch.testing.assert_close(torch.stack(slopes).norm(), field[voxel], atol=1e-8, rtol=1e-5)


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
@pytest.mark.parametrize("block", [0, 1, 2, 4])
def test_no_input_beyond_the_summed_radii_matters(encoder: tuple[str, ...], block: int) -> None:
    network = make_network(encoder, voxel_size=0.1)
    levels, features = make_scene(network, size=9.0, count=3000)
    place, field = receptive_field(network.encoder, levels, features, block, PLACE)
    distances = (levels[0].points - place).norm(dim=1)
    limit = receptive_radius(network.config, block)
    assert (distances > limit).any() and not field[distances > limit].any()
    assert field[distances < limit].max() > 0


def test_the_summed_radii_are_those_of_the_blocks() -> None:
    config = make_network(DEFORMABLE).config  # 0.5 m at level 0; 5 cells of 0.4 m and of 0.8 m below it
    expected = [0.5, 1.0, 1.5, 3.5, 5.5, 9.5]
    assert [receptive_radius(config, block) for block in range(6)] == pytest.approx(expected)


def test_coarse_values_go_to_the_points_that_upsampling_gives_them() -> None:
    network = make_network(RIGID)
    levels, _ = make_scene(network)
    assert levels[0].coarse_of_fine is not None and levels[1].coarse_of_fine is not None
    values = torch.arange(len(levels[2].points))
    expected = [values[levels[1].coarse_of_fine[levels[0].coarse_of_fine[i]]] for i in range(len(levels[0].points))]
    assert spread_to_points(levels, 2, values).tolist() == [int(value) for value in expected]
    assert spread_to_points(levels, 0, values).equal(values)


@pytest.mark.parametrize("block", [0, 2, 3, 5])
def test_a_rigid_kernel_is_the_layers_own(block: int) -> None:
    network = make_network(RIGID)
    levels, features = make_scene(network)
    kernel = placed_kernel(network.encoder, levels, features, block, PLACE)
    conv = network.encoder[block].conv
    assert kernel.points.equal(conv.kernel_points) and kernel.rigid_points.equal(conv.kernel_points)
    assert kernel.weights.tolist() == pytest.approx([float(weights.norm()) for weights in conv.weights.detach()])
    assert kernel.sigma == conv.sigma
    level = levels[{0: 0, 2: 0, 3: 1, 5: 2}[block]]
    queries = levels[1].points if block == 2 else level.points
    offsets = level.points - queries[nearest_row(queries, PLACE)]
    near = offsets[offsets.norm(dim=1) <= 2.5 * conv.sigma]
    assert sorted(kernel.neighbors.tolist()) == sorted(near.tolist())


@pytest.mark.parametrize("block", [3, 4, 5])
def test_a_deformed_kernel_is_moved_by_the_layers_offsets(block: int) -> None:
    network = make_network(DEFORMABLE)
    levels, features = make_scene(network)
    offsets: list[Tensor] = []
    conv = network.encoder[block].conv
    conv.offsets.register_forward_hook(lambda module, inputs, out: offsets.append(out.clone()))
    with torch.no_grad():
        network.classify(levels, features)
    kernel = placed_kernel(network.encoder, levels, features, block, PLACE)
    row = nearest_row(levels[{3: 1, 4: 2, 5: 2}[block]].points, PLACE)
    moved = (offsets[0][row] + conv.offset_bias).view(-1, 3) * conv.sigma
    torch.testing.assert_close(kernel.points - kernel.rigid_points, moved.detach(), atol=1e-6, rtol=1e-4)
    assert moved.norm(dim=1).min() > 0 and kernel.rigid_points.equal(conv.kernel_points)
