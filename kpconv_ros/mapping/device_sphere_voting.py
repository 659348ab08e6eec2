# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Incremental sphere voting on a CUDA device: the spheres, votes and labels of :class:`.SphereVoting`.

A round of spheres is picked one after the other, each knowing the potentials that those before it left, but the CPU
does not look at any of them: it learns once a round how many spheres there are and how many voxels they have.

Note:
    Unlike on the CPU, what the remaining time affords is asked once a round, not before each sphere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import NOWHERE, find_keys, frame_of, sort_into_cells
from kpconv_ros.kernels.gpu.neighbors import find_nearest_few
from kpconv_ros.kernels.gpu.sphere_gains import sum_within
from kpconv_ros.mapping.device_rows import compact
from kpconv_ros.mapping.device_voxel_map import DeviceVoxelMap
from kpconv_ros.mapping.voting_config import (
    BASE_LOAD,
    HARDLY_TESTED,
    LOAD_STRIDE,
    NUM_CANDIDATES,
    RINGS_OF_NEIGHBORS,
    SphereVotingConfig,
)
from kpconv_ros.mapping.voxel_map import VoxelMapConfig


@dataclass(frozen=True)
class SphereBatch:
    """S spheres of a map, one behind the other: M voxels, and what the network is told of them."""

    sizes: list[int]
    """Voxels of each, S numbers above 0 of which M is the sum."""
    rows: Tensor
    """``(M,)`` int64 rows of the map, rising within a sphere."""
    spheres: Tensor
    """Sphere of each, ``(M,)`` int64."""
    points: Tensor
    """``(M, 3)`` float32, metres, relative to the centre."""
    centers: Tensor
    """``(S, 3)`` float64, metres, map frame."""
    reaches: Tensor
    """Distance to which each sphere is complete, ``(S,)`` float64, metres; see :class:`.PickedSphere`."""
    intensity: Tensor
    """``(M,)`` float32."""
    ranges: Tensor
    """``(M,)`` float32, metres."""


@dataclass
class _Round:
    """What was picked so far."""

    rows: Tensor
    centers: Tensor
    reaches: Tensor
    sizes: Tensor
    total: Tensor
    is_going: Tensor


class DeviceSphereVoting:
    """A fine voxel map with votes, and a coarse one with potentials and votes, both on the device."""

    def __init__(self, config: SphereVotingConfig, num_classes: int, device: torch.device) -> None:
        """Make an empty map for a network with ``num_classes`` outputs."""
        self.config, self.device = config, device
        sizes = (config.voxel_size, config.cell_size)
        configs = [VoxelMapConfig(size, config.max_voxels, config.max_count) for size in sizes]
        self.voxels, self.cells = (DeviceVoxelMap(each, num_classes, device) for each in configs)
        self._squared_radius = torch.full((1,), config.sphere_radius**2, dtype=torch.float64, device=device)
        self.reset(torch.zeros(3, dtype=torch.float64, device=device))

    def reset(self, origin: Tensor) -> None:
        """Forget everything; data will lie around ``origin`` (3,) float64, metres, map frame."""
        self.voxels.reset(origin)
        self.cells.reset(origin)
        self._stamp: float | None = None
        self.look_from(origin)

    def insert(self, points_map: Tensor, intensity: Tensor | None, stamp: float, sensor: Tensor) -> Tensor:
        """Add a posed scan, taken at ``sensor`` (3,) float64, metres, map frame; potentials fade by the time passed.

        Returns:
            voxel_of_point, see :meth:`DeviceVoxelMap.insert` for it, the arguments and errors.
        """
        voxel_of_point = self.voxels.insert(points_map, intensity, stamp, sensor)
        self.cells.insert(self.voxels.points_of(self.voxels.seen), None, stamp)
        passed = 0.0 if self._stamp is None else max(stamp - self._stamp, 0.0)
        self._stamp = stamp
        self.cells.columns["potential"] *= math.exp(-passed / self.config.potential_memory)
        self.look_from(sensor)
        return voxel_of_point

    def evict(self, center: Tensor, radius: float, is_due: Tensor | None = None) -> Tensor:
        """Drop what lies beyond ``radius`` of ``center``; return new_of_old of the voxels, see VoxelMap.evict."""
        new_of_old = self.voxels.evict(center, radius, is_due)
        away = self.voxels.squared_distances(center).masked_fill(~self.voxels.is_voxel(), 0.0).amax().sqrt()
        is_empty = self.voxels.count == 0
        kept = (away + self.config.cell_size).clamp(max=radius).masked_fill(is_empty, torch.inf)
        self.cells.evict(center, kept, is_due)
        self.look_from(center)
        return new_of_old

    def look_from(self, sensor: Tensor) -> None:
        """Pick spheres within ``segment_range`` of ``sensor`` (3,) from now on, those of the last scan first."""
        cells = self.cells
        self._sensor = sensor
        self._is_near = cells.is_voxel() & (cells.squared_distances(sensor) <= self.config.segment_range**2)
        self._seen_cells = torch.where(self._is_near[cells.seen], cells.seen, -1)
        cell_of_seen = cells.find(self.voxels.points_of(self.voxels.seen))
        counts = torch.zeros(cells.capacity + 2, device=self.device)
        self._seen_in_cell = counts.index_add_(0, cell_of_seen + 1, torch.ones_like(cell_of_seen, dtype=counts.dtype))[
            1:
        ]
        rank = self._is_near.cumsum(0) - 1
        rows = torch.arange(len(rank), device=self.device)
        self._load_cells = compact(rows, self._is_near & (rank % LOAD_STRIDE == 0), -(-len(rank) // LOAD_STRIDE))

    def pick(self, most: int, affordable: float, first_cap: int | None = None) -> SphereBatch | None:
        """Pick up to ``most`` spheres and raise the potentials within them; waits for the device, once.

        Args:
            most: Spheres.
            affordable: Voxels that they may have together.
            first_cap: If given, the first sphere is picked whatever it costs, and has up to so many voxels.

        Returns:
            The spheres, or None if every place in range was tested enough lately, or nothing is affordable.
        """
        while True:
            caps = [self.config.max_sphere_points] * most
            if first_cap is not None:
                caps[0] = min(first_cap, self.config.max_sphere_points)
            picked = self._make_round(caps)
            for index, cap in enumerate(caps):
                self._pick_next(picked, index, cap, math.inf if first_cap is not None and not index else affordable)
            sizes = [size for size in picked.sizes.tolist() if size >= 0]
            if not sizes:
                return None
            if sizes[0]:  # else the cap on voxels took all that was here
                return self._batch_of(picked, [size for size in sizes if size])

    def add_votes(self, batch: SphereBatch, probabilities: Tensor) -> None:
        """Add the network's ``probabilities`` (M, C) for the voxels of a batch."""
        share = 1.0 - batch.points.square().sum(1) / batch.reaches[batch.spheres].square()
        weights = share.clamp(min=0).square().clamp(min=self.config.min_vote_weight).float()
        self.voxels.add_votes(batch.rows, weights, probabilities, self.config.vote_memory)
        cells = self.cells.find(self.voxels.points_of(batch.rows))
        self.cells.add_votes(cells, weights, probabilities, self.config.vote_memory)

    def label_points(self, voxel_of_point: Tensor) -> tuple[Tensor, Tensor]:
        """Label the points of the last scan, ``(N,)``; see :meth:`.SphereVoting.label_points`."""
        seen = self.voxels.seen
        labels, confidence = self.voxels.label(seen)
        is_unvoted = (seen >= 0) & (self.voxels.columns["vote_weight"][seen] <= 0)
        near_labels, near_confidence = self._labels_from_neighbors(torch.where(is_unvoted, seen, -1))
        labels = torch.where(is_unvoted, near_labels, labels)
        confidence = torch.where(is_unvoted, near_confidence, confidence)
        rows = seen + 1  # row -1 goes into the first place
        label_of_row = labels.new_zeros(self.voxels.capacity + 2).index_copy_(0, rows, labels)
        confidence_of_row = confidence.new_zeros(len(label_of_row)).index_copy_(0, rows, confidence)
        return label_of_row[voxel_of_point + 1], confidence_of_row[voxel_of_point + 1]

    def _make_round(self, caps: list[int]) -> _Round:
        def zeros(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=self.device)

        rows = zeros(sum(min(cap, self.voxels.bound) for cap in caps) + 1, dtype=torch.int64)
        sizes = torch.full((len(caps),), -1, dtype=torch.int64, device=self.device)
        total, is_going = zeros(dtype=torch.int64), torch.ones((), dtype=torch.bool, device=self.device)
        return _Round(rows, zeros(len(caps), 3), zeros(len(caps)), sizes, total, is_going)

    def _pick_next(self, picked: _Round, index: int, cap: int, affordable: float) -> None:
        """Add a sphere to the round, if there is one to add and it does not cost too much."""
        cell = self._next_cell(cap)
        center = self.cells.columns["points"][cell]
        chosen, squared = self.voxels.choose_ball(center, self.config.sphere_radius**2, cap)
        size = chosen.sum()
        farthest = squared.masked_fill(~chosen, 0.0).amax().sqrt().clamp(min=self.config.cell_size)
        reach = torch.where(size == cap, farthest, self.config.sphere_radius)
        is_taken = picked.is_going & (cell >= 0) & (picked.total + size <= affordable)
        self._raise_potential(center, reach, is_taken)
        place = torch.where(chosen & is_taken, picked.total + chosen.cumsum(0) - 1, len(picked.rows) - 1)
        picked.rows.scatter_(0, place, torch.arange(len(place), device=self.device))
        picked.centers[index], picked.reaches[index] = center, reach
        picked.sizes[index] = torch.where(is_taken, size, -1)
        picked.total += torch.where(is_taken, size, 0)
        picked.is_going &= is_taken & (size > 0)

    def _batch_of(self, picked: _Round, sizes: list[int]) -> SphereBatch:
        num, total = len(sizes), sum(sizes)
        rows, columns = picked.rows[:total], self.voxels.columns
        spheres = torch.repeat_interleave(torch.arange(num, device=self.device), picked.sizes[:num], output_size=total)
        points = (columns["points"][rows] - picked.centers[spheres]).float()
        return SphereBatch(
            sizes, rows, spheres, points, picked.centers[:num], picked.reaches[:num],
            columns["intensity"][rows], columns["ranges"][rows],
        )  # fmt: skip

    def _raise_potential(self, center: Tensor, reach: Tensor, is_taken: Tensor) -> None:
        share = (1.0 - self.cells.squared_distances(center) / reach.square()).clamp(min=0.0)
        self.cells.columns["potential"] += (share.square() * (is_taken & self.cells.is_voxel())).float()

    def _next_cell(self, max_points: int) -> Tensor:
        """Return the cell for the next centre, ``()`` int64, -1 for none; see :meth:`.SphereVoting._next_cell`."""
        potential, highest = self.cells.columns["potential"], self.config.max_potential
        waiting = (self._seen_cells >= 0) & (potential[self._seen_cells] < min(HARDLY_TESTED, highest))
        lowest = potential.masked_fill(~self._is_near, torch.inf).argmin()
        lowest = torch.where(potential.masked_fill(~self._is_near, torch.inf)[lowest] < highest, lowest, -1)
        return torch.where(waiting.any(), self._most_useful(waiting, max_points), lowest)

    def _most_useful(self, waiting: Tensor, max_points: int) -> Tensor:
        """Return the one of the ``waiting`` (S,) seen cells that :meth:`.SphereVoting._most_useful` picks."""
        columns = self.cells.columns
        rank = waiting.cumsum(0) - 1
        stride = (-(-waiting.sum() // NUM_CANDIDATES)).clamp(min=1)
        candidates = compact(self._seen_cells, waiting & (rank % stride == 0), NUM_CANDIDATES)
        centers = columns["points"][candidates].contiguous()
        missing = (1.0 - columns["potential"]).clamp(min=0.0) * self._seen_in_cell
        sums = (
            (columns["points"], self._seen_cells, missing),
            (columns["points"], self._load_cells, torch.ones_like(missing)),
        )
        gain, load = (sum_within(centers, *what, self._squared_radius, i == 0) for i, what in enumerate(sums))
        price = load * LOAD_STRIDE * self.voxels.count / self.cells.count.clamp(min=1)
        value = (gain / (BASE_LOAD + price.clamp(max=max_points))).masked_fill(candidates < 0, -1.0)
        return candidates[value.argmax()]

    def _labels_from_neighbors(self, unvoted: Tensor) -> tuple[Tensor, Tensor]:
        """Label voxels without votes, rows ``(U,)``, by voted voxels next to them, else by the nearest voted cell."""
        own_cell = self.cells.find(self.voxels.points_of(unvoted))
        source = self._nearest_voted_cell()[own_cell]
        labels, confidence = self.cells.label(source)
        neighbor = self.voxels.find_voted_near(torch.where(source == own_cell, unvoted, -1), RINGS_OF_NEIGHBORS)
        near_labels, near_confidence = self.voxels.label(neighbor)
        return torch.where(neighbor >= 0, near_labels, labels), torch.where(neighbor >= 0, near_confidence, confidence)

    def _nearest_voted_cell(self) -> Tensor:
        """Return, for each seen cell, the nearest voted one within a sphere radius, else -1; ``(capacity + 1,)``."""
        cells, radius = self.cells, self.config.sphere_radius
        is_cell, is_voted = cells.is_voxel(), cells.columns["vote_weight"] > 0
        points = (cells.columns["points"] - self._sensor).float()
        clouds = (~is_cell).long()
        keys = find_keys(points, clouds, frame_of(points, clouds, 1), radius)
        table = sort_into_cells(points, torch.where(is_voted, keys, NOWHERE))
        is_asked = (cells.seen >= 0) & ~is_voted[cells.seen]
        asked = torch.where(is_asked, keys[cells.seen], NOWHERE)
        found, _ = find_nearest_few(points[cells.seen].contiguous(), asked, table, radius, 1)
        source = torch.where(is_voted, torch.arange(len(points), device=self.device), -1)
        nearest = torch.where(found[:, 0] < len(points), found[:, 0].long(), -1)
        source[torch.where(is_asked, cells.seen, cells.capacity)] = torch.where(is_asked, nearest, -1)
        return source
