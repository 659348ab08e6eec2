# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regular sphere voting on a map that stands still: the paper's test, until every voxel was tested N times.

"At testing, we pick spheres regularly in the point clouds but ensure each point is tested multiple times by different
sphere locations. As in a voting scheme on model datasets, the predicted probabilities for each point are averaged"
(Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 4.2).

Note:
    The authors' code smooths the probabilities (0.95 of the old ones, 0.05 of the new), starting from zeros, and stops
    when the smallest sum of Tukey's weights reaches N. Here the probabilities are averaged, as the paper says, and
    tests are counted: after few of them the smoothed sums still depend on the order, and a sum of weights of N takes
    several times N tests of most points.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.geometry.sorted_cells import SortedCells
from kpconv_ros.mapping.sphere_voting import PickedSphere, SphereVoting
from kpconv_ros.mapping.voxel_map import MappingError

Array = NDArray[Any]
SHIFT = 0.1
"""Standard deviation of a centre about the voxel that it serves, in sphere radii: the tests of a place come from
different spheres, as in the authors' code."""
MOST_SHIFT = 0.5
"""Bound of the shift on each axis, in sphere radii."""
CHUNK = 1_000_000
"""Points looked at at once: what is held beside the cloud grows with its voxels, not with its points."""


class RegularVoting:
    """Fill it with :meth:`insert`, :meth:`start` it, then vote on one :meth:`next_sphere` after the other."""

    def __init__(self, voting: SphereVoting, generator: np.random.Generator) -> None:
        """Take an empty map; its config's ``min_vote_weight`` of 1 makes the votes a plain mean."""
        self.voting = voting
        self._generator = generator
        self.num_tests = 0
        """Tests that each wanted voxel gets, at least."""
        self.tests: Array = np.zeros(0, np.int32)
        """Spheres that each voxel was in, ``(V,)`` int32."""
        self._wanted = np.zeros(0, bool)
        self._colors = np.zeros((0, 3), np.float32)  # means
        self._num_colored = np.zeros(0, np.int64)  # points in each mean
        self._index: SortedCells | None = None
        self._cell_of_voxel = self._voxels_by_cell = self._first_of_cell = self._short_in_cell = np.zeros(0, np.int64)

    def insert(self, points: Array, intensity: Array | None, sensor: Array, colors: Array | None = None) -> None:
        """Add points; those that are not finite are left out.

        Args:
            points: ``(N, 3)``, metres, map frame.
            intensity: ``(N,)`` 0..1, or None.
            sensor: ``(3,)`` from where they were seen, metres, map frame.
            colors: ``(N, 3)`` 0..1, or None.

        Raises:
            MappingError: If the shapes do not fit.
        """
        if intensity is not None and len(intensity) != len(points):
            raise MappingError(f"intensity: expected shape ({len(points)},), got {intensity.shape}")
        if colors is not None and colors.shape != (len(points), 3):
            raise MappingError(f"colors: expected shape ({len(points)}, 3), got {colors.shape}")
        for rows in _chunks(len(points)):
            found = self.voting.voxels.insert(points[rows], None if intensity is None else intensity[rows], 0.0, sensor)
            if colors is not None:
                self._mix_colors(found, colors[rows])

    def _mix_colors(self, voxels: Array, colors: Array) -> None:
        """Take ``colors`` (N, 3) of points in ``voxels`` (N,), -1 for none, into the means."""
        num_new = len(self.voting.voxels) - len(self._colors)
        self._colors = np.concatenate([self._colors, np.zeros((num_new, 3), np.float32)])
        self._num_colored = np.concatenate([self._num_colored, np.zeros(num_new, np.int64)])
        colors, voxels = colors[voxels >= 0], voxels[voxels >= 0]
        added = np.bincount(voxels, minlength=len(self._colors))
        self._num_colored += added
        for channel in range(3):
            sums = np.bincount(voxels, colors[:, channel], len(self._colors))
            mean = self._colors[:, channel]
            mean += (sums - added * mean) / np.maximum(self._num_colored, 1)

    def start(self, num_tests: int, wanted: Array | None = None) -> None:
        """Begin to count; nothing is inserted from here on.

        Args:
            num_tests: Tests of each wanted voxel.
            wanted: ``(N, 3)`` points of the map, metres: only the voxels in which one lies need their tests; every
                voxel if not given.

        Raises:
            MappingError: If ``num_tests`` is below 1.
        """
        if num_tests < 1:
            raise MappingError(f"num_tests: expected at least 1, got {num_tests}")
        voxels, cells = self.voting.voxels, self.voting.cells
        if len(self._colors):
            self._mix_colors(np.empty(0, np.int64), np.empty((0, 3), np.float32))  # voxels without one are black
        self.num_tests = num_tests
        self.tests = np.zeros(len(voxels), np.int32)
        self._wanted = np.full(len(voxels), wanted is None)
        for rows in _chunks(0 if wanted is None else len(wanted)):
            assert wanted is not None
            found = voxels.find(wanted[rows])
            self._wanted[found[found >= 0]] = True
        self._index = SortedCells(voxels.points, self.voting.cell_size)
        self._cell_of_voxel = cells.insert(voxels.points, None, 0.0)
        self._voxels_by_cell = np.argsort(self._cell_of_voxel, kind="stable")
        count = np.bincount(self._cell_of_voxel, minlength=len(cells))
        self._first_of_cell = np.concatenate([[0], np.cumsum(count)])
        self._short_in_cell = np.bincount(self._cell_of_voxel[self._wanted], minlength=len(cells))

    @property
    def num_waiting(self) -> int:
        """Wanted voxels that have not had their tests yet."""
        return int(self._short_in_cell.sum())

    @property
    def fewest_tests(self) -> int:
        """Tests of the wanted voxel that was tested least; 0 if none is wanted."""
        return int(self.tests[self._wanted].min()) if self._wanted.any() else 0

    def next_sphere(self) -> PickedSphere | None:
        """Pick the next sphere, and count on its votes.

        Its centre is near a voxel that was tested least, in the cell with the lowest potential of those where a voxel
        waits, and the sphere has that voxel, so it always serves someone.

        Returns:
            The sphere, or None when every wanted voxel has its tests.
        """
        waiting = np.flatnonzero(self._short_in_cell)
        if not len(waiting):
            return None
        cell = waiting[np.argmin(self.voting.cells.potential[waiting])]
        rows = self._voxels_by_cell[self._first_of_cell[cell] : self._first_of_cell[cell + 1]]
        rows = rows[self._wanted[rows]]
        picked = self._cut_sphere_with(int(rows[np.argmin(self.tests[rows])]))
        self.voting.accept(picked)
        self._count(picked.sphere.voxels)
        if not len(self._colors):
            return picked
        return picked._replace(sphere=picked.sphere._replace(colors=self._colors[picked.sphere.voxels]))

    def add_votes(self, picked: PickedSphere, probabilities: Array) -> None:
        """Add the network's ``probabilities`` (M, C) for the points of a sphere."""
        self.voting.add_votes(picked, probabilities)

    def label_points(self, points: Array) -> tuple[Array, Array]:
        """Label points by the nearest voxel that has votes.

        Args:
            points: ``(N, 3)`` metres, map frame.

        Returns:
            labels ``(N,)`` uint8, 0 only for points that are not finite or where nothing has votes, and confidence
            ``(N,)`` float32: the share of the votes.
        """
        voxels = self.voting.voxels
        all_labels, all_confidence = voxels.label()
        voted = np.flatnonzero(voxels.vote_weight > 0)
        labels, confidence = np.zeros(len(points), np.uint8), np.zeros(len(points), np.float32)
        if not len(voted):
            return labels, confidence
        index = SortedCells(voxels.points[voted], voxels.config.voxel_size)
        for rows in _chunks(len(points)):
            nearest = np.append(voted, -1)[index.nearest(points[rows])]
            labels[rows], confidence[rows] = all_labels[nearest], all_confidence[nearest]
        return labels, confidence

    def _cut_sphere_with(self, row: int) -> PickedSphere:
        place, radius = self.voting.voxels.points[row].copy(), self.voting.config.sphere_radius
        shift = np.clip(self._generator.normal(0.0, SHIFT, 3), -MOST_SHIFT, MOST_SHIFT) * radius
        picked = self.voting.cut_sphere(place + shift, index=self._index)
        if row in picked.sphere.voxels:
            return picked
        return self.voting.cut_sphere(place, index=self._index)  # too full to reach as far

    def _count(self, rows: Array) -> None:
        self.tests[rows] += 1
        done = rows[(self.tests[rows] == self.num_tests) & self._wanted[rows]]
        np.subtract.at(self._short_in_cell, self._cell_of_voxel[done], 1)


def _chunks(count: int) -> Iterator[slice]:
    return (slice(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK))
