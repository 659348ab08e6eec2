# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live segmentation: one posed scan in, a label for each of its points out, within a time budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.checkpoint import Model
from kpconv_ros.config_io import param
from kpconv_ros.geometry.se3 import check_pose
from kpconv_ros.kernels.posed_scan import move_scan
from kpconv_ros.mapping.sphere_voting import PickedSphere, SphereVoting, SphereVotingConfig
from kpconv_ros.pipelines.sphere_classifier import PipelineError, SphereClassifier

Array = NDArray[Any]
MAX_STEP_BACK = 1e-3
"""A stamp may lie this much before the last one, seconds; beyond it time jumped back."""


@dataclass(frozen=True)
class LiveSegmenterConfig:
    """What a user may set; voxel size and sphere radius come with the model."""

    time_budget: float = param(0.06, "time for one scan, seconds; one sphere is always run", 0.0, 60.0, live=True)
    segment_range: float = param(50.0, "spheres are picked up to this far from the sensor, metres", 1.0, 1000.0)
    map_radius: float = param(80.0, "what lies farther from the sensor is not kept, metres", 1.0, 2000.0)
    max_voxels: int = param(400_000, "hard cap of the map; the farthest voxels go first", 1000, 20_000_000)
    max_sphere_points: int = param(12_000, "most voxels of a sphere; the nearest to its centre stay", 16, 1_000_000)
    min_sphere_points: int = param(4000, "the sphere that always runs is cut to the budget, down to this", 16, 100_000)
    sphere_batch: int = param(2, "most spheres in one call of the network", 1, 64, live=True)
    vote_memory: float = param(10.0, "votes a voxel averages before old ones fade", 1.0, 1000.0)
    min_vote_weight: float = param(0.05, "weight of a vote at the border of its sphere (1 in the middle)", 0.0, 1.0)
    potential_memory: float = param(10.0, "time in which it fades that a place was tested, seconds", 0.1, 3600.0)
    max_potential: float = param(4.0, "tests after which a place needs no more for now", 0.5, 1000.0)
    sensor_height: float = param(1.73, "height of the sensor above the ground, metres", -10.0, 100.0, live=True)
    bf16: bool = param(True, "matrix products in bfloat16 where the device has instructions for it")
    num_threads: int = param(0, "threads of the network on the CPU; 0 leaves them as they are", 0, 256)


@dataclass(frozen=True)
class LabelledScan:
    """The labels of one scan."""

    labels: Array
    """``(N,)`` uint8, 0 is unknown."""
    confidence: Array
    """``(N,)`` float32: share of the votes, 0 where unknown."""
    timings_ms: dict[str, float]
    """Milliseconds by stage: preprocess, inference, postprocess, total."""
    num_spheres: int
    """Spheres that the network saw for this scan."""
    num_voxels: int
    """Voxels in the map."""
    was_reset: bool
    """Whether time jumped back, so that the map started anew."""


@dataclass(frozen=True)
class MapSnapshot:
    """The voted map, for publishing or saving."""

    points: Array
    """``(V, 3)`` float32, metres, map frame."""
    labels: Array
    """``(V,)`` uint8."""
    confidence: Array
    """``(V,)`` float32."""
    intensity: Array
    """``(V,)`` float32, 0..1."""


class LiveSegmenter:
    """Labels scans as they come, by incremental sphere voting on a rolling map."""

    def __init__(
        self, model: Model, config: LiveSegmenterConfig, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Start with an empty map.

        Args:
            model: Network with its manifest, on its device.
            config: Budget and sizes.
            clock: Returns seconds; only differences count.
        """
        if config.num_threads > 0:
            torch.set_num_threads(config.num_threads)
        self.config = config
        self._clock = clock
        self._classifier = SphereClassifier(model, config.bf16, clock)
        self._voting = SphereVoting(voting_config(model, config), self._classifier.num_classes)
        self._postprocess_seconds = 0.0
        self.reset()

    def configure(self, config: LiveSegmenterConfig) -> None:
        """Take over changed budget, batch and sensor height; the map stays."""
        self.config = config

    def reset(self) -> None:
        """Forget the map."""
        self._empty_map(np.zeros(3))
        self._stamp: float | None = None
        self._evicted_at: Array | None = None

    def warm_up(self) -> None:
        """Run made-up scans, so that the first real one meets compiled code and a measured network; then reset."""
        generator = np.random.default_rng(0)
        points = generator.uniform(-1, 1, (20_000, 3)) * (1, 1, 0.05) * self._voting.config.sphere_radius
        for stamp in range(3):
            self.process(points.astype(np.float32), None, np.eye(4), float(stamp))
        self.reset()

    def process(self, points: Array, intensity: Array | None, T_map_sensor: Array | None, stamp: float) -> LabelledScan:  # noqa: N803
        """Label one scan.

        Args:
            points: ``(N, 3)`` float32, metres, sensor frame.
            intensity: ``(N,)`` as the sensor gives it, or None; it is divided by the model's intensity scale.
            T_map_sensor: ``(4, 4)`` pose of the sensor, or None: then the map is this scan alone.
            stamp: Seconds. A step back empties the map.

        Returns:
            A label and a confidence for every point, 0 for those that are not finite.

        Raises:
            PipelineError: If a shape is wrong.
            PoseError: If the pose is no rigid motion.
        """
        started = self._clock()
        points = check_points(points)
        scaled = self._classifier.scale_intensity(intensity, len(points))
        pose = np.eye(4) if T_map_sensor is None else check_pose(T_map_sensor)
        sensor = pose[:3, 3]
        was_reset = self._start_scan(sensor, stamp, is_alone=T_map_sensor is None)
        voxel_of_point = self._insert(points, scaled, pose, stamp)
        voxel_of_point = self._evict(voxel_of_point, sensor)

        inserted = self._clock()
        deadline = started + self.config.time_budget - self._postprocess_seconds
        num_spheres = self._vote(float(sensor[2]) - self.config.sensor_height, deadline)

        voted = self._clock()
        labels, confidence = self._voting.label_points(voxel_of_point)
        ended = self._clock()
        self._postprocess_seconds = ended - voted
        timings = {"preprocess": inserted - started, "inference": voted - inserted, "postprocess": ended - voted}
        timings["total"] = ended - started
        return LabelledScan(
            labels=labels,
            confidence=confidence,
            timings_ms={stage: seconds * 1e3 for stage, seconds in timings.items()},
            num_spheres=num_spheres,
            num_voxels=len(self._voting.voxels),
            was_reset=was_reset,
        )

    def map_snapshot(self) -> MapSnapshot:
        """Copy the voxels that have votes."""
        voxels = self._voting.voxels
        voted = np.flatnonzero(voxels.vote_weight > 0)
        labels, confidence = voxels.label(voted)
        points = voxels.points[voted].astype(np.float32)
        return MapSnapshot(points, labels[voted], confidence[voted], voxels.intensity[voted])

    def _start_scan(self, sensor: Array, stamp: float, is_alone: bool) -> bool:
        """Empty the map where the scan starts one; return whether that is because time jumped back."""
        jumped_back = self._stamp is not None and stamp < self._stamp - MAX_STEP_BACK
        if is_alone or self._stamp is None or jumped_back:
            self._empty_map(sensor)
            self._evicted_at = sensor
        self._stamp = None if is_alone else stamp
        return jumped_back

    def _empty_map(self, origin: Array) -> None:
        self._voting.reset(origin)
        self._classifier.restart()

    def _insert(self, points: Array, intensity: Array, pose: Array, stamp: float) -> Array:
        points_map = move_scan(points, pose, self.config.map_radius)  # (N, 3) float64; NaN gets no voxel
        return self._voting.insert(points_map, intensity, stamp, pose[:3, 3])

    def _evict(self, voxel_of_point: Array, sensor: Array) -> Array:
        """Evict after each tenth of the map radius, or above the cap; return the moved voxel_of_point."""
        moved = np.linalg.norm(sensor - self._evicted_at)
        if moved < 0.1 * self.config.map_radius and len(self._voting.voxels) <= self.config.max_voxels:
            return voxel_of_point
        self._evicted_at = sensor
        new_of_old = self._voting.evict(sensor, self.config.map_radius)
        return np.append(new_of_old, -1)[voxel_of_point]

    def _vote(self, ground_z: float, deadline: float) -> int:
        """Run spheres until the next would miss the deadline, the first cut to meet it; return how many."""
        num_spheres = 0
        while batch := self._pick_batch(deadline, is_first=num_spheres == 0):
            for picked, probabilities in zip(batch, self._classifier.classify(batch, ground_z), strict=True):
                self._voting.add_votes(picked, probabilities)
            num_spheres += len(batch)
        return num_spheres

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


def voting_config(model: Model, config: LiveSegmenterConfig) -> SphereVotingConfig:
    """Join what the model prescribes and what the user set."""
    return SphereVotingConfig(
        voxel_size=model.manifest.voxel_size,
        sphere_radius=model.manifest.sphere_radius,
        segment_range=config.segment_range,
        max_sphere_points=config.max_sphere_points,
        max_voxels=config.max_voxels,
        vote_memory=config.vote_memory,
        min_vote_weight=config.min_vote_weight,
        potential_memory=config.potential_memory,
        max_potential=config.max_potential,
    )


def check_points(points: Array) -> Array:
    """Return points ``(N, 3)`` as a writable array, float64 if they are, else float32; a copy only where needed.

    Raises:
        PipelineError: If the shape is another.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3:
        raise PipelineError(f"points: expected shape (N, 3), got {points.shape}")
    return np.require(points, np.float64 if points.dtype == np.float64 else np.float32, ["C", "W"])
