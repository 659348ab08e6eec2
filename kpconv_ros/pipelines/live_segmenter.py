# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live segmentation: one posed scan in, a label for each of its points out, within a time budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.data.pointcloud2 import CloudFields
from kpconv_ros.geometry.se3 import check_pose
from kpconv_ros.kernels.choice import takes_triton
from kpconv_ros.pipelines.scan_map import LiveSegmenterConfig as LiveSegmenterConfig
from kpconv_ros.pipelines.scan_map import MapSnapshot as MapSnapshot
from kpconv_ros.pipelines.scan_map import ScanMap
from kpconv_ros.pipelines.scan_map import check_points as check_points
from kpconv_ros.pipelines.sphere_classifier import PipelineError, SphereClassifier

if TYPE_CHECKING:
    from kpconv_ros.checkpoint import Model  # it needs PyYAML and safetensors

Array = NDArray[Any]
MAX_STEP_BACK = 1e-3
"""A stamp may lie this much before the last one, seconds; beyond it time jumped back."""


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
        self._map = make_map(model, config, self._classifier, clock)
        self._postprocess_seconds = 0.0
        self.reset()

    def configure(self, config: LiveSegmenterConfig) -> None:
        """Take over changed budget, batch and sensor height; the map stays."""
        self.config = self._map.config = config

    def reset(self) -> None:
        """Forget the map."""
        self._empty_map(np.zeros(3))
        self._stamp: float | None = None

    def warm_up(self) -> None:
        """Run made-up scans, so that the first real one meets compiled code and a measured network; then reset."""
        generator = np.random.default_rng(0)
        points = generator.uniform(-1, 1, (20_000, 3)) * (1, 1, 0.05) * self._classifier.manifest.sphere_radius
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
        if intensity is not None and np.shape(intensity) != (len(points),):
            raise PipelineError(f"intensity: expected shape ({len(points)},), got {np.shape(intensity)}")
        return self._label(started, T_map_sensor, stamp, lambda pose: self._map.insert(points, intensity, pose, stamp))

    def process_cloud(
        self,
        cloud: CloudFields,
        T_map_sensor: Array | None,  # noqa: N803
        stamp: float,
        intensity_scale: float = 0.0,
    ) -> LabelledScan:
        """Do as :meth:`process` with a message as it came; on a GPU its bytes are read there.

        Args:
            cloud: The message.
            T_map_sensor: As of :meth:`process`.
            stamp: As of :meth:`process`.
            intensity_scale: Raw intensity that counts as 1; 0 for the model's.
        """

        def insert(pose: Array) -> None:
            self._map.insert_cloud(cloud, intensity_scale, pose, stamp)

        return self._label(self._clock(), T_map_sensor, stamp, insert)

    def map_snapshot(self) -> MapSnapshot:
        """Copy the voxels that have votes."""
        return self._map.snapshot()

    def _label(
        self,
        started: float,
        T_map_sensor: Array | None,  # noqa: N803
        stamp: float,
        insert: Callable[[Array], None],
    ) -> LabelledScan:
        pose = np.eye(4) if T_map_sensor is None else check_pose(T_map_sensor)
        sensor = pose[:3, 3]
        was_reset = self._start_scan(sensor, stamp, is_alone=T_map_sensor is None)
        insert(pose)

        inserted = self._clock()
        deadline = started + self.config.time_budget - self._postprocess_seconds
        num_spheres = self._map.vote(float(sensor[2]) - self.config.sensor_height, deadline)

        voted = self._clock()
        labels, confidence = self._map.label()
        ended = self._clock()
        self._postprocess_seconds = ended - voted
        timings = {"preprocess": inserted - started, "inference": voted - inserted, "postprocess": ended - voted}
        timings["total"] = ended - started
        return LabelledScan(
            labels=labels,
            confidence=confidence,
            timings_ms={stage: seconds * 1e3 for stage, seconds in timings.items()},
            num_spheres=num_spheres,
            num_voxels=self._map.num_voxels,
            was_reset=was_reset,
        )

    def _start_scan(self, sensor: Array, stamp: float, is_alone: bool) -> bool:
        """Empty the map where the scan starts one; return whether that is because time jumped back."""
        jumped_back = self._stamp is not None and stamp < self._stamp - MAX_STEP_BACK
        if is_alone or self._stamp is None or jumped_back:
            self._empty_map(sensor)
        self._stamp = None if is_alone else stamp
        return jumped_back

    def _empty_map(self, origin: Array) -> None:
        self._map.reset(origin)
        self._classifier.restart()


def make_map(
    model: Model, config: LiveSegmenterConfig, classifier: SphereClassifier, clock: Callable[[], float]
) -> ScanMap:
    """Choose where the map is: on the network's device if the kernels of ``kernels.gpu`` run there."""
    if takes_triton(torch.empty(0, device=classifier.device)):
        from kpconv_ros.pipelines.device_map import DeviceMap  # it needs Triton

        return DeviceMap(model, config, classifier, clock)
    from kpconv_ros.pipelines.host_map import HostMap  # it needs Numba and SciPy

    return HostMap(model, config, classifier, clock)
