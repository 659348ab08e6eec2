# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rolling voxel map on a CUDA device: the same rows, means and votes as :class:`.VoxelMap`, without waiting for it.

The hash table is a Triton kernel; all else is plain torch, which needs no wait either, on tensors whose sizes the CPU
knows: how many voxels there are stays on the device, and the columns have room for all that there can be.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import NOWHERE
from kpconv_ros.kernels.gpu.hash_table import HashTable
from kpconv_ros.kernels.voxel_hash import AXIS_BITS, FIRST_POTENTIAL, HALF_RANGE
from kpconv_ros.mapping.device_rows import compact, fade_votes, find_runs, keys_around, pack_keys, unit_of_key
from kpconv_ros.mapping.voxel_map import MappingError, VoxelMapConfig

COLUMNS = {
    "keys": torch.int64,
    "points": torch.float64,
    "intensity": torch.float32,
    "ranges": torch.float32,
    "counts": torch.float32,
    "votes": torch.float32,
    "vote_weight": torch.float32,
    "potential": torch.float32,
    "last_seen": torch.float64,
}


class DeviceVoxelMap:
    """Voxels on a device; see :class:`.VoxelMap` for what they hold and what the methods mean.

    Each column has ``capacity + 1`` rows. Those from :attr:`count` on are 0, and the last stands for no voxel: index -1
    reads it. Lists of rows have the length of what they were made from, with -1 where there is none.
    """

    def __init__(
        self, config: VoxelMapConfig, num_classes: int, device: torch.device, origin: Tensor | None = None
    ) -> None:
        """Make an empty map; see :class:`.VoxelMap`, ``origin`` is ``(3,)`` float64 on the device."""
        if not config.voxel_size > 0:
            raise MappingError(f"voxel_size: expected a length above 0 m, got {config.voxel_size}")
        self.config, self.num_classes, self.device = config, num_classes, device
        self.capacity, self.columns = 0, dict[str, Tensor]()
        self.reset(origin)

    def reset(self, origin: Tensor | None = None) -> None:
        """Forget everything; count keys from ``origin`` (3,), metres, from now on. The memory stays."""
        place = torch.zeros(3, dtype=torch.float64, device=self.device) if origin is None else origin
        if place.shape != (3,):
            raise MappingError(f"origin: expected three numbers, got {tuple(place.shape)}")
        self._origin = (place.double() / self.config.voxel_size).floor()
        self.count = torch.zeros((), dtype=torch.int64, device=self.device)
        """Voxels, ``()`` int64."""
        self.bound = 0
        """No fewer than the voxels; what the CPU knows."""
        self.seen = torch.zeros(0, dtype=torch.int64, device=self.device)
        """Rows that the last :meth:`insert` touched, in order of the points, ``(N,)`` int64."""
        self._make_room(self.capacity)

    def __len__(self) -> int:
        """Return the number of voxels; waits for the device."""
        return int(self.count)

    def column(self, name: str) -> Tensor:
        """Return a column, of those named in :data:`COLUMNS`, without the rows that are no voxels; waits."""
        return self.columns[name][: len(self)]

    def insert(
        self, points_map: Tensor, intensity: Tensor | None, stamp: float, sensor: Tensor | None = None
    ) -> Tensor:
        """Add a posed scan.

        Waits for the device only where the columns have to grow. Sums are made by atomic additions in float64, so the
        last bits of a mean differ from run to run.

        Args:
            points_map: ``(N, 3)`` float32 or float64, metres, map frame.
            intensity: ``(N,)`` 0..1, or None for zeros.
            stamp: Seconds.
            sensor: ``(3,)`` float64, where the sensor was, metres, map frame; (0, 0, 0) if not given.

        Returns:
            voxel_of_point, ``(N,)`` int64, as :meth:`.VoxelMap.insert` numbers them.

        Raises:
            MappingError: If the shapes do not fit.
        """
        points = self._check(points_map)
        values = points.new_zeros(len(points)) if intensity is None else intensity
        if values.shape != (len(points),):
            raise MappingError(f"intensity: expected shape ({len(points)},), got {tuple(values.shape)}")
        self._reserve(len(points))
        keys = self._keys_of(points)
        rows, is_first, ranks = self._number(keys)
        num_points = len(points)
        self.bound += num_points
        self.seen = compact(rows, is_first, num_points)
        first = compact(torch.arange(num_points, device=self.device), is_first, num_points)
        self._start(self.seen, keys, points, first)
        away = (points - (0.0 if sensor is None else sensor)).square().sum(1).sqrt()
        self._average(rows, ranks, torch.column_stack([points, values.double(), away]))
        self.columns["last_seen"].index_fill_(0, torch.where(self.seen < 0, self.capacity, self.seen), stamp)
        self._clear_last()
        return rows

    def find(self, points_map: Tensor) -> Tensor:
        """Return the row of the voxel in which each point ``(N, 3)`` lies, ``(N,)`` int64, -1 where there is none."""
        return self._table.find(self._keys_of(self._check(points_map)))

    def points_of(self, rows: Tensor) -> Tensor:
        """Return barycentres ``(M, 3)`` float64, NaN for row -1."""
        return self.columns["points"][rows].masked_fill((rows < 0)[:, None], torch.nan)

    def is_voxel(self) -> Tensor:
        """Return which rows are voxels, ``(capacity + 1,)`` bool."""
        return torch.arange(self.capacity + 1, device=self.device) < self.count

    def squared_distances(self, center: Tensor) -> Tensor:
        """Return the squared distance of each row from ``center`` (3,), ``(capacity + 1,)`` float64."""
        return (self.columns["points"] - center).square().sum(1)

    def choose_ball(self, center: Tensor, squared_radius: float, max_points: int = 0) -> tuple[Tensor, Tensor]:
        """Choose the voxels of a ball.

        Args:
            center: ``(3,)`` float64, metres.
            squared_radius: m^2.
            max_points: If above 0, only this many nearest to the centre.

        Returns:
            Which rows are chosen, ``(capacity + 1,)`` bool, and all squared distances.
        """
        squared = self.squared_distances(center)
        inside = self.is_voxel() & (squared <= squared_radius)
        if 0 < max_points < self.bound:
            ordered = squared.masked_fill(~inside, torch.inf)
            nearest = ordered.topk(min(max_points, len(squared)), largest=False, sorted=False).indices
            inside = inside & torch.zeros_like(inside).index_fill_(0, nearest, True)
        return inside, squared

    def find_voted_near(self, rows: Tensor, reach: int) -> Tensor:
        """Return, for each of ``rows`` (M,), the nearest voxel with votes up to ``reach`` cells away, -1 for none."""
        found = torch.full_like(rows, -1)
        for ring in range(1, reach + 1):
            nearest = self._nearest_voted_in_ring(torch.where(found < 0, rows, -1), ring)
            found = torch.where(found < 0, nearest, found)
        return found

    def add_votes(self, rows: Tensor, weights: Tensor, probabilities: Tensor, memory: float) -> None:
        """Add class probabilities (M, C) with ``weights`` (M,) to ``rows`` (M,); -1 is skipped, rows may repeat.

        What the CPU does vote by vote comes from :func:`.fade_votes`.
        """
        rows, order = torch.where(rows < 0, self.capacity, rows).sort(stable=True)
        weights = weights[order].double() * (rows < self.capacity)
        votes, vote_weight = self.columns["votes"], self.columns["vote_weight"]
        left, share, total = fade_votes(rows, weights, vote_weight[rows].double(), memory)
        begins, ends = find_runs(rows)
        at_begin = torch.where(begins, rows, self.capacity)
        votes[at_begin] = votes[at_begin] * left[:, None].float()
        votes.index_add_(0, rows, share[:, None].float() * probabilities[order])
        vote_weight[torch.where(ends, rows, self.capacity)] = total.float()
        self._clear_last()

    def label(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return labels (M,) uint8 and confidences (M,) float32 of ``rows`` (M,); 0 without votes and for row -1."""
        votes, weight = self.columns["votes"][rows], self.columns["vote_weight"][rows]
        most, best = votes.max(1)
        is_voted = weight > 0
        labels = torch.where(is_voted, best + 1, 0).to(torch.uint8)
        return labels, torch.where(is_voted, (most / weight).clamp(max=1.0), 0.0)

    def evict(self, center: Tensor, radius: float | Tensor, is_due: Tensor | None = None) -> Tensor:
        """Drop the voxels beyond ``radius`` metres from ``center`` (3,), and the farthest above ``max_voxels``.

        Args:
            center: Float64, metres, map frame.
            radius: Metres, or ``()`` float64 on the device.
            is_due: ``()`` bool, whether to evict at all; without it always.

        Returns:
            new_of_old, ``(capacity + 1,)`` int64, see :meth:`.VoxelMap.evict`; index -1 gives -1.
        """
        squared, alive = self.squared_distances(center), self.is_voxel()
        keep = alive & (squared <= radius * radius)
        if self.bound > self.config.max_voxels:
            num_kept = max(self.config.max_voxels - self.config.max_voxels // 20, 1)
            nearest = squared.masked_fill(~alive, torch.inf).topk(num_kept, largest=False, sorted=False).indices
            few = alive & torch.zeros_like(alive).index_fill_(0, nearest, True)
            keep = torch.where(keep.sum() > self.config.max_voxels, few, keep)
        if is_due is not None:
            keep = torch.where(is_due, keep, alive)
        new_of_old = torch.where(keep, keep.cumsum(0) - 1, -1)
        self._compact_columns(keep, new_of_old)
        is_far = radius >= self.config.voxel_size * (HALF_RANGE - 1)
        self._move_origin(
            torch.where((keep == alive).all() | is_far, self._origin, (center / self.config.voxel_size).floor())
        )
        self._fill_table()
        self.seen = new_of_old[self.seen]
        return new_of_old

    def _check(self, points: Tensor) -> Tensor:
        if points.ndim != 2 or points.shape[1] != 3:
            raise MappingError(f"points: expected shape (N, 3), got {tuple(points.shape)}")
        return points.double()

    def _keys_of(self, points: Tensor) -> Tensor:
        return pack_keys(points, 1.0 / self.config.voxel_size, self._origin)

    def _number(self, keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give new keys the next rows, in order of the points.

        Returns:
            Row of each point, -1 for none; whether it is the first in its voxel; and how many firsts came before that
            of its voxel, N for none.
        """
        slots, spare, num = self._table.claim(keys), len(self._table.keys) - 1, len(keys)
        places = torch.arange(num, device=self.device)
        first_of_slot = torch.full((spare + 1,), num, dtype=torch.int64, device=self.device)
        first_of_slot.scatter_reduce_(0, slots, places, "amin")
        first = first_of_slot[slots]
        is_first = (first == places) & (slots != spare)
        is_new = is_first & (self._table.rows[slots] < 0)
        new_rows = torch.where(is_new, self.count + is_new.cumsum(0) - 1, -1)
        self._table.rows.scatter_(0, torch.where(is_new, slots, spare), new_rows.int())
        self.count += is_new.sum()
        ranks = torch.where(is_first, is_first.cumsum(0) - 1, num)
        return self._table.rows[slots].long(), is_first, ranks[first.clamp(max=max(num - 1, 0))]

    def _start(self, rows: Tensor, keys: Tensor, points: Tensor, first: Tensor) -> None:
        """Write what a new voxel starts with: its key, its first point and a potential that only breaks ties."""
        is_new = (rows >= 0) & (self.columns["counts"][rows] == 0)
        rows = torch.where(is_new, rows, self.capacity)
        self.columns["keys"][rows] = keys[first]
        self.columns["points"][rows] = points[first]
        self.columns["potential"][rows] = (FIRST_POTENTIAL * unit_of_key(keys[first])).float()

    def _average(self, rows: Tensor, ranks: Tensor, values: Tensor) -> None:
        """Bring the means of the seen voxels up to date by the ``values`` (N, 5) of their points."""
        columns, num = self.columns, len(rows)
        offsets = torch.column_stack([values - self._means(rows), values.new_ones(num)])  # (N, 6)
        offsets = offsets.masked_fill((rows < 0)[:, None], 0.0)
        sums = values.new_zeros(num + 1, 6).index_add_(0, ranks, offsets)[:num]
        old = columns["counts"][self.seen].double().clamp(max=self.config.max_count)
        total = (old + sums[:, 5]).clamp(min=1.0)
        new = self._means(self.seen) + sums[:, :5] / total[:, None]
        columns["points"][self.seen] = new[:, :3]
        columns["intensity"][self.seen] = new[:, 3].float()
        columns["ranges"][self.seen] = new[:, 4].float()
        columns["counts"][self.seen] = total.float()

    def _means(self, rows: Tensor) -> Tensor:
        columns = self.columns
        return torch.column_stack([columns["points"][rows], columns["intensity"][rows], columns["ranges"][rows]])

    def _nearest_voted_in_ring(self, rows: Tensor, ring: int) -> Tensor:
        keys = keys_around(self.columns["keys"][rows], ring)  # with the inner rings, in which nothing was found
        keys = keys.masked_fill((rows < 0)[:, None], NOWHERE)
        others = self._table.find(keys.flatten()).unflatten(0, keys.shape)
        is_voted = (others >= 0) & (others != rows[:, None]) & (self.columns["vote_weight"][others] > 0)
        points = self.columns["points"]
        squared = (points[others] - points[rows][:, None]).square().sum(2).masked_fill(~is_voted, torch.inf)
        best = squared.argmin(1, keepdim=True)
        return torch.where(is_voted.any(1), others.gather(1, best)[:, 0], -1)

    def _reserve(self, num_points: int) -> None:
        """Make room for as many new voxels as there are points."""
        if self.bound + num_points <= self.capacity:
            return
        self.bound = len(self)
        needed = self.bound + num_points
        if needed > self.capacity:
            self._make_room(max(needed, min(self.capacity * 3 // 2, self.config.max_voxels + num_points)))

    def _make_room(self, capacity: int) -> None:
        old, kept = self.columns if self.bound else {}, self.bound
        self.capacity, self.columns = capacity, {}
        for name, dtype in COLUMNS.items():
            width = {"points": (3,), "votes": (self.num_classes,)}.get(name, ())
            self.columns[name] = torch.zeros(capacity + 1, *width, dtype=dtype, device=self.device)
            if kept:
                self.columns[name][:kept] = old.pop(name)[:kept]
        self._table = HashTable.empty(capacity, self.device)
        self._fill_table()

    def _fill_table(self) -> None:
        keys = torch.where(self.is_voxel(), self.columns["keys"], NOWHERE)
        self._table.fill(keys[: self.bound])

    def _compact_columns(self, keep: Tensor, new_of_old: Tensor) -> None:
        target = torch.where(keep, new_of_old, self.capacity)
        for name, old in self.columns.items():
            self.columns[name] = torch.zeros_like(old).index_copy_(0, target, old)
        self._clear_last()
        self.count = keep.sum()

    def _move_origin(self, origin: Tensor) -> None:
        x, y, z = (origin - self._origin).long().unbind()
        self.columns["keys"] -= (x << (2 * AXIS_BITS)) + (y << AXIS_BITS) + z
        self._origin = origin

    def _clear_last(self) -> None:
        """Empty the row that stands for no voxel, into which was written what nobody is to have."""
        for column in self.columns.values():
            column[self.capacity].zero_()
