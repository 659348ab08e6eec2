# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package's own functions reach the kernels, and give what they give elsewhere.

Tensors of float64 go the way of plain torch, so they are the truth here.
"""

import pytest
import torch
from random_clouds import in_double, random_batch, random_neighborhood
from torch import Tensor

from kpconv_ros.geometry.neighbors import find_k_nearest, find_nearest, find_neighbor_lists, find_neighbors
from kpconv_ros.geometry.sampling import complete_farthest, sample_farthest
from kpconv_ros.geometry.voxel_grid import GridError, grid_subsample
from kpconv_ros.kernels.choice import takes_triton
from kpconv_ros.layers.kpconv import DeformableKPConv, KPConv
from kpconv_ros.layers.neighborhood import Neighborhood
from kpconv_ros.layers.pooling import max_pool
from kpconv_ros.layers.soft_projection import match, order_points, soft_project
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from reference.kpfcnn import DenseKPFCNN
from reference.neighbors import all_distances, brute_radius_sets


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that were launched, by name."""
    from kpconv_ros.kernels.gpu import cells, kernel_sum, neighbors, pooling, sampling, soft_projection, voxel_grid

    launched: list[str] = []

    class Launcher:
        def __init__(self, name: str, kernel: object) -> None:
            self.name, self.kernel = name, kernel

        def __getitem__(self, grid: object) -> object:
            launched.append(self.name)
            return self.kernel[grid]  # type: ignore[index]

    names = {
        cells: ["_find_keys", "_insert_cells"], kernel_sum: ["_gather", "_scatter", "_move"], pooling: ["_max_rows"],
        neighbors: ["_count", "_fill", "_keep_nearest"], sampling: ["_pick", "_search"],
        soft_projection: ["_weigh", "_weigh_back"], voxel_grid: ["_list_runs", "_average"],
    }  # fmt: skip
    for module, kernels in names.items():
        for name in kernels:
            monkeypatch.setattr(module, name, Launcher(name, getattr(module, name)))
    return launched


def batch(device: torch.device, lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return a random packed batch on the device."""
    points, counts = random_batch(lengths, seed=seed)
    return points.to(device), counts.to(device)


def test_only_fast_types_take_the_kernels(device: torch.device) -> None:
    assert takes_triton(torch.zeros(1, device=device)) and takes_triton(torch.zeros(1).bfloat16().to(device))
    assert not takes_triton(torch.zeros(1, dtype=torch.float64, device=device))


def test_grid_subsampling(device: torch.device, calls: list[str]) -> None:
    points, lengths = batch(device, [60, 0, 40])
    features, labels = torch.rand(100, 2).to(device), torch.arange(100).to(device) % 3
    found = grid_subsample(points, lengths, 0.4, features, labels)
    assert calls == ["_find_keys", "_list_runs", "_average", "_average"]
    truth = grid_subsample(points.double().cpu(), lengths.cpu(), 0.4, features.cpu(), labels.cpu())
    assert found.lengths.cpu().equal(truth.lengths) and found.labels is not None and truth.labels is not None
    order = torch.empty(len(truth.points), dtype=torch.int64)
    order[truth.voxel_of_point] = found.voxel_of_point.cpu()  # the voxels come in another order
    torch.testing.assert_close(found.points.cpu()[order], truth.points)
    torch.testing.assert_close(found.features.cpu()[order], truth.features)
    assert found.labels.cpu()[order].equal(truth.labels)
    with pytest.raises(GridError, match="expected finite"):
        grid_subsample(points / 0, lengths, 0.4)


def test_radius_searches(device: torch.device, calls: list[str]) -> None:
    supports, support_lengths = batch(device, [30, 40])
    queries, query_lengths = batch(device, [2, 2], seed=1)
    search = (queries, supports, query_lengths, support_lengths, 0.4)
    starts, columns = find_neighbor_lists(*search)
    assert calls == ["_find_keys", "_insert_cells", "_count", "_fill"]
    expected = brute_radius_sets(*(t.cpu() for t in search[:4]), 0.4)
    assert [set(columns[starts[q] : starts[q + 1]].tolist()) for q in range(4)] == expected
    calls.clear()
    padded = find_neighbors(*search, 3)
    assert calls == ["_find_keys", "_insert_cells", "_keep_nearest"]
    assert padded.dtype == torch.int64
    nearest = all_distances(*(t.cpu() for t in search[:4])).argsort(1)[:, :3]
    assert padded.tolist() == [near[: len(e)].tolist() + [70] * (3 - len(e)) for near, e in zip(nearest, expected)]


def test_clouds_too_far_apart_for_the_keys_are_still_searched(device: torch.device, calls: list[str]) -> None:
    points = torch.tensor([[0.0, 0, 0], [0.3, 0, 0], [5e5, 0, 0], [0.0, 0, 0], [5e5, 0, 0]], device=device)
    lengths = torch.tensor([3, 2], device=device)
    starts, _ = find_neighbor_lists(points, points, lengths, lengths, 0.4)
    assert "_count" not in calls and starts.tolist() == [0, 2, 4, 5, 6, 7]


def test_nearest_supports(device: torch.device, calls: list[str]) -> None:
    supports, support_lengths = batch(device, [30, 40])
    queries, query_lengths = batch(device, [1, 2], seed=1)
    search = (queries, supports, query_lengths, support_lengths)
    order = all_distances(*(t.cpu() for t in search)).argsort(1)
    assert find_nearest(*search, 0.3).tolist() == order[:, 0].tolist() and calls[-1] == "_keep_nearest"
    assert find_nearest(*search, 0.001).tolist() == order[:, 0].tolist() and calls[-1] == "_search"
    assert find_k_nearest(*search, 3).tolist() == order[:, :3].tolist()


def test_farthest_points(device: torch.device, calls: list[str]) -> None:
    points, lengths = batch(device, [30, 20])
    picked = sample_farthest(points, lengths, 5)
    assert calls == ["_pick"] and picked.tolist() == sample_farthest(points.double(), lengths, 5).tolist()
    seeds = torch.tensor([4, 9], device=device)
    expected = complete_farthest(points[:30].double(), seeds, 6)
    assert complete_farthest(points[:30], seeds, 6).tolist() == expected.tolist()


@pytest.mark.parametrize("temperature", [0.3, [[[0.3]], [[0.5]]]])
def test_soft_projection_and_the_ordered_sample(
    device: torch.device, calls: list[str], temperature: float | list[list[list[float]]]
) -> None:
    generator = torch.Generator().manual_seed(0)
    points, queries = (torch.rand(2, n, 3, generator=generator).to(device) for n in (20, 3))
    queries[:, 2] = queries[:, 0]  # matched twice
    scores, counts = torch.rand(2, 20, generator=generator).to(device), torch.tensor([20, 3], device=device)
    t = torch.tensor(temperature, device=device)
    found = soft_project(queries, points, 4, t, scores, counts)
    assert calls[0] == "_search"
    double = (queries.double(), points.double(), 4, t.double(), scores.double(), counts)
    truth = soft_project(*double)
    assert found.weights[1, :, 3].tolist() == 3 * [0.0]
    torch.testing.assert_close(found.weights.double(), truth.weights, rtol=1e-4, atol=1e-6)
    held = truth.weights > 0
    assert found.neighbors[held].equal(truth.neighbors[held])
    matched = match(found)
    calls.clear()
    sample = order_points(matched, points, 3, counts)
    assert calls == ["_pick"]
    assert sample.tolist() == order_points(match(truth), points.double(), 3, counts).tolist()


@pytest.mark.parametrize("kind", [KPConv, DeformableKPConv])
def test_a_convolution_and_its_gradients(
    device: torch.device, calls: list[str], kind: type[KPConv] | type[DeformableKPConv]
) -> None:
    torch.manual_seed(0)
    hood = random_neighborhood(5, 40)
    layer, double = kind(4, 3, 0.2), kind(4, 3, 0.2).double()
    if isinstance(layer, DeformableKPConv):
        torch.nn.init.uniform_(layer.offset_bias, -0.3, 0.3)
    double.load_state_dict(layer.state_dict())
    features, upstream = torch.randn(40, 4), torch.randn(5, 3)
    there = Neighborhood(
        *(t.to(device) for t in hood_parts(hood)), type(hood.lists)(*(t.to(device) for t in hood.lists))
    )
    ours, theirs = features.clone().to(device).requires_grad_(), features.double().requires_grad_()
    out, expected = layer.to(device)(ours, there), double(theirs, in_double(hood))
    assert "_gather" in calls
    torch.testing.assert_close(out.detach().cpu().double(), expected.detach(), rtol=1e-3, atol=1e-4)
    out.backward(upstream.to(device))
    expected.backward(upstream.double())
    pairs = [(ours.grad, theirs.grad)]
    pairs += [(a.grad, b.grad) for a, b in zip(layer.parameters(), double.parameters(), strict=True)]
    for one, other in pairs:
        assert one is not None and other is not None
        torch.testing.assert_close(one.cpu().double(), other, rtol=1e-3, atol=1e-3)


def hood_parts(hood: Neighborhood) -> tuple[Tensor, Tensor]:
    """Return queries and supports."""
    return hood.queries, hood.supports


def test_max_pooling_keeps_its_type(device: torch.device, calls: list[str]) -> None:
    hood = random_neighborhood(4, 20)
    features = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).bfloat16().to(device)
    lists = type(hood.lists)(*(t.to(device) for t in hood.lists))
    calls.clear()
    pooled = max_pool(features, lists)
    assert calls == ["_max_rows"] and pooled.dtype == torch.bfloat16
    assert pooled.double().equal(max_pool(features.double(), lists))


def test_a_whole_network_is_the_dense_one(device: torch.device, calls: list[str]) -> None:
    torch.manual_seed(0)
    encoder = ("simple", "residual", "strided", "residual")
    network = KPFCNN(KPFCNNConfig(num_classes=3, in_features=2, voxel_size=0.2, width=8, encoder=encoder)).to(device)
    points, lengths = batch(device, [4, 2])
    voxels = grid_subsample(points, lengths, 0.2)
    features = torch.randn(len(voxels.points), 2).to(device)
    with torch.inference_mode():
        out = network.eval()(voxels.points, voxels.lengths, features)
        assert {"_gather", "_fill", "_max_rows", "_average", "_keep_nearest"} <= set(calls)
        expected = DenseKPFCNN(network).eval()(voxels.points, voxels.lengths, features)
    torch.testing.assert_close(out, expected, rtol=1e-3, atol=1e-4)


def test_autocast_multiplies_in_its_lower_precision(device: torch.device) -> None:
    torch.manual_seed(0)
    hood = random_neighborhood(4, 30)
    there = Neighborhood(
        *(t.to(device) for t in hood_parts(hood)), type(hood.lists)(*(t.to(device) for t in hood.lists))
    )
    layer, features = KPConv(4, 3, 0.2).to(device), torch.randn(30, 4).to(device)
    full = layer(features, there)
    with torch.autocast(device.type, torch.bfloat16):
        low = layer(features, there)
    assert low.dtype == torch.bfloat16 and full.dtype == torch.float32
    torch.testing.assert_close(low.float(), full, rtol=0.03, atol=0.03)
