# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a scan to labels on a GPU, by the pipeline that the segment node runs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.pointcloud2 import Field, PackedCloud, read_points
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.pipelines.live_segmenter import LabelledScan, LiveSegmenter, LiveSegmenterConfig

RANGE = 50.0  # metres around the sensor in which every place is tested
TESTS = 0.5  # Tukey's weight that every place there reaches
BATCH = 16  # spheres in one call of the network
LONG = 60.0  # seconds; no time budget ends the scan


def make_street(rings: int, columns: int) -> NDArray[np.float32]:
    """Return one turn of a made-up spinning lidar in a street of boxes, ``(N, 4)``: x, y, z in metres and intensity."""
    generator = np.random.default_rng(0)
    elevation = np.radians(np.linspace(-24.8, 2.0, rings))[:, None]
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)[None]
    flat = np.cos(elevation)
    axes = np.broadcast_arrays(flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation))
    rays = np.stack(axes, -1).reshape(-1, 3)
    rays = np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    ranges = np.where(rays[:, 2] < 0, -1.73 / rays[:, 2], 80.0)
    for _ in range(60):
        middle = generator.uniform((-60, 4, -1.73), (60, 25, 0.5)) * (1, generator.choice([-1, 1]), 1)
        half = generator.uniform((0.5, 0.5, 0.8), (6, 4, 5))
        near, far = np.sort([(middle - half) / rays, (middle + half) / rays], axis=0)
        entry = near.max(1)
        ranges = np.where((entry > 0) & (entry < far.min(1)), np.minimum(ranges, entry), ranges)
    ranges += generator.normal(0, 0.01, len(ranges))
    hit = (ranges > 2) & (ranges < 80)
    points = rays[hit] * ranges[hit, None]
    return np.column_stack([points, generator.uniform(0, 1, hit.sum())]).astype(np.float32)


def load_scan(path: Path | None) -> NDArray[np.float32]:
    """Return a scan ``(N, 4)``: float32 rows of a .bin file, or a made-up one."""
    return make_street(64, 2048) if path is None else np.fromfile(path, np.float32).reshape(-1, 4)


def message_of(scan: NDArray[np.float32]) -> PackedCloud:
    """Return the PointCloud2 of a scan ``(N, 4)``, without its header."""
    fields = tuple(Field(name, 4 * i, 7) for i, name in enumerate(("x", "y", "z", "intensity")))
    return PackedCloud(1, len(scan), fields, False, 16, np.ascontiguousarray(scan).view(np.uint8).reshape(-1))


def make_segmenter(network: KPFCNN, radius: float) -> LiveSegmenter:
    """Make the pipeline of a network with two features, one and height, for spheres of ``radius`` metres."""
    # What the pipeline reads of a model; the class itself needs PyYAML and safetensors.
    classes = ("unlabeled", *(str(i) for i in range(network.config.num_classes)))
    manifest = SimpleNamespace(
        name="random", classes=classes, features=("one", "height"), intensity_scale=1.0,
        voxel_size=network.config.voxel_size, sphere_radius=radius,
    )  # fmt: skip
    config = LiveSegmenterConfig(time_budget=LONG, segment_range=RANGE, sphere_batch=BATCH, max_potential=TESTS)
    model: Any = SimpleNamespace(manifest=manifest, network=network)
    return LiveSegmenter(model, config)


def label_message(segmenter: LiveSegmenter, message: PackedCloud) -> LabelledScan:
    """Label a message on its own: every call begins with an empty map and has the same spheres to run."""
    return segmenter.process_cloud(read_points(message), None, 0.0)
