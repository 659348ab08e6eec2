# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Offline segmentation of a whole cloud by the paper's voting: ``Segmenter.from_pretrained(name).segment(points)``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.checkpoint import Model, load_model
from kpconv_ros.data.clouds import read_cloud
from kpconv_ros.mapping.sphere_voting import PickedSphere, SphereVoting, SphereVotingConfig
from kpconv_ros.pipelines.live_segmenter import check_points
from kpconv_ros.pipelines.sphere_classifier import PipelineError, SphereClassifier

Array = NDArray[Any]
SENSOR_HEIGHT = 1.73
GROUND_DISTANCE = 10.0
GROUND_PERCENTILE = 5.0


@dataclass(frozen=True)
class SegmenterConfig:
    """How a whole cloud is cut into spheres."""

    max_sphere_points: int = 30_000
    """Most voxels of a sphere; a fuller one keeps those nearest to its centre."""
    min_vote_weight: float = 0.05
    """Weight of a vote at the border of its sphere; at the centre it is 1."""
    sphere_batch: int = 4
    """Spheres in one call of the network."""
    sensor_height: float = SENSOR_HEIGHT
    """Height of the sensor above the ground, metres; it counts where the sensor's place is given."""


@dataclass(frozen=True)
class Segmentation:
    """The labels of a cloud."""

    labels: Array
    """``(N,)`` uint8; 0 for points that are not finite."""
    confidence: Array
    """``(N,)`` float32, share of the votes."""
    classes: tuple[str, ...]
    """Name of each label."""
    colors: tuple[tuple[int, int, int], ...]
    """Colour of each label, 0..255."""
    num_spheres: int
    """Spheres that the network saw."""


class Segmenter:
    """Labels whole clouds, with its own network on its own device."""

    def __init__(self, model: Model, config: SegmenterConfig | None = None) -> None:
        """Take a loaded model."""
        self.config = config or SegmenterConfig()
        self._classifier = SphereClassifier(model)

    @classmethod
    def from_pretrained(cls, name: str = "street_sim", device: str = "auto") -> Segmenter:
        """Load a model that is shipped, or one from a folder.

        Args:
            name: Name of a model, or path of its folder.
            device: "auto" is CUDA where there is one; else a torch device.

        Raises:
            CheckpointError: If it cannot be loaded.
        """
        return cls(load_model(name, device))

    def segment(
        self, points: Array, intensity: Array | None = None, num_votes: float = 2.0, sensor_origin: Array | None = None
    ) -> Segmentation:
        """Label every point, testing each place ``num_votes`` times and averaging.

        Args:
            points: ``(N, 3)`` metres, z up.
            intensity: ``(N,)`` as the sensor gives it, or None; it is divided by the model's intensity scale.
            num_votes: Potential that every place reaches: the sum of Tukey's weights of the spheres over it.
            sensor_origin: ``(3,)`` where the sensor stood, metres, in the frame of the points. Without it, that
                is above (0, 0), and the ground is taken from the lowest points near there.

        Raises:
            PipelineError: If a shape is wrong or ``num_votes`` is not above 0.
        """
        points = check_points(points)
        scaled = self._classifier.scale_intensity(intensity, len(points))
        if not num_votes > 0:
            raise PipelineError(f"num_votes: expected a number above 0, got {num_votes}")
        finite = points[np.isfinite(points).all(axis=1)]
        middle = finite.mean(axis=0, dtype=np.float64) if len(finite) else np.zeros(3)
        sensor_height = self.config.sensor_height
        sensor = np.array([0, 0, find_ground(finite) + sensor_height]) if sensor_origin is None else sensor_origin
        voting = SphereVoting(self._voting_config(num_votes, len(points)), self._classifier.num_classes)
        voting.reset(middle)
        voxel_of_point = voting.insert(points, scaled, 0.0, sensor)
        num_spheres = self._vote(voting, float(sensor[2]) - sensor_height)
        labels, confidence = voting.label_points(voxel_of_point)
        manifest = self._classifier.manifest
        return Segmentation(labels, confidence, manifest.classes, manifest.colors, num_spheres)

    def segment_file(self, path: str | Path, num_votes: float = 2.0) -> Segmentation:
        """Label every point of a .bin, .pcd, .ply, .las, .laz or .npy file; see :meth:`segment`."""
        cloud = read_cloud(path)
        return self.segment(cloud.points, cloud.intensity, num_votes)

    def _voting_config(self, num_votes: float, num_points: int) -> SphereVotingConfig:
        manifest = self._classifier.manifest
        return SphereVotingConfig(
            voxel_size=manifest.voxel_size,
            sphere_radius=manifest.sphere_radius,
            segment_range=math.inf,
            max_sphere_points=self.config.max_sphere_points,
            max_voxels=num_points,
            vote_memory=math.inf,
            min_vote_weight=self.config.min_vote_weight,
            potential_memory=math.inf,
            max_potential=num_votes,
        )

    def _vote(self, voting: SphereVoting, ground_z: float) -> int:
        """Run spheres until every place reached its potential; return how many."""
        num_spheres = 0
        while batch := self._pick_batch(voting):
            for picked, probabilities in zip(batch, self._classifier.classify(batch, ground_z), strict=True):
                voting.add_votes(picked, probabilities)
            num_spheres += len(batch)
        return num_spheres

    def _pick_batch(self, voting: SphereVoting) -> list[PickedSphere]:
        batch: list[PickedSphere] = []
        while len(batch) < self.config.sphere_batch and (picked := voting.propose_sphere()):
            voting.accept(picked)
            batch.append(picked)
        return batch


def find_ground(points: Array) -> float:
    """Guess the height of the ground from the lowest points of a cloud ``(N, 3)`` near (0, 0), metres."""
    near = points[np.hypot(points[:, 0], points[:, 1]) < GROUND_DISTANCE]
    heights = (near if len(near) else points)[:, 2]
    return float(np.percentile(heights, GROUND_PERCENTILE)) if len(heights) else 0.0
