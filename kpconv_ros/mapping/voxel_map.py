# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rolling voxel map in a fixed frame: what was seen, how it was labelled, and how often it was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels import voting, voxel_hash
from kpconv_ros.mapping.error import MappingError as MappingError
from kpconv_ros.mapping.sphere import Sphere

if TYPE_CHECKING:
    from kpconv_ros.geometry.sorted_cells import SortedCells  # it needs SciPy, which a machine with a GPU may lack

Array = NDArray[Any]


@dataclass(frozen=True)
class VoxelMapConfig:
    """Size and memory of a :class:`VoxelMap`."""

    voxel_size: float = 0.1
    """Edge of a voxel, metres."""
    max_voxels: int = 400_000
    """Most voxels kept by :meth:`VoxelMap.evict`; the farthest go first."""
    max_count: int = 32
    """Points of earlier scans that a barycentre remembers; fewer follow changes faster."""


class VoxelMap:
    """Hash map of voxels, each with barycentre, mean intensity and range, votes for the classes, and a potential.

    The columns (:attr:`points`, :attr:`intensity`, :attr:`ranges`, :attr:`counts`, :attr:`votes`, :attr:`vote_weight`,
    :attr:`potential`, :attr:`last_seen`) are views of ``(V, ...)`` arrays; writing to them changes the map. Rows keep
    their number until :meth:`evict` or :meth:`reset`. Positions are float64, so that a map 10 km from its frame's
    origin, or in UTM coordinates, loses nothing; keys are counted from a cell near the data.
    """

    def __init__(self, config: VoxelMapConfig, num_classes: int, origin: Array | None = None) -> None:
        """Make an empty map.

        Args:
            config: Sizes.
            num_classes: Outputs of the network, which is the width of a vote.
            origin: ``(3,)`` a place near the data, metres; (0, 0, 0) if not given. Data may lie up to 2^20 voxels
                from it on each axis.
        """
        if not config.voxel_size > 0:
            raise MappingError(f"voxel_size: expected a length above 0 m, got {config.voxel_size}")
        self.config = config
        self.num_classes = num_classes
        self.reset(origin)

    def reset(self, origin: Array | None = None) -> None:
        """Forget everything; count keys from ``origin`` (3,), metres, from now on."""
        place = np.zeros(3) if origin is None else np.asarray(origin, np.float64)
        if place.shape != (3,) or not np.isfinite(place).all():
            raise MappingError(f"origin: expected three finite numbers, got {place}")
        self._origin = np.floor(place / self.config.voxel_size)
        self._num_voxels = 0
        self._scan = 0
        self._seen = np.empty(0, np.int64)
        self._columns: dict[str, Array] = {
            "keys": np.empty(0, np.int64),
            "points": np.empty((0, 3), np.float64),
            "intensity": np.empty(0, np.float32),
            "ranges": np.empty(0, np.float32),
            "counts": np.empty(0, np.float32),
            "votes": np.empty((0, self.num_classes), np.float32),
            "vote_weight": np.empty(0, np.float32),
            "potential": np.empty(0, np.float32),
            "last_seen": np.empty(0, np.float64),
            "last_scan": np.empty(0, np.int32),
        }
        self._table = np.full(1 << 10, -1, np.int32)

    def __len__(self) -> int:
        """Return the number of voxels."""
        return self._num_voxels

    @property
    def points(self) -> Array:
        """Barycentres, ``(V, 3)`` float64, metres, map frame."""
        return self._column("points")

    @property
    def intensity(self) -> Array:
        """Mean intensities, ``(V,)`` float32."""
        return self._column("intensity")

    @property
    def ranges(self) -> Array:
        """Mean distances from the sensor at which the voxels were seen, ``(V,)`` float32, metres."""
        return self._column("ranges")

    @property
    def counts(self) -> Array:
        """Points in each barycentre (earlier scans capped), ``(V,)`` float32."""
        return self._column("counts")

    @property
    def votes(self) -> Array:
        """Weighted sums of class probabilities, ``(V, C)`` float32."""
        return self._column("votes")

    @property
    def vote_weight(self) -> Array:
        """Sums of the weights in ``votes``, ``(V,)`` float32; 0 where nothing was voted yet."""
        return self._column("vote_weight")

    @property
    def potential(self) -> Array:
        """How often a voxel was looked at, ``(V,)`` float32; a new voxel has next to 0."""
        return self._column("potential")

    @property
    def last_seen(self) -> Array:
        """Stamp of the last scan with a point in the voxel, ``(V,)`` float64, seconds."""
        return self._column("last_seen")

    @property
    def seen(self) -> Array:
        """Rows of the voxels that the last :meth:`insert` touched, ``(S,)`` int64, each once."""
        return self._seen

    def insert(self, points_map: Array, intensity: Array | None, stamp: float, sensor: Array | None = None) -> Array:
        """Add a posed scan.

        Args:
            points_map: ``(N, 3)`` float32 or float64, metres, map frame. Take float64 far from the origin.
            intensity: ``(N,)`` 0..1, or None for zeros.
            stamp: Seconds.
            sensor: ``(3,)`` where the sensor was, metres, map frame; (0, 0, 0) if not given.

        Returns:
            voxel_of_point, ``(N,)`` int64: row of the voxel of each point, -1 for points that are not finite or
            farther than 2^20 voxels from the origin.

        Raises:
            MappingError: If the shapes do not fit.
        """
        points_map = _writable_positions(points_map)
        num_points = len(points_map)
        values = np.zeros(num_points, np.float32) if intensity is None else np.asarray(intensity)
        if values.shape != (num_points,):
            raise MappingError(f"intensity: expected shape ({num_points},), got {values.shape}")
        place = np.zeros(3) if sensor is None else np.array(sensor, np.float64)
        self._reserve(self._num_voxels + num_points)
        voxel_of_point = np.empty(num_points, np.int64)
        seen = np.empty(num_points, np.int64)
        columns, first_new = self._columns, self._num_voxels
        self._scan += 1
        self._num_voxels, num_seen = voxel_hash.insert_points(
            points_map, np.require(values, np.float32, ["C", "W"]), place, float(stamp), self._scan,
            1.0 / self.config.voxel_size, self._origin, np.float32(self.config.max_count),
            self._table, self._shift, first_new,
            columns["keys"], columns["points"], columns["intensity"], columns["ranges"], columns["counts"],
            columns["potential"], columns["last_seen"], columns["last_scan"], voxel_of_point, seen,
        )  # fmt: skip
        self.votes[first_new:] = 0.0
        self.vote_weight[first_new:] = 0.0
        self._seen = seen[:num_seen].copy()
        return voxel_of_point

    def find(self, points_map: Array) -> Array:
        """Return the row of the voxel in which each point ``(N, 3)`` lies, ``(N,)`` int64, -1 where there is none."""
        voxel_of_point = np.empty(len(points_map), np.int64)
        voxel_hash.find_voxels(
            _writable_positions(points_map), 1.0 / self.config.voxel_size, self._origin,
            self._table, self._shift, self._columns["keys"], voxel_of_point,
        )  # fmt: skip
        return voxel_of_point

    def gather(self, center: Array, radius: float, max_points: int = 0, index: SortedCells | None = None) -> Sphere:
        """Cut the ball of ``radius`` metres around ``center`` (3,) out of the map, for a network.

        Args:
            center: ``(3,)`` metres, map frame.
            radius: Metres.
            max_points: If above 0, only this many voxels nearest to the centre.
            index: Of :attr:`points` as they are now; without it all of them are looked at.

        Returns:
            The sphere; its voxels are in rising order, so the result does not depend on how it was found.
        """
        if index is None:
            rows, squared = voxel_hash.rows_in_ball(self.points, np.asarray(center, np.float64), float(radius))
        else:
            rows, squared = index.rows_in_ball(center, radius)
        if 0 < max_points < len(rows):
            rows = np.sort(rows[np.argpartition(squared, max_points - 1)[:max_points]])
        around = (self.points[rows] - center).astype(np.float32)
        return Sphere(around, self.intensity[rows], self.ranges[rows], rows)

    def find_voted_near(self, rows: Array, reach: int) -> Array:
        """Return, for each of ``rows`` (M,), the nearest voxel with votes up to ``reach`` cells away, -1 for none.

        The rings of cells around a voxel are searched inside out, ending with the first that has votes.
        """
        found = np.empty(len(rows), np.int64)
        voting.find_voted_near(
            rows, reach, self._columns["keys"], self._columns["points"], self._columns["vote_weight"],
            self._table, self._shift, found,
        )  # fmt: skip
        return found

    def add_votes(self, rows: Array, weights: Array, probabilities: Array, memory: float) -> None:
        """Add class probabilities (M, C) with ``weights`` (M,) to ``rows`` (M,); -1 is skipped, rows may repeat.

        Votes are a plain weighted mean until a voxel's weight is ``memory``; from there on old votes fade.
        """
        voting.add_votes(rows, weights, probabilities, memory, self.votes, self.vote_weight)

    def label(self, rows: Array | None = None) -> tuple[Array, Array]:
        """Return labels (V + 1,) uint8 and confidences (V + 1,) float32, filled in at ``rows``, by default all.

        The label is the class with most votes plus one, the confidence its share of them; both are 0 without votes,
        and in the last entry, which is the one that index -1 reads.
        """
        labels, confidence = np.zeros(len(self) + 1, np.uint8), np.zeros(len(self) + 1, np.float32)
        rows = np.arange(len(self)) if rows is None else rows
        voting.label_rows(rows, self.votes, self.vote_weight, labels, confidence)
        return labels, confidence

    def evict(self, center: Array, radius: float) -> Array:
        """Drop the voxels beyond ``radius`` metres from ``center`` (3,), and the farthest above ``max_voxels``.

        When the cap is met, a twentieth more goes, so that the next scans find room.

        Returns:
            new_of_old, ``(V,)`` int64: new row of each old row, -1 for the evicted ones.
        """
        center = np.asarray(center, np.float64)
        squared = np.square(self.points - center).sum(axis=1)
        keep = squared <= radius**2
        if int(keep.sum()) > self.config.max_voxels:
            num_kept = max(self.config.max_voxels - self.config.max_voxels // 20, 1)
            nearest = np.argpartition(squared, num_kept - 1)[:num_kept]
            keep = np.zeros(len(self), bool)
            keep[nearest] = True
        new_of_old = np.where(keep, np.cumsum(keep) - 1, -1)
        if not keep.all():
            self._compact(np.flatnonzero(keep), new_of_old)
            if radius < self.config.voxel_size * (voxel_hash.HALF_RANGE - 1):
                self._move_origin(center)
            voxel_hash.fill_table(self._table, self._shift, self._columns["keys"], self._num_voxels)
        return new_of_old

    def _column(self, name: str) -> Array:
        return self._columns[name][: self._num_voxels]

    @property
    def _shift(self) -> int:
        return 65 - len(self._table).bit_length()

    def _reserve(self, num_voxels: int) -> None:
        """Make room for ``num_voxels`` rows, and a table at most two thirds full."""
        capacity = len(self._columns["keys"])
        if capacity < num_voxels:
            capacity = max(num_voxels, capacity * 3 // 2, self.config.max_voxels)  # pages come when they are touched
            for name, old in self._columns.items():
                new = np.empty((capacity, *old.shape[1:]), old.dtype)
                new[: self._num_voxels] = old[: self._num_voxels]
                self._columns[name] = new
        if len(self._table) * 2 < num_voxels * 3:
            self._table = np.empty(1 << (num_voxels * 3 // 2).bit_length(), np.int32)
            voxel_hash.fill_table(self._table, self._shift, self._columns["keys"], self._num_voxels)

    def _compact(self, kept: Array, new_of_old: Array) -> None:
        for column in self._columns.values():
            column[: len(kept)] = column[kept]
        seen = new_of_old[self._seen]
        self._seen = seen[seen >= 0]
        self._num_voxels = len(kept)

    def _move_origin(self, center: Array) -> None:
        """Count keys from the cell of ``center``, around which all voxels now lie."""
        origin = np.floor(center / self.config.voxel_size)
        moved = (origin - self._origin).astype(np.int64)
        voxel_hash.move_keys(self._columns["keys"], self._num_voxels, moved[0], moved[1], moved[2])
        self._origin = origin


def _writable_positions(points: Array) -> Array:
    """Bring positions to the one memory layout for which the kernels are compiled, without a copy where it is so."""
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3:
        raise MappingError(f"points: expected shape (N, 3), got {points.shape}")
    return np.require(points, np.float32 if points.dtype == np.float32 else np.float64, ["C", "W"])
