# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips: short runs of posed, labelled scans in one frame, from which training spheres are cut."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.prepared_clouds import PreparedCloud
from kpconv_ros.data.semantic_kitti import KITTI_CLASSES, KittiSequence
from kpconv_ros.data.simulator import SIM_CLASSES, Simulator, SimulatorConfig
from kpconv_ros.geometry.se3 import invert, transform_points

SCAN_PERIOD = 0.1  # s
KITTI_LIDAR = SimulatorConfig(
    rings=64, azimuth_steps=2048, elevation_low=-0.433, elevation_high=0.035, sensor_height=1.73, ego_speed=8.0
)
"""A simulated lidar like KITTI's: 64 rings from -24.8 to +2 degrees, 1.73 m above the ground."""
STRIDES = (1, 2, 4)  # scan periods between the scans of a simulated clip


class ClipError(ValueError):
    """Scans that cannot be trained on."""


class Clip(NamedTuple):
    """Scans in order of time."""

    points: tuple[NDArray[np.float32], ...]
    """``(N, 3)`` of each scan, metres, in a frame whose origin is the first sensor position, not turned."""
    intensities: tuple[NDArray[np.float32], ...]
    """``(N,)`` of each scan, 0..1."""
    labels: tuple[NDArray[np.uint8], ...]
    """``(N,)`` of each scan, 0 is unlabelled."""
    sensors: NDArray[np.float64]
    """Position of the sensor at each scan, ``(S, 3)``, metres, same frame."""
    ground_z: NDArray[np.float64]
    """Height of the ground under the sensor at each scan, ``(S,)``, metres, same frame."""
    colors: tuple[NDArray[np.uint8], ...] | None = None
    """Red, green, blue of each scan, ``(N, 3)``, or None where points have no colour."""


class LabelledScan(NamedTuple):
    """A posed scan with truth."""

    points: NDArray[np.float32]
    intensity: NDArray[np.float32]
    labels: NDArray[np.uint8]
    T_map_sensor: NDArray[np.float64]


def make_clip(scans: Sequence[LabelledScan], sensor_height: float) -> Clip:
    """Bring posed scans into one frame near the origin."""
    origin = scans[0].T_map_sensor[:3, 3]
    points = tuple((transform_points(scan.T_map_sensor, scan.points) - origin).astype(np.float32) for scan in scans)
    sensors = np.stack([scan.T_map_sensor[:3, 3] - origin for scan in scans])
    intensities = tuple(np.clip(scan.intensity, 0, 1).astype(np.float32) for scan in scans)
    labels = tuple(scan.labels for scan in scans)
    return Clip(points, intensities, labels, sensors, sensors[:, 2] - sensor_height)


def clip_around_first(scans: Sequence[LabelledScan], sensor_height: float) -> Clip:
    """Bring posed scans into the frame of the first one's sensor."""
    T_first_map = invert(scans[0].T_map_sensor)
    moved = [scan._replace(T_map_sensor=T_first_map @ scan.T_map_sensor) for scan in scans]
    return make_clip(moved, sensor_height)


def cloud_clip(cloud: PreparedCloud) -> Clip:
    """Return a static cloud as a clip of one scan, seen from the origin of its coordinates."""
    colors = None if cloud.colors is None else (cloud.colors,)
    ground_z = np.array([cloud.ground_z])
    return Clip((cloud.points,), (cloud.intensity,), (cloud.labels,), np.zeros((1, 3)), ground_z, colors)


def kitti_clips(root: Path, sequences: Sequence[str], sensor_height: float) -> Iterator[Clip]:
    """Yield each SemanticKITTI sequence as one clip.

    Raises:
        ClipError: If a sequence has no labels or poses.
    """
    for name in sequences:
        sequence = KittiSequence(root, name)
        scans = []
        for index in range(len(sequence)):
            scan = sequence.scan(index)
            if scan.labels is None or scan.T_map_sensor is None:
                raise ClipError(f"{root}, sequence {name}: expected labels and poses, got none")
            scans.append(LabelledScan(scan.points, scan.intensity, scan.labels, scan.T_map_sensor))
        yield make_clip(scans, sensor_height)


def simulated_clips(
    num_clips: int,
    num_scans: int,
    first_seed: int,
    lidar: SimulatorConfig,
    label_of_label: NDArray[np.uint8] | None = None,
) -> Iterator[Clip]:
    """Yield clips of as many streets: clip i is seed ``first_seed + i`` at a time and stride of its own.

    Args:
        num_clips: Clips, each of another street.
        num_scans: Scans of a clip.
        first_seed: Seed of the first street.
        lidar: The simulated lidar and vehicle.
        label_of_label: Label to use for each of the simulator's, ``(10,)``; the simulator's own if None.
    """
    for index in range(num_clips):
        seed = first_seed + index
        generator = np.random.default_rng(seed)
        stride = SCAN_PERIOD * STRIDES[index % len(STRIDES)]
        start = float(generator.uniform(0, 600))
        simulator = Simulator(lidar, seed=seed)
        scans = []
        for step in range(num_scans):
            scan = simulator.scan(start + stride * step)
            labels = scan.labels if label_of_label is None else label_of_label[scan.labels]
            scans.append(LabelledScan(scan.points, scan.intensity, labels, scan.T_map_sensor))
        yield make_clip(scans, lidar.sensor_height)


def kitti_label_of_simulated() -> NDArray[np.uint8]:
    """Return the SemanticKITTI label of each of the simulator's labels, ``(10,)``: the classes have the same names."""
    return np.array([KITTI_CLASSES.index(name) for name in SIM_CLASSES], np.uint8)
