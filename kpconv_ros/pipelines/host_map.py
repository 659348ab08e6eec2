# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live segmenter's map on the CPU: spheres are cut there, and only what the network sees goes to its device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.pointcloud2 import CloudFields
from kpconv_ros.kernels.posed_scan import move_scan
from kpconv_ros.mapping.sphere_voting import PickedSphere, SphereVoting
from kpconv_ros.pipelines.scan_map import EVICTION_STEP, LiveSegmenterConfig, MapSnapshot, check_points, voting_config
from kpconv_ros.pipelines.sphere_classifier import SphereClassifier

if TYPE_CHECKING:
    from kpconv_ros.checkpoint import Model  # it needs PyYAML and safetensors

Array = NDArray[Any]


class HostMap:
    """A :class:`.ScanMap` on the CPU."""

    def __init__(
        self, model: Model, config: LiveSegmenterConfig, classifier: SphereClassifier, clock: Callable[[], float]
    ) -> None:
        """Start with an empty map."""
        self.config = config
        self._classifier, self._clock = classifier, clock
        self._voting = SphereVoting(voting_config(model, config), classifier.num_classes)
        self.reset(np.zeros(3))

    @property
    def num_voxels(self) -> int:
        """Voxels in the map."""
        return len(self._voting.voxels)

    def reset(self, origin: Array) -> None:
        """Forget everything; see :class:`.ScanMap` for this and all other methods."""
        self._voting.reset(origin)
        self._evicted_at = origin
        self._voxel_of_point = np.empty(0, np.int64)

    def insert(self, points: Array, intensity: Array | None, pose: Array, stamp: float) -> None:
        """Add a scan."""
        self._insert(points, self._classifier.scale_intensity(intensity, len(points)), pose, stamp)

    def insert_cloud(self, cloud: CloudFields, intensity_scale: float, pose: Array, stamp: float) -> None:
        """Add a message."""
        points = check_points(cloud.xyz)
        scaled = self._classifier.scale_intensity(cloud.intensity, len(points), intensity_scale)
        self._insert(points, scaled, pose, stamp)

    def vote(self, ground_z: float, deadline: float) -> int:
        """Run spheres."""
        num_spheres = 0
        while batch := self._pick_batch(deadline, is_first=num_spheres == 0):
            for picked, probabilities in zip(batch, self._classifier.classify(batch, ground_z), strict=True):
                self._voting.add_votes(picked, probabilities)
            num_spheres += len(batch)
        return num_spheres

    def label(self) -> tuple[Array, Array]:
        """Label the last scan."""
        return self._voting.label_points(self._voxel_of_point)

    def snapshot(self) -> MapSnapshot:
        """Copy the voted voxels."""
        voxels = self._voting.voxels
        voted = np.flatnonzero(voxels.vote_weight > 0)
        labels, confidence = voxels.label(voted)
        points = voxels.points[voted].astype(np.float32)
        return MapSnapshot(points, labels[voted], confidence[voted], voxels.intensity[voted])

    def _insert(self, points: Array, intensity: Array, pose: Array, stamp: float) -> None:
        points_map = move_scan(points, pose, self.config.map_radius)  # (N, 3) float64; NaN gets no voxel
        voxel_of_point = self._voting.insert(points_map, intensity, stamp, pose[:3, 3])
        self._voxel_of_point = self._evict(voxel_of_point, pose[:3, 3])

    def _evict(self, voxel_of_point: Array, sensor: Array) -> Array:
        """Evict after each tenth of the map radius, or above the cap; return the moved voxel_of_point."""
        moved = np.linalg.norm(sensor - self._evicted_at)
        if moved < EVICTION_STEP * self.config.map_radius and self.num_voxels <= self.config.max_voxels:
            return voxel_of_point
        self._evicted_at = sensor
        new_of_old = self._voting.evict(sensor, self.config.map_radius)
        return np.append(new_of_old, -1)[voxel_of_point]

    def _pick_batch(self, deadline: float, is_first: bool) -> list[PickedSphere]:
        batch: list[PickedSphere] = []
        num_points = 0
        while len(batch) < self.config.sphere_batch:
            must_run = is_first and not batch
            affordable = self._classifier.affordable_points(deadline - self._clock())
            cap = max(affordable, self.config.min_sphere_points) if must_run else self.config.max_sphere_points
            picked = self._voting.propose_sphere(int(min(cap, self.config.max_sphere_points)))
            if picked is None:
                break
            num_points += len(picked.sphere.points)
            if num_points > affordable and not must_run:
                break
            self._voting.accept(picked)
            batch.append(picked)
        return batch
