# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KP-FCNN."""

import copy
from typing import Any

import pytest
import torch
from random_clouds import random_batch
from torch import Tensor

from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.layers.blocks import PackedBatchNorm, fold_batch_norms
from kpconv_ros.losses.segmentation import segmentation_loss
from kpconv_ros.networks.encoder import DEEP_ENCODER, PAPER_ENCODER, NetworkError
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from reference.kpfcnn import DenseKPFCNN, pad_levels

RIGID = ("simple", "residual", "strided", "residual")
DEFORMABLE = ("simple", "residual", "deformable_strided", "deformable")
SIZE = 0.25


def make_network(encoder: tuple[str, ...] = RIGID, **sizes: Any) -> KPFCNN:
    """Return a small network whose batch norms have statistics of their own."""
    torch.manual_seed(0)
    network = KPFCNN(KPFCNNConfig(num_classes=4, in_features=2, voxel_size=SIZE, width=16, encoder=encoder, **sizes))
    for norm in network.modules():
        if isinstance(norm, PackedBatchNorm):
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 2)
    return network.eval()


def make_input(lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return points on the grid, their lengths and features that depend on the place alone."""
    voxels = grid_subsample(*random_batch(lengths, size=3.0, seed=seed), SIZE)
    features = torch.stack([voxels.points[:, 2], voxels.points[:, 0].sin()], 1)
    return voxels.points, voxels.lengths, features


@pytest.mark.parametrize("switches", [{"half_decoder": True, "slope": 0.2}, {"leaky_logits": True, "slope": 0.3}])
def test_the_switches_of_other_codes_are_those_of_the_dense_twin(switches: dict[str, Any]) -> None:
    network, plain, batch = make_network(**switches), make_network(), make_input([250, 150])
    expected = DenseKPFCNN(network).eval()(*batch).detach()
    torch.testing.assert_close(network(*batch), expected, atol=1e-5, rtol=1e-4)
    assert (plain(*batch) - expected).abs().max() > 1e-2
    fold_batch_norms(network)
    torch.testing.assert_close(network(*batch), expected, atol=1e-5, rtol=1e-4)


def test_a_half_decoder_has_half_the_widths() -> None:
    network = make_network(("simple", "residual", "strided", "residual", "strided", "residual"), half_decoder=True)
    widths = [(unary.linear.in_features, unary.linear.out_features) for unary in network.decoder]
    assert widths == [(64 + 32, 16), (16 + 16, 8)]
    assert (network.head.linear.in_features, network.classifier.in_features) == (8, 8)


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
@pytest.mark.parametrize("training", [False, True])
def test_logits_and_gradients_are_those_of_the_dense_twin(encoder: tuple[str, ...], training: bool) -> None:
    network, batch = make_network(encoder).train(training), make_input([250, 150])
    dense = DenseKPFCNN(copy.deepcopy(network)).train(training)
    dense.network.load_state_dict(network.state_dict())
    out, expected = network(*batch), dense(*batch)
    assert out.shape == (len(batch[0]), 4)
    torch.testing.assert_close(out, expected, atol=1e-4 if training else 1e-5, rtol=1e-4)
    weights = torch.linspace(-1, 1, out.numel()).view_as(out)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    for (name, mine), its in zip(network.named_parameters(), dense.network.parameters(), strict=True):
        assert mine.grad is not None and its.grad is not None, name
        assert (mine.grad - its.grad).norm() <= 1e-3 * its.grad.norm() + 1e-5, name


def test_gradients_of_a_training_step_in_double_precision_are_those_of_the_dense_twin() -> None:
    """In float32 batch norms round, and leaky ReLUs and max-pooling turn that into gradients that differ in places."""
    network, (points, lengths, features) = make_network(RIGID).double().train(), make_input([250, 150])
    dense, levels = DenseKPFCNN(copy.deepcopy(network)).train(), network.build_levels(points, lengths)
    padded = [level._replace(points=level.points.double()) for level in pad_levels(levels)]
    weights = torch.linspace(-1, 1, 4 * len(points), dtype=torch.float64).view(-1, 4)
    (network.classify(levels, features.double()) * weights).sum().backward()
    (dense.classify(padded, features.double()) * weights).sum().backward()
    for (name, mine), its in zip(network.named_parameters(), dense.network.parameters(), strict=True):
        assert mine.grad is not None and its.grad is not None, name
        # influences are found in float32; a bias before a batch norm has a gradient of 0
        assert (mine.grad - its.grad).norm() <= 2e-6 * its.grad.norm() + 1e-9, name


def test_the_paper_encoder_has_five_levels_and_the_widths_of_figure_8() -> None:
    config = KPFCNNConfig(num_classes=3, in_features=1, voxel_size=0.06, encoder=PAPER_ENCODER)
    assert config.num_levels == 5
    torch.testing.assert_close(config.radii, tuple(2.5 * 0.06 * 2**level for level in range(5)))
    network = KPFCNN(KPFCNNConfig(num_classes=3, in_features=1, voxel_size=0.06, width=16, encoder=DEEP_ENCODER))
    shapes = [tuple(unary.linear.weight.shape) for unary in network.decoder]  # type: ignore[union-attr]
    assert shapes == [(128, 384), (64, 192), (32, 96), (16, 48)]
    assert len(network.encoder) == 13


def test_levels_with_deformable_blocks_look_farther() -> None:
    config = KPFCNNConfig(num_classes=3, in_features=1, voxel_size=0.1, encoder=("simple", "strided", "deformable"))
    torch.testing.assert_close(config.radii, (0.25, 1.0))


def test_a_packed_batch_equals_its_clouds_one_by_one() -> None:
    network, (points, lengths, features) = make_network(), make_input([200, 1, 90])
    together, counts = network(points, lengths, features), lengths.tolist()
    for mine, cloud, values in zip(together.split(counts), points.split(counts), features.split(counts), strict=True):
        alone = network(cloud, torch.tensor([len(cloud)]), values)
        torch.testing.assert_close(mine, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
def test_the_order_of_the_points_does_not_matter(encoder: tuple[str, ...]) -> None:
    network, (points, lengths, features) = make_network(encoder), make_input([200])
    order = torch.randperm(len(points))
    mixed = network(points[order], lengths, features[order])
    torch.testing.assert_close(mixed, network(points, lengths, features)[order], atol=1e-4, rtol=1e-4)


def test_moving_the_cloud_by_whole_voxels_of_the_coarsest_level_changes_nothing() -> None:
    network, (points, lengths, features) = make_network(), make_input([200])
    points = (points * 1024).round() / 1024
    shift = torch.tensor([2, -3, 5]) * SIZE * 2
    moved = network(points + shift, lengths, features)
    torch.testing.assert_close(moved, network(points, lengths, features), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
def test_folding_the_batch_norms_leaves_the_function(encoder: tuple[str, ...]) -> None:
    network, batch = make_network(encoder), make_input([200])
    before = network(*batch)
    fold_batch_norms(network)
    torch.testing.assert_close(network(*batch), before, atol=1e-4, rtol=1e-4)


def test_bfloat16_autocast_stays_close() -> None:
    network, batch = make_network(), make_input([200])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = network(*batch)
    plain = network(*batch).detach()
    assert (low - plain).norm() < 0.03 * plain.norm()


def test_a_two_level_network_overfits_four_points() -> None:
    network = make_network().train()
    points = torch.tensor([[0.1, 0.1, 0.1], [0.4, 0.1, 0.1], [0.1, 0.9, 0.1], [0.9, 0.9, 0.9]])
    batch, labels = (points, torch.tensor([4]), torch.ones(4, 2)), torch.tensor([0, 1, 2, 3])
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        loss = segmentation_loss(network(*batch), labels, None, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1
    assert network(*batch).argmax(1).tolist() == [0, 1, 2, 3]


def test_a_deformable_network_trains_a_step_with_a_finite_regularization() -> None:
    network, batch = make_network(DEFORMABLE).train(), make_input([250])
    assert float(make_network().regularization()) == 0.0
    labels = torch.randint(0, 4, (len(batch[0]),))
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    loss = segmentation_loss(network(*batch), labels, None, 1.0)
    regularization = network.regularization()
    assert regularization.isfinite() and float(regularization.detach()) > 0
    (loss + 0.1 * regularization).backward()
    optimizer.step()
    for name, tensor in network.named_parameters():
        assert tensor.isfinite().all() and not tensor.equal(before[name]), name


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
@pytest.mark.parametrize("training", [False, True])
def test_empty_and_single_points_have_finite_logits(encoder: tuple[str, ...], training: bool) -> None:
    network = make_network(encoder).train(training)
    for lengths in ([], [0], [1], [1, 0, 1], [0, 30]):
        points, lengths_tensor, features = (
            make_input(lengths)
            if lengths
            else (
                torch.zeros(0, 3),
                torch.zeros(0, dtype=torch.int64),
                torch.zeros(0, 2),
            )
        )
        out = network(points, lengths_tensor, features)
        assert out.shape == (len(points), 4) and out.isfinite().all()


def test_equal_points_get_equal_logits() -> None:
    out = make_network()(torch.ones(6, 3), torch.tensor([6]), torch.ones(6, 2))
    assert out.isfinite().all()
    torch.testing.assert_close(out, out[:1].expand(6, -1))


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"features: expected \(5, 2\), got \(5, 3\)"):
        make_network()(torch.rand(5, 3), torch.tensor([5]), torch.ones(5, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": ("residual",)}, "encoder: expected 'simple'"),
        ({"encoder": ()}, "encoder: expected 'simple'"),
        ({"encoder": ("simple", "simple")}, "encoder: expected 'simple'"),
        ({"encoder": ("simple", "upside_down")}, "encoder: expected 'simple'"),
        ({"width": 12}, "width: expected a multiple of 8, got 12"),
        ({"num_classes": 0}, "expected positive sizes"),
        ({"voxel_size": 0.0}, "expected positive sizes"),
        ({"max_neighbors": (20, 20)}, "max_neighbors: expected 5 limits"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        KPFCNNConfig(**{"num_classes": 3, "in_features": 1, "voxel_size": 0.1, **changes})


@pytest.mark.gpu
@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
def test_a_gpu_computes_the_same(encoder: tuple[str, ...]) -> None:
    network, batch = make_network(encoder), make_input([400, 0, 200])
    here = network(*batch)
    there = network.cuda()(*(tensor.cuda() for tensor in batch))
    torch.testing.assert_close(there.cpu(), here, atol=1e-3, rtol=1e-3)
