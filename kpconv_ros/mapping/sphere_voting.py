# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Incremental sphere voting: the test-time scheme of KPConv on a map that grows and moves.

The paper (KPConv: Flexible and Deformable Convolution for Point Clouds, ICCV 2019, arXiv:1904.08889) tests a whole
cloud in spheres picked regularly, so that each point is tested several times, and averages the probabilities. Its code
keeps a potential on a coarse copy of the cloud, takes the place with the lowest one as the next centre, and adds
Tukey's weight there. Here the cloud is a rolling voxel map, so new places come in with potential 0 and are served
first.

Note:
    Unlike the paper's code, potentials fade with time, so that a place which was tested a thousand times is not ahead
    of a new one for a thousand turns; a voxel's vote counts by Tukey's weight too, because the context of a point near
    the border of the sphere is cut; places that the current scan sees go before others; and among those that were
    hardly tested, the next centre is the one whose sphere serves most of the scan's voxels for its price, because a
    robot must have labels before the next scan comes, and single echoes far away would else eat the budget.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kpconv_ros.geometry.sorted_cells import SortedCells
from kpconv_ros.kernels import voting
from kpconv_ros.mapping.sphere import PickedSphere as PickedSphere
from kpconv_ros.mapping.voting_config import (
    BASE_LOAD,
    HARDLY_TESTED,
    LOAD_STRIDE,
    NUM_CANDIDATES,
    RINGS_OF_NEIGHBORS,
)
from kpconv_ros.mapping.voting_config import SphereVotingConfig as SphereVotingConfig
from kpconv_ros.mapping.voxel_map import VoxelMap, VoxelMapConfig

Array = NDArray[Any]


class SphereVoting:
    """A fine voxel map with votes (:attr:`voxels`), and a coarse one (:attr:`cells`) with potentials and votes."""

    def __init__(self, config: SphereVotingConfig, num_classes: int) -> None:
        """Make an empty map for a network with ``num_classes`` outputs."""
        self.config = config
        self.cell_size = config.cell_size
        self.voxels = VoxelMap(VoxelMapConfig(config.voxel_size, config.max_voxels, config.max_count), num_classes)
        self.cells = VoxelMap(VoxelMapConfig(self.cell_size, config.max_voxels, config.max_count), num_classes)
        self.reset(np.zeros(3))

    def reset(self, origin: Array) -> None:
        """Forget everything; data will lie around ``origin`` (3,), metres, map frame."""
        self.voxels.reset(origin)
        self.cells.reset(origin)
        self._stamp: float | None = None
        self._seen_cells = self._cells_in_range = self._seen_in_cell = np.empty(0, np.int64)

    def insert(self, points_map: Array, intensity: Array | None, stamp: float, sensor: Array) -> Array:
        """Add a posed scan, taken at ``sensor`` (3,), metres, map frame; potentials fade by the time passed.

        Returns:
            voxel_of_point, ``(N,)`` int64, -1 for points without a finite position in range. See
            :meth:`VoxelMap.insert` for the arguments and errors.
        """
        voxel_of_point = self.voxels.insert(points_map, intensity, stamp, sensor)
        self.cells.insert(self.voxels.points[self.voxels.seen], None, stamp)
        passed = 0.0 if self._stamp is None else max(stamp - self._stamp, 0.0)
        self._stamp = stamp
        self.cells.potential[:] *= math.exp(-passed / self.config.potential_memory)
        self.look_from(sensor)
        return voxel_of_point

    def evict(self, center: Array, radius: float) -> Array:
        """Drop what lies beyond ``radius`` of ``center``; return new_of_old of the voxels, see VoxelMap.evict."""
        new_of_old = self.voxels.evict(center, radius)
        if len(self.voxels):
            farthest = math.sqrt(np.square(self.voxels.points - center).sum(axis=1).max())
            self.cells.evict(center, min(radius, farthest + self.cell_size))
        self.look_from(center)
        return new_of_old

    def look_from(self, sensor: Array) -> None:
        """Pick spheres within ``segment_range`` of ``sensor`` (3,) from now on, those of the last scan first."""
        near = np.square(self.cells.points - sensor).sum(axis=1) <= self.config.segment_range**2
        self._cells_in_range = np.flatnonzero(near)
        self._seen_cells = self.cells.seen[near[self.cells.seen]]
        cell_of_seen = self.cells.find(self.voxels.points[self.voxels.seen])
        self._seen_in_cell = np.bincount(cell_of_seen[cell_of_seen >= 0], minlength=len(self.cells))

    def propose_sphere(self, max_points: int | None = None) -> PickedSphere | None:
        """Cut the sphere around the place to test next; it stays the next until it is accepted.

        Args:
            max_points: Most voxels of it, if not ``max_sphere_points``.

        Returns:
            The sphere, or None if every place in range was tested enough lately.
        """
        max_points = max_points or self.config.max_sphere_points
        while (cell := self._next_cell(max_points)) is not None:
            picked = self.cut_sphere(self.cells.points[cell].copy(), max_points)
            if len(picked.sphere.voxels):
                return picked
            self.accept(picked)  # the cap on voxels took all that was here
        return None

    def accept(self, picked: PickedSphere) -> None:
        """Raise the potential within a sphere, because the network is going to look at it."""
        voting.raise_potential(self.cells.points, picked.center, picked.reach, self.cells.potential)

    def add_votes(self, picked: PickedSphere, probabilities: Array) -> None:
        """Add the network's ``probabilities`` (M, C) for the points of a sphere."""
        share = 1.0 - np.square(picked.sphere.points).sum(axis=1) / picked.reach**2
        weights = np.maximum(np.square(np.maximum(share, 0.0)), self.config.min_vote_weight).astype(np.float32)
        probabilities = np.ascontiguousarray(probabilities, np.float32)
        rows, memory = picked.sphere.voxels, self.config.vote_memory
        self.voxels.add_votes(rows, weights, probabilities, memory)
        self.cells.add_votes(self.cells.find(self.voxels.points[rows]), weights, probabilities, memory)

    def label_points(self, voxel_of_point: Array) -> tuple[Array, Array]:
        """Label the points of the last scan.

        A voxel without votes takes them from its nearest voted neighbour within one sphere radius.

        Args:
            voxel_of_point: ``(N,)`` as :meth:`insert` returned it, or as new_of_old of :meth:`evict` moved it.

        Returns:
            labels ``(N,)`` uint8, 0 where unknown, and confidence ``(N,)`` float32: the share of the votes.
        """
        labels, confidence = self.voxels.label(self.voxels.seen)
        unvoted = self.voxels.seen[self.voxels.vote_weight[self.voxels.seen] <= 0]
        if len(unvoted):
            labels[unvoted], confidence[unvoted] = self._labels_from_neighbors(unvoted)
        return labels[voxel_of_point], confidence[voxel_of_point]

    def cut_sphere(
        self, center: Array, max_points: int | None = None, index: SortedCells | None = None
    ) -> PickedSphere:
        """Cut the sphere around ``center`` (3,), metres, map frame, out of the map; nothing is noted of it.

        See :meth:`VoxelMap.gather` for ``index``.
        """
        radius, max_points = self.config.sphere_radius, max_points or self.config.max_sphere_points
        sphere = self.voxels.gather(center, radius, max_points, index)
        is_full = len(sphere.voxels) == max_points
        reach = max(float(np.linalg.norm(sphere.points, axis=1).max()), self.cell_size) if is_full else radius
        return PickedSphere(sphere, center, reach)

    def _next_cell(self, max_points: int) -> int | None:
        """Return the cell for the next centre: the most useful of those in sight, then the one tested least."""
        potential = self.cells.potential
        waiting = self._seen_cells[potential[self._seen_cells] < min(HARDLY_TESTED, self.config.max_potential)]
        if len(waiting):
            return self._most_useful(waiting, max_points)
        if len(self._cells_in_range):
            lowest = int(self._cells_in_range[np.argmin(potential[self._cells_in_range])])
            return lowest if potential[lowest] < self.config.max_potential else None
        return None

    def _most_useful(self, waiting: Array, max_points: int) -> int:
        """Return the one of ``waiting`` (W,) cells around which most seen voxels wait, for the voxels of its sphere."""
        cells, seen = self.cells, self._seen_cells
        candidates = waiting[:: -(-len(waiting) // NUM_CANDIDATES)]  # (K,), spread as the scan is
        missing = np.maximum(1.0 - cells.potential[seen], 0.0) * self._seen_in_cell[seen]
        best = voting.best_sphere(
            cells.points[candidates], cells.points[seen], missing, cells.points[self._cells_in_range[::LOAD_STRIDE]],
            LOAD_STRIDE * len(self.voxels) / len(cells), BASE_LOAD, float(max_points),
            self.config.sphere_radius,
        )  # fmt: skip
        return int(candidates[best])

    def _labels_from_neighbors(self, unvoted: Array) -> tuple[Array, Array]:
        """Label voxels without votes, ``(U,)`` rows, by voted voxels next to them, else by the nearest voted cell."""
        own_cell = self.cells.find(self.voxels.points[unvoted])
        source = self._nearest_voted_cell()[own_cell]
        labels, confidence = (values[source] for values in self.cells.label())
        inside = np.flatnonzero(source == own_cell)  # the cell of the voxel has votes, so a close neighbour is likely
        neighbor = self.voxels.find_voted_near(unvoted[inside], RINGS_OF_NEIGHBORS)
        inside, neighbor = inside[neighbor >= 0], neighbor[neighbor >= 0]
        near_labels, near_confidence = self.voxels.label(neighbor)
        labels[inside], confidence[inside] = near_labels[neighbor], near_confidence[neighbor]
        return labels, confidence

    def _nearest_voted_cell(self) -> Array:
        """Return, for each seen cell, the nearest voted cell within one sphere radius, else -1; ``(cells + 1,)``."""
        source = np.full(len(self.cells) + 1, -1, np.int64)
        has_votes = self.cells.vote_weight > 0
        voted = np.flatnonzero(has_votes)
        source[voted] = voted
        asked = self.cells.seen[~has_votes[self.cells.seen]]
        if len(voted) and len(asked):
            tree = cKDTree(self.cells.points[voted], balanced_tree=False, compact_nodes=False)
            _, nearest = tree.query(self.cells.points[asked], distance_upper_bound=self.config.sphere_radius)
            source[asked] = np.append(voted, -1)[nearest]
        return source
