# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a live segmenter asks of its map, which is on the CPU (:mod:`.host_map`) or on a GPU (:mod:`.device_map`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.config_io import param
from kpconv_ros.data.pointcloud2 import CloudFields
from kpconv_ros.mapping.voting_config import SphereVotingConfig
from kpconv_ros.pipelines.sphere_classifier import PipelineError

if TYPE_CHECKING:
    from kpconv_ros.checkpoint import Model  # it needs PyYAML and safetensors

Array = NDArray[Any]
EVICTION_STEP = 0.1
"""Map radii that the sensor moves between two evictions."""


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


class ScanMap(Protocol):
    """A voted map of scans together with its network."""

    config: LiveSegmenterConfig
    """As it is now; what is live in it may change."""

    @property
    def num_voxels(self) -> int:
        """Voxels in the map after the last :meth:`label`."""

    def reset(self, origin: Array) -> None:
        """Forget everything; data will lie around ``origin`` (3,), metres, map frame."""

    def insert(self, points: Array, intensity: Array | None, pose: Array, stamp: float) -> None:
        """Add a scan, and evict what is far or too much.

        Args:
            points: ``(N, 3)`` float32 or float64, metres, sensor frame.
            intensity: ``(N,)`` as the sensor gives it, or None.
            pose: ``(4, 4)`` float64, map from sensor.
            stamp: Seconds.
        """

    def insert_cloud(self, cloud: CloudFields, intensity_scale: float, pose: Array, stamp: float) -> None:
        """Do as :meth:`insert` with the points of a message; see :meth:`.LiveSegmenter.process_cloud`."""

    def vote(self, ground_z: float, deadline: float) -> int:
        """Run spheres until the next would miss the deadline, the first cut to meet it; return how many."""

    def label(self) -> tuple[Array, Array]:
        """Return labels ``(N,)`` uint8 and confidences ``(N,)`` float32 of the last scan's points."""

    def snapshot(self) -> MapSnapshot:
        """Copy the voxels that have votes."""


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
