# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KP-FCNN with several heads."""

import math

import pytest
import torch
from random_clouds import random_batch
from torch import Tensor
from torch.nn import functional

from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.layers.blocks import fold_batch_norms
from kpconv_ros.losses.segmentation import segmentation_loss
from kpconv_ros.networks.encoder import PAPER_DEFORMABLE_ENCODER, NetworkError
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN, PartKPFCNNConfig

RIGID = ("simple", "residual", "strided", "residual")
DEFORMABLE = ("simple", "residual", "deformable_strided", "deformable")
SIZE, PARTS = 0.25, (2, 3, 1)
STARTS = (0, 2, 5, 6)


def make_network(encoder: tuple[str, ...] = RIGID) -> PartKPFCNN:
    torch.manual_seed(0)
    return PartKPFCNN(PartKPFCNNConfig(6, 2, SIZE, width=16, encoder=encoder, num_parts=PARTS)).eval()


def make_input(lengths: list[int], categories: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    voxels = grid_subsample(*random_batch(lengths, size=2.0), SIZE)
    features = torch.stack([voxels.points[:, 2], voxels.points[:, 0].sin()], 1)
    return voxels.points, voxels.lengths, features, torch.tensor(categories)


def test_every_cloud_gets_logits_for_the_parts_of_its_class_alone() -> None:
    network, batch = make_network(), make_input([90, 60, 40, 50], [1, 0, 2, 1])
    out = network(*batch)
    assert out.shape == (len(batch[0]), 6)
    for logits, category in zip(out.split(batch[1].tolist()), batch[3].tolist(), strict=True):
        own = torch.zeros(6, dtype=torch.bool)
        own[STARTS[category] : STARTS[category + 1]] = True
        assert bool(logits[:, own].isfinite().all()) and bool((logits[:, ~own] == -math.inf).all())
        assert float(logits.detach().softmax(1)[:, own].sum(1).min()) == pytest.approx(1)


@pytest.mark.parametrize("category", range(3))
def test_with_one_class_it_is_a_kpfcnn_with_that_head(category: int) -> None:
    network, batch = make_network(), make_input([80, 50], [category, category])
    plain = KPFCNN(KPFCNNConfig(PARTS[category], 2, SIZE, width=16, encoder=RIGID)).eval()
    own, rows = slice(STARTS[category], STARTS[category + 1]), slice(16 * category, 16 * category + 16)
    state = {name: tensor for name, tensor in network.state_dict().items() if "code" in name}
    state |= {"head.weight": network.heads.weight[rows], "head.bias": network.heads.bias[rows]}
    state |= {"classifier.weight": network.classifiers.weight[own], "classifier.bias": network.classifiers.bias[own]}
    plain.load_state_dict(state, strict=True)
    torch.testing.assert_close(network(*batch)[:, own], plain(*batch[:3]))


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
def test_a_packed_batch_equals_its_clouds_one_by_one(encoder: tuple[str, ...]) -> None:
    network, (points, lengths, features, categories) = make_network(encoder), make_input([150, 1, 90], [2, 0, 1])
    together, counts = network(points, lengths, features, categories).split(lengths.tolist()), lengths.tolist()
    clouds = zip(points.split(counts), features.split(counts), categories, strict=True)
    for mine, (cloud, values, category) in zip(together, clouds, strict=True):
        alone = network(cloud, torch.tensor([len(cloud)]), values, category[None])
        torch.testing.assert_close(mine, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("encoder", [RIGID, DEFORMABLE])
def test_every_parameter_has_the_right_gradient_in_double_precision(encoder: tuple[str, ...]) -> None:
    network, (points, lengths, features, categories) = make_network(encoder).double(), make_input([30, 20], [1, 0])
    batch = (points.double(), lengths, features.double(), categories)
    labels = torch.cat([torch.arange(count) % PARTS[c] + STARTS[c] for count, c in zip(lengths, categories)])

    def loss() -> Tensor:
        return functional.cross_entropy(network(*batch), labels)

    loss().backward()
    generator, step = torch.Generator().manual_seed(1), 1e-8  # small: the network has kinks
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name
        way = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * step * way
                ends.append(loss())
                parameter -= sign * step * way
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float((parameter.grad * way).sum()) == pytest.approx(float(slope), rel=1e-4, abs=1e-6), name
    absent = network.classifiers.weight.grad
    assert absent is not None and absent[STARTS[2] :].eq(0).all() and absent[: STARTS[2]].abs().min() > 0


def test_the_loss_of_the_shared_network_falls_for_all_classes() -> None:
    network = make_network().train()
    batch = make_input([80, 80, 80, 80], [0, 1, 0, 1])
    starts = torch.tensor(STARTS)[batch[3]].repeat_interleave(batch[1])
    labels = starts + (batch[0][:, 2] > 0)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(60):
        loss = segmentation_loss(network(*batch), labels, None, lovasz=0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1
    assert (network(*batch).argmax(1) == labels).float().mean() > 0.9


def test_folded_batch_norms_and_bfloat16_change_little() -> None:
    network, batch = make_network(DEFORMABLE), make_input([120, 80], [1, 0])
    expected = network(*batch).softmax(1)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(network(*batch).float().softmax(1), expected, atol=0.03, rtol=0)
    fold_batch_norms(network)
    torch.testing.assert_close(network(*batch).softmax(1), expected, atol=1e-5, rtol=1e-4)


def test_the_paper_network_has_a_head_for_each_of_sixteen_classes() -> None:
    parts = (4, 2, 2, 4, 4, 3, 3, 2, 4, 2, 6, 2, 3, 3, 3, 3)
    network = PartKPFCNN(PartKPFCNNConfig(50, 4, 0.02, 16, PAPER_DEFORMABLE_ENCODER, num_parts=parts))
    assert network.heads.weight.shape == (16 * 16, 16) and network.classifiers.weight.shape == (50, 16)
    assert len(network.decoder) == 4


def test_what_does_not_fit_is_refused_and_nothing_gives_nothing() -> None:
    with pytest.raises(NetworkError, match="num_classes: expected 5 parts in all, got 6"):
        PartKPFCNNConfig(6, 2, SIZE, num_parts=(2, 3))
    with pytest.raises(NetworkError, match="num_parts: expected one part or more"):
        PartKPFCNNConfig(2, 2, SIZE, num_parts=(2, 0))
    network, (points, lengths, features, categories) = make_network(), make_input([40], [0])
    with pytest.raises(NetworkError, match=r"features: expected \(\d+, 2\), got"):
        network(points, lengths, features[:, :1], categories)
    with pytest.raises(NetworkError, match=r"categories: expected object classes 0 to 2, got \[3\]"):
        network(points, lengths, features, categories + 3)
    with pytest.raises(NetworkError, match=r"categories: expected int64 \(1,\), got torch.int64 \(2,\)"):
        network(points, lengths, features, torch.zeros(2, dtype=torch.int64))
    assert network(points[:0], lengths[:0], features[:0], categories[:0]).shape == (0, 6)
