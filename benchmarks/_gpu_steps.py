# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of a scan's way on a GPU, each beside its twin in plain torch on the same device."""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks._gpu_measure import Bench, difference
from kpconv_ros.geometry.neighbors import NeighborLists, find_neighbor_lists
from kpconv_ros.geometry.packing import offsets_of
from kpconv_ros.kernels.gpu import kernel_sum, neighbors, pooling, sampling, soft_projection, voxel_grid
from kpconv_ros.kernels.gpu.cells import find_keys, frame_of, sort_into_cells
from kpconv_ros.kernels.gpu.finish import finish_
from kpconv_ros.layers.kernel_points import kernel_disposition
from kpconv_ros.mapping.device_voxel_map import DeviceVoxelMap
from kpconv_ros.mapping.voxel_map import VoxelMapConfig

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
from reference import kpconv as dense  # noqa: E402

VOXEL_SIZE = 0.06  # m
RADIUS = 2.5  # cells of the rigid neighbourhoods
WIDE_RADIUS = 5.0  # cells of the deformable ones
KEPT = 0.9  # share of points that keep all neighbours under the authors' limits
K = 15
NUM_CLASSES = 19
CHUNK = 2048


@dataclass(frozen=True)
class Scale:
    """How much work the steps have."""

    sphere_points: int = 20_000
    channels: int = 64
    batch: int = 32
    """Clouds of the sampling steps, and groups of the grouped product."""
    cloud_points: int = 1024
    samples: int = 64
    queries: int = 8
    """Neighbours of the soft projection."""


def sphere_of(voxels: Tensor, num_points: int) -> Tensor:
    """Return the voxels nearest to a place 5 m ahead of the sensor, about it: ``(num_points, 3)``."""
    about = voxels - voxels.new_tensor([5.0, 0.0, -1.0])
    nearest = about.square().sum(1).topk(min(num_points, len(about)), largest=False)[1]
    return about[nearest.sort()[0]].contiguous()


def limited_lists(points: Tensor, radius: float) -> NeighborLists:
    """Return neighbours with the limit that the authors' calibration picks."""
    lengths = torch.tensor([len(points)], device=points.device)
    search = (points, points, lengths, lengths, radius)
    counts = find_neighbor_lists(*search).row_starts.diff().sort()[0]
    return find_neighbor_lists(*search, int(counts[int(KEPT * (len(counts) - 1))]))


def measure_grid(bench: Bench, points: Tensor) -> Tensor:
    """Grid subsampling of a scan; returns the voxels."""
    clouds = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    frame, num = frame_of(points, clouds, 1), len(points)

    def ours() -> Tensor:
        runs = voxel_grid.group_by_voxel(find_keys(points, clouds, frame, VOXEL_SIZE), num)
        return voxel_grid.average_by_voxel(points, runs)

    def twin() -> Tensor:
        cells = (points.double() * (1.0 / VOXEL_SIZE)).floor().long()
        cells -= cells.amin(0)
        keys = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
        unique, voxel = torch.unique(keys, return_inverse=True)
        counts = torch.bincount(voxel, minlength=len(unique))
        return (points.new_zeros(len(unique), 3).index_add_(0, voxel, points) / counts[:, None]).float()

    expected = twin()
    voxels = ours()[: len(expected)].contiguous()
    num_bytes = num * (12 + 8 + 16) + 12 * len(expected)  # points, keys, sorted keys and rows; voxels
    bench.add("grid_subsample", ours, num_bytes, 0, twin, difference(voxels, expected), f"{num} points")
    return voxels


def measure_search(bench: Bench, points: Tensor, lists: NeighborLists) -> None:
    """Radius neighbours of a sphere, nearest first."""
    radius, num = RADIUS * VOXEL_SIZE, len(points)
    clouds = torch.zeros(num, dtype=torch.int64, device=points.device)
    frame = frame_of(points, clouds, 1)
    most = lists.row_starts.diff().max().item()

    def ours() -> Tensor:
        keys = find_keys(points, clouds, frame, radius)
        return neighbors.find_nearest_few(points, keys, sort_into_cells(points, keys), radius, int(most))[0]

    def twin() -> Tensor:
        found = []
        for chunk in points.split(CHUNK):
            squares = (chunk[:, None] - points).square().sum(2)
            nearest, rows = squares.topk(int(most), largest=False)
            found.append(torch.where(nearest <= radius**2, rows, num))
        return torch.cat(found)

    agree = (ours().long() == twin()).float().mean().item()
    note = f"{num} queries, {most} neighbours; {100 * agree:.2f} % of the places equal"
    bench.add("radius_neighbors", ours, num * (12 + 8 + 16 + 4 * most), 0, twin, None, note)


def measure_convolutions(bench: Bench, points: Tensor, near: NeighborLists, channels: int) -> None:
    """Rigid and deformable KPConv, forward and backward, in float32 and bfloat16."""
    sigma = VOXEL_SIZE
    kernel_points = kernel_disposition(K, sigma).to(points)[None]
    generator = torch.Generator().manual_seed(0)
    for kind, lists in (("rigid", near), ("deformable", limited_lists(points, WIDE_RADIUS * VOXEL_SIZE))):
        padded = dense.pad_lists(lists, len(points))
        pairs = kernel_sum.Pairs(points, points, kernel_sum.row_lists(*lists))
        placed = kernel_points
        if kind == "deformable":
            shifts = torch.randn(len(points), K, 3, generator=generator).to(points)
            placed = (kernel_points + 0.3 * sigma * shifts).contiguous()
        for dtype, name in ((torch.float32, "float32"), (torch.bfloat16, "bfloat16")):
            tensors = [
                torch.randn(len(points), channels, generator=generator).to(points).to(dtype),
                (torch.randn(K, channels, channels, generator=generator) / channels).to(points).to(dtype),
            ]
            _measure_convolution(bench, f"kpconv_{kind}_{name}", tensors, pairs, placed, sigma, padded)


def _measure_convolution(
    bench: Bench,
    name: str,
    tensors: list[Tensor],
    pairs: kernel_sum.Pairs,
    placed: Tensor,
    sigma: float,
    padded: Tensor,
) -> None:
    features, weights = tensors
    points, dtype = pairs.queries, features.dtype
    num, channels, num_pairs, size = len(points), features.shape[1], len(pairs.lists.columns), features.element_size()

    def ours() -> Tensor:
        return kernel_sum.kernel_sum(features, weights, pairs, placed, sigma)

    def twin() -> Tensor:
        offsets = dense.neighbor_offsets(points, points, padded)
        influences = dense.dense_influences(offsets, placed if len(placed) > 1 else placed[0], sigma)
        seen = torch.cat([features, features.new_zeros(1, channels)])[padded]
        return (influences.to(dtype) @ seen).flatten(1) @ weights.flatten(0, 1)

    gathered = num * K * channels
    num_bytes = 2 * size * gathered + 2 * num * channels * size + 4 * num_pairs + 12 * num + placed.numel() * 4
    operations = 2 * num_pairs * K * channels + 2 * gathered * channels
    note = f"{num} queries x {padded.shape[1]} neighbours, {channels} channels"
    with torch.no_grad():
        bench.add(f"{name}_forward", ours, num_bytes, operations, twin, difference(ours(), twin()), note)
    leaves = [features.requires_grad_(), weights.requires_grad_()]
    if len(placed) > 1:
        leaves.append(placed.requires_grad_())
    upstream = torch.ones(num, channels, dtype=dtype, device=points.device)
    gradients = [torch.autograd.grad(run(), leaves, upstream) for run in (ours, twin)]
    worst = max(difference(*pair) for pair in zip(*gradients, strict=True))
    both = [lambda run=run: torch.autograd.grad(run(), leaves, upstream) for run in (ours, twin)]
    bench.add(
        f"{name}_training", both[0], 4 * num_bytes, 3 * operations, both[1], worst, f"{note}; forward and backward"
    )
    for leaf in leaves:
        leaf.requires_grad_(False)


def measure_passes(bench: Bench, points: Tensor, lists: NeighborLists, channels: int) -> None:
    """Max pooling, and the pass behind a product that adds upsampled features."""
    padded, num = dense.pad_lists(lists, len(points)), len(points)
    features = torch.randn(num, channels, device=points.device, dtype=torch.bfloat16)
    rows = torch.arange(num, device=points.device) // 4
    bias, size = torch.randn(channels, device=points.device), 2 * num * channels
    packed = kernel_sum.row_lists(*lists)
    ours, twin = pooling.max_pool(features, packed), dense.dense_max_pool(features, padded)
    bench.add(
        "max_pool", lambda: pooling.max_pool(features, packed), 2 * size + 4 * len(lists.columns), 0,
        lambda: dense.dense_max_pool(features, padded), difference(ours, twin),
    )  # fmt: skip

    def plain() -> Tensor:
        return functional.leaky_relu(features + bias.to(features.dtype) + features.index_select(0, rows), 0.1)

    target = features.clone()
    wrong = difference(finish_(features.clone(), bias, 0.1, features, rows), plain())
    bench.add(
        "finish_upsampled", lambda: finish_(target, bias, 0.1, features, rows), 2.25 * size, 4 * num * channels,
        plain, wrong,
    )  # fmt: skip


def measure_sampling(bench: Bench, scale: Scale) -> None:
    """What SampleNet needs, and the grouped products of NeuralQAAD."""
    device, num, size = bench.device, scale.batch, scale.cloud_points
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(num, size, 3, generator=generator).to(device)
    starts = offsets_of(torch.full((num,), size)).to(device)
    seeds, ones = (
        torch.zeros(num, 1, dtype=torch.int64, device=device),
        torch.ones(num, dtype=torch.int64, device=device),
    )
    packed, clouds = points.flatten(0, 1), torch.arange(num, device=device)[:, None]

    def farthest() -> Tensor:
        picked, away = seeds, points.new_full((num, size), torch.inf)
        for _ in range(scale.samples - 1):
            away = torch.minimum(away, (points - points[clouds, picked[:, -1:]]).square().sum(2))
            picked = torch.cat([picked, away.argmax(1, keepdim=True)], 1)
        return picked

    picked = sampling.pick_farthest(packed, starts, seeds, ones, scale.samples, size)
    bench.add(
        "farthest_points", lambda: sampling.pick_farthest(packed, starts, seeds, ones, scale.samples, size),
        12 * num * size, 8 * num * size * scale.samples, farthest, difference(picked, farthest()),
    )  # fmt: skip
    queries = points[clouds, picked].contiguous()
    begins, ends = (bounds.repeat_interleave(scale.samples) for bounds in (starts[:-1], starts[1:]))
    temperature, scores = torch.full((), 0.1, device=device), torch.zeros(len(packed), device=device)

    def ours() -> Tensor:
        rows = sampling.find_k_nearest(queries.flatten(0, 1), packed, begins, ends, scale.queries)
        return soft_projection.weigh(queries.flatten(0, 1), packed, scores, temperature, rows)

    def twin() -> Tensor:
        near = torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist").topk(
            scale.queries, largest=False
        )
        return (-near[0].square() / temperature**2).softmax(2).flatten(0, 1)

    work = num * scale.samples * size
    bench.add("soft_projection", ours, 12 * num * size, 8 * work, twin, difference(ours(), twin()))
    rows, weight, bias = (torch.randn(num, *s, generator=generator).to(device) for s in ((size, 64), (64, 64), (1, 64)))
    bench.add(
        "grouped_product", lambda: torch.baddbmm(bias, rows, weight), 2 * 4 * rows.numel(), 2 * rows.numel() * 64,
        lambda: torch.stack([functional.linear(r, w.t(), b[0]) for r, w, b in zip(rows, weight, bias, strict=True)]),
        note="torch's batched product; no kernel of ours",
    )  # fmt: skip


def measure_map(bench: Bench, points: Tensor) -> None:
    """Insertion of a scan into a map that holds it already, and look-up."""
    num = len(points)
    cells = (points.double() * (1.0 / VOXEL_SIZE)).floor().long()
    cells -= cells.amin(0)
    keys = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
    in_order = keys.unique()
    voxels = DeviceVoxelMap(VoxelMapConfig(VOXEL_SIZE, 4 * num), NUM_CLASSES, bench.device)
    expected = voxels.insert(points, None, 0.0)

    def insert() -> Tensor:
        voxels.bound = len(in_order)  # as the pipeline learns it with the labels of a scan
        return voxels.insert(points, None, 1.0)

    def twin() -> Tensor:
        rows = torch.searchsorted(in_order, keys)
        return points.new_zeros(len(in_order), 3).index_add_(0, rows, points)

    held = len(in_order) * 8 * 6
    bench.add("voxel_map_insert", insert, num * (12 + 8 + 8) + held, 0, twin, note="the twin only sums, in sorted keys")
    found = bool(voxels.find(points).equal(expected)) and len(voxels) == len(in_order)
    note = "all points found" if found else "POINTS LOST"
    bench.add(
        "voxel_map_find",
        lambda: voxels.find(points),
        num * 28,
        0,
        lambda: torch.searchsorted(in_order, keys),
        None,
        note,
    )
