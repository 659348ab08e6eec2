# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a scan to labels on a GPU: one upload, one download, and the map never leaves the device.

A scan is inserted into the voxel map, spheres are laid over what is within range, all spheres go through the network
as one batch, their votes are added, and each point gets the label of its voxel.
"""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import NOWHERE, Frame, find_keys, sort_into_cells
from kpconv_ros.kernels.gpu.neighbors import count_neighbors, list_neighbors
from kpconv_ros.kernels.gpu.sampling import pick_farthest
from kpconv_ros.kernels.gpu.voxel_grid import average_by_voxel, group_by_voxel
from kpconv_ros.kernels.gpu.voxel_map import VoxelMap
from kpconv_ros.networks.static_kpfcnn import StaticKPFCNN
from kpconv_ros.networks.static_pyramid import Room

RANGE = 50.0  # metres that are labelled around the sensor
MAP_RADIUS = 100.0
MAX_COUNT = 32.0
CELLS_PER_RADIUS = 4  # centres are chosen among cells of a quarter of the sphere
COVER = 0.8  # every place in range lies within this share of the radius of a centre
MOST_CENTERS = 16384


def make_street(rings: int, columns: int) -> NDArray[np.float32]:
    """Return one turn of a made-up spinning lidar in a street of boxes, ``(N, 4)``: x, y, z in metres and intensity."""
    generator = np.random.default_rng(0)
    elevation = np.radians(np.linspace(-24.8, 2.0, rings))[:, None]
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)[None]
    flat = np.cos(elevation)
    axes = np.broadcast_arrays(flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation))
    rays = np.stack(axes, -1).reshape(-1, 3)
    rays = np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    ranges = np.where(rays[:, 2] < 0, -1.73 / rays[:, 2], 80.0)
    for _ in range(60):
        middle = generator.uniform((-60, 4, -1.73), (60, 25, 0.5)) * (1, generator.choice([-1, 1]), 1)
        half = generator.uniform((0.5, 0.5, 0.8), (6, 4, 5))
        near, far = np.sort([(middle - half) / rays, (middle + half) / rays], axis=0)
        entry = near.max(1)
        ranges = np.where((entry > 0) & (entry < far.min(1)), np.minimum(ranges, entry), ranges)
    ranges += generator.normal(0, 0.01, len(ranges))
    hit = (ranges > 2) & (ranges < 80)
    points = rays[hit] * ranges[hit, None]
    return np.column_stack([points, generator.uniform(0, 1, hit.sum())]).astype(np.float32)


def load_scan(path: Path | None) -> NDArray[np.float32]:
    """Return a scan ``(N, 4)``: float32 rows of a .bin file, or a made-up one."""
    return make_street(64, 2048) if path is None else np.fromfile(path, np.float32).reshape(-1, 4)


class DeviceScanner:
    """Labels scans; sizes are found with the first one, and then recur."""

    def __init__(self, network: StaticKPFCNN, radius: float, most_voxels: int, device: torch.device) -> None:
        """Take a network with two features, one and height.

        Args:
            network: On the device.
            radius: Of a sphere, metres.
            most_voxels: Cap of the map.
            device: Where all of it is.
        """
        self.network, self.radius, self.device = network, radius, device
        self.voxel_size, num_classes = network.config.voxel_size, network.config.num_classes
        self.voxels = VoxelMap.empty(most_voxels, 4, device)
        self.votes = torch.zeros(most_voxels, num_classes, device=device)
        self._map_frame = self._frame_of(1, MAP_RADIUS)
        self.num_centers = self.num_rows = 0
        self.room: Room | None = None
        self._graph: torch.cuda.CUDAGraph | None = None

    def _frame_of(self, num_clouds: int, reach: float) -> Frame:
        low = torch.full((num_clouds, 3), -reach, dtype=torch.float64, device=self.device)
        return Frame(low, torch.full((3,), 2 * reach, dtype=torch.float64, device=self.device))

    def prepare(self, raw: Tensor, pose: Tensor) -> None:
        """Find the sizes that a scan needs, and capture its way if the device has graphs."""
        self.raw, self.pose = raw.to(self.device), pose.to(self.device)
        self._insert()
        candidates, starts = self._candidates()
        self.num_centers = self._centers_needed(candidates, int(starts[1]))
        pairs = self._cut_spheres()[0]
        self.num_rows = self._rounded(int(pairs[-1]))
        levels = self.network.config.num_levels
        most = self.network.config.max_neighbors or levels * (64,)
        self.room = Room(levels * (self.num_rows,), most, most[:-1])
        needs = self._classify(*self._cut_spheres())[1].tolist()
        points = [min(self._rounded(need), self.num_rows) for need in needs[1:levels]]
        self.room = Room((self.num_rows, *points), most, most[:-1])
        if self.device.type == "cuda":
            self._capture()

    def _rounded(self, size: int) -> int:
        """Return a tenth more, in whole blocks."""
        step = 256 if self.device.type == "cuda" else 1
        return -(-(size + size // 10) // step) * step

    def _capture(self) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._way()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._labels = self._way()

    def label(self, raw: Tensor, pose: Tensor) -> Tensor:
        """Return the label of each point of a scan, ``(N,)`` uint8 on the host.

        Args:
            raw: Its bytes, ``(N, 16)`` uint8, pinned: x, y, z and intensity as float32; as many as in `prepare`.
            pose: ``(4, 4)`` float32 of the sensor in the map, metres.
        """
        self.raw.copy_(raw, non_blocking=True)
        self.pose.copy_(pose, non_blocking=True)
        if self._graph is None:
            return self._way().cpu()
        self._graph.replay()
        return self._labels.cpu()

    def _way(self) -> Tensor:
        rows = self._insert()
        starts, columns, clouds, points = self._cut_spheres()
        logits, _ = self._classify(starts, columns, clouds, points)
        self._vote(logits, columns, clouds, points)
        labels = torch.where(self.votes.amax(1) > 0, self.votes.argmax(1) + 1, 0).to(torch.uint8)
        return torch.where(rows >= 0, labels[rows.clamp(min=0).long()], 0)

    def _insert(self) -> Tensor:
        values = self.raw.view(torch.float32)  # (N, 4)
        points = values[:, :3] @ self.pose[:3, :3].T + self.pose[:3, 3]
        nowhere = torch.zeros(len(points), dtype=torch.int64, device=self.device)
        keys = find_keys(points, nowhere, self._map_frame, self.voxel_size)
        return self.voxels.insert(keys, torch.cat([points, values[:, 3:]], 1), MAX_COUNT)

    def _in_range(self) -> tuple[Tensor, Tensor]:
        """Return the voxels' positions, and 0 for those in range and 1 for the others, as clouds."""
        points = self.voxels.means[:, :3].contiguous()
        away = (points - self.pose[:3, 3]).square().sum(1)
        outside = (self.voxels.keys == NOWHERE) | (away > RANGE**2)
        return points, outside.long()

    def _candidates(self) -> tuple[Tensor, Tensor]:
        """Return places among which centres are chosen, and their number behind a 0, ``(2,)``."""
        points, clouds = self._in_range()
        keys = find_keys(points, clouds, self._map_frame, self.radius / CELLS_PER_RADIUS)
        runs = group_by_voxel(keys, min(MOST_CENTERS, len(points)))
        count = runs.total.clamp(max=len(runs.begins))
        return average_by_voxel(points, runs), torch.cat([torch.zeros_like(count), count])

    def _centers_needed(self, candidates: Tensor, count: int) -> int:
        """Return how many of the farthest places come within `COVER` radii of all others."""
        places = candidates[:count]
        away, picked = torch.full((count,), math.inf, device=self.device), 0
        at = places[0]
        while picked < count:
            away = torch.minimum(away, (places - at).square().sum(1))
            picked += 1
            if float(away.max()) <= (COVER * self.radius) ** 2:
                break
            at = places[away.argmax()]
        return picked

    def _cut_spheres(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return row starts, voxels, sphere and position about its centre of each point of all spheres."""
        candidates, starts = self._candidates()
        first = torch.zeros(1, 1, dtype=torch.int64, device=self.device)
        rows = pick_farthest(candidates, starts, first, first[0] + 1, self.num_centers, len(candidates))
        centers = candidates[rows[0]]
        points, clouds = self._in_range()
        cells = sort_into_cells(points, find_keys(points, clouds, self._map_frame, self.radius))
        own = torch.zeros(self.num_centers, dtype=torch.int64, device=self.device)
        search = centers, find_keys(centers, own, self._map_frame, self.radius), cells, self.radius
        sizes = count_neighbors(*search)
        ends = torch.cat([sizes.new_zeros(1), sizes.cumsum(0, dtype=torch.int32)])
        columns = list_neighbors(*search, ends, self.num_rows)
        places = torch.arange(self.num_rows, device=self.device, dtype=torch.int32)
        spheres = torch.searchsorted(ends[1:].contiguous(), places, right=True)
        offsets = points[columns.long()] - centers[spheres.clamp(max=self.num_centers - 1)]
        return ends, columns, spheres, offsets

    def _classify(self, starts: Tensor, columns: Tensor, clouds: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        assert self.room is not None
        height = self.voxels.means[columns.long(), 2]
        features = torch.stack([torch.ones_like(height), height - self.pose[2, 3]], 1)
        return self.network(points, clouds, features, self._frame_of(self.num_centers, self.radius), self.room)

    def _vote(self, logits: Tensor, columns: Tensor, clouds: Tensor, points: Tensor) -> None:
        """Add the probabilities, weighted with Tukey's weight."""
        share = 1 - points.square().sum(1) / self.radius**2
        weights = torch.where(clouds < self.num_centers, share.clamp(min=0.05).square(), 0.0)
        self.votes.index_add_(0, columns.long(), weights[:, None] * logits.softmax(1))
