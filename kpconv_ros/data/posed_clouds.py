# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a voting test labels, one cloud after the other: whole static clouds, or scans amid those before them."""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.datasets import Dataset
from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.prepared_clouds import ground_height
from kpconv_ros.data.semantic_kitti import KittiError, KittiSequence
from kpconv_ros.geometry.se3 import transform_points

KITTI_SPLITS = {
    "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
    "val": ("08",),
    "test": tuple(f"{number:02d}" for number in range(11, 22)),
}
"""Sequences of each split, as in the authors' ``semantic-kitti.yaml``."""


class View(NamedTuple):
    """Points seen from one place."""

    points: NDArray[np.floating]
    """``(N, 3)``, metres, z up, in the frame of the cloud."""
    intensity: NDArray[np.float32] | None
    """``(N,)``, 0..1, or None where the dataset has none."""
    sensor: NDArray[np.float64]
    """Where it was seen from, ``(3,)``, metres, same frame; for a static cloud the origin of its coordinates."""
    colors: NDArray[np.float32] | None = None
    """Red, green and blue, ``(N, 3)``, 0..1, or None where the dataset has none."""


class PosedCloud(NamedTuple):
    """A cloud to label, with what else is known of the place."""

    name: str
    """``SEQUENCE/SCAN`` for SemanticKITTI, else the name that the dataset lists."""
    views: tuple[View, ...]
    """The last one is to be labelled, the others lie around it."""
    labels: NDArray[np.integer] | None
    """Truth of the last view, ``(N,)``, 0 is unlabelled; None in a hidden test set."""
    ground_z: float
    """Height of the ground, metres, same frame."""


def static_clouds(dataset: Dataset, root: Path, names: Sequence[str]) -> Iterator[PosedCloud]:
    """Yield clouds of a dataset, each a single view.

    The ground of a cloud is the 5th percentile of its heights.

    Raises:
        DatasetError: If one cannot be read, or has no points.
    """
    for name in names:
        cloud = dataset.read(root, name)
        if not len(cloud.points):
            raise DatasetError(f"{root}, {name}: got no points, expected some")
        view = View(cloud.points, cloud.intensity, -np.array(cloud.origin), cloud.colors)
        yield PosedCloud(name, (view,), cloud.labels, ground_height(cloud.points))


def kitti_clouds(
    root: Path, sequences: Sequence[str], past_frames: int, sensor_height: float = 1.73
) -> Iterator[PosedCloud]:
    """Yield each scan of SemanticKITTI sequences together with up to ``past_frames`` scans before it.

    All stand in the map frame of the sequence, so that points of standing things fall on each other.

    Raises:
        KittiError: If there are no poses and ``past_frames`` is above 0, or a file is damaged.
    """
    for name in sequences:
        sequence = KittiSequence(root, name)
        if sequence.poses is None and past_frames > 0:
            raise KittiError(f"{root}, sequence {name}: expected poses.txt to join {past_frames} past scans, got none")
        views: deque[View] = deque(maxlen=past_frames + 1)
        for index in range(len(sequence)):
            scan = sequence.scan(index)
            pose = np.eye(4) if scan.T_map_sensor is None else scan.T_map_sensor
            views.append(View(transform_points(pose, scan.points), scan.intensity, pose[:3, 3]))
            stem = sequence.files[index].stem
            yield PosedCloud(f"{name}/{stem}", tuple(views), scan.labels, float(pose[2, 3]) - sensor_height)


def kitti_names(root: Path, sequences: Sequence[str]) -> list[str]:
    """Return the names ``SEQUENCE/SCAN`` of the scans that :func:`kitti_clouds` yields.

    Raises:
        KittiError: If a sequence is missing.
    """
    return [f"{name}/{path.stem}" for name in sequences for path in KittiSequence(root, name).files]
