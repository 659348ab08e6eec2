# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live segmenter with its map on a device against the one with its map on the CPU, from raw bytes to labels."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from device_maps import HAS_KERNELS, device

from kpconv_ros.checkpoint import Model
from kpconv_ros.data.pointcloud2 import Field, PackedCloud, pack_xyz, read_points
from kpconv_ros.pipelines.host_map import HostMap
from kpconv_ros.pipelines.live_segmenter import LiveSegmenter, LiveSegmenterConfig
from kpconv_ros.pipelines.sphere_classifier import PipelineError

pytestmark = pytest.mark.skipif(not HAS_KERNELS, reason="needs a CUDA device or TRITON_INTERPRET")
CONFIG = LiveSegmenterConfig(
    sensor_height=1.7, segment_range=8.0, map_radius=10.0, sphere_batch=1, max_potential=1.0, bf16=False
)
SECONDS_PER_POINT = 1e-4


class CostClock:
    """Time that goes on by what the network's points cost, and by nothing else."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def __call__(self) -> float:
        return sum(self.network.sphere_sizes) * SECONDS_PER_POINT


def pair_of(model: Model, config: LiveSegmenterConfig) -> tuple[LiveSegmenter, LiveSegmenter]:
    """Return a segmenter with its map on the CPU and one with its map on the device, networks of their own."""
    from kpconv_ros.pipelines.device_map import DeviceMap

    models = [dataclasses.replace(model, network=copy.deepcopy(model.network).to(device())) for _ in range(2)]
    host, ours = (LiveSegmenter(each, config, CostClock(each.network)) for each in models)
    assert isinstance(ours._map, DeviceMap)
    host._map = HostMap(models[0], config, host._classifier, host._clock)
    return host, ours


def drive(num_scans: int, num_points: int = 70) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Points with some that are no points, intensities, and poses of a sensor that goes 3 m a scan."""
    generator, scans = np.random.default_rng(0), []
    for step in range(num_scans):
        points = generator.uniform((-8, -4, -1.7), (8, 4, 2), (num_points, 3)).astype(np.float32)
        points[::3, 2] = -1.7
        points[5], points[7] = np.nan, (500, 0, 0)
        pose = np.eye(4)
        pose[:2, :2] = [[np.cos(0.2 * step), -np.sin(0.2 * step)], [np.sin(0.2 * step), np.cos(0.2 * step)]]
        pose[:3, 3] = (1000 + 3 * step, -50, 4)
        scans.append((points, generator.uniform(0, 1.5, num_points).astype(np.float32), pose))
    return scans


@pytest.mark.parametrize(
    ("changes", "num_scans"),
    [({"time_budget": 10.0}, 3), ({"time_budget": 0.006, "min_sphere_points": 20, "sphere_batch": 1}, 3)],
    ids=["time for all", "within a budget"],
)
def test_a_drive_has_the_same_labels(model: Model, changes: dict[str, Any], num_scans: int) -> None:
    host, ours = pair_of(model, dataclasses.replace(CONFIG, **changes))
    for step, (points, intensity, pose) in enumerate(drive(num_scans)):
        first, second = (each.process(points, intensity, pose, 0.1 * step) for each in (host, ours))
        assert first.num_spheres == second.num_spheres > 0 and first.num_voxels == second.num_voxels
        np.testing.assert_array_equal(second.labels, first.labels)
        np.testing.assert_allclose(second.confidence, first.confidence, atol=1e-4)
        assert (first.labels > 0).mean() > 0.5 and not second.labels[[5, 7]].any()
    theirs, snapshot = host.map_snapshot(), ours.map_snapshot()
    np.testing.assert_allclose(snapshot.points, theirs.points, atol=1e-4)
    np.testing.assert_array_equal(snapshot.labels, theirs.labels)
    np.testing.assert_allclose(snapshot.intensity, theirs.intensity, atol=1e-5)


def test_batched_spheres_are_those_one_by_one(model: Model) -> None:
    (points, intensity, pose), *_ = drive(1)
    config = dataclasses.replace(CONFIG, time_budget=10.0)
    one, many = (pair_of(model, dataclasses.replace(config, sphere_batch=batch))[1] for batch in (1, 5))
    first, second = (each.process(points, intensity, pose, 0.0) for each in (one, many))
    assert first.num_spheres == second.num_spheres > 5
    np.testing.assert_array_equal(second.labels, first.labels)


def test_the_cap_on_voxels_holds(model: Model) -> None:
    host, ours = pair_of(model, dataclasses.replace(CONFIG, time_budget=0.002, max_voxels=200))
    for step, (points, intensity, pose) in enumerate(drive(3)):
        pose = pose.copy()
        pose[:3, 3] = (0.3 * step, 0, 0)  # too little to evict because of the distance
        first, second = (each.process(points, intensity, pose, 0.1 * step) for each in (host, ours))
        assert first.num_voxels == second.num_voxels <= 200
        np.testing.assert_array_equal(second.labels, first.labels)


def packed(kind: str, points: np.ndarray, intensity: np.ndarray) -> PackedCloud:
    """Return a scan as the bytes of a message."""
    if kind == "plain":
        return pack_xyz(points, intensity=intensity)
    names = {"ring": "u2", "x": "f8", "y": "f8", "z": "f8", "Reflectivity": "u2", "t": "u4", "s": "i1"}
    dtype = np.dtype([(name, f">{code}") for name, code in names.items()])  # 33 bytes, nothing aligned
    rows = np.zeros(len(points), dtype)
    for column, axis in enumerate("xyz"):
        rows[axis] = points[:, column]
    rows["Reflectivity"] = intensity * 40_000
    codes = {"u2": 4, "f8": 8, "u4": 6, "i1": 1}
    fields = tuple(Field(name, dtype.fields[name][1], codes[code]) for name, code in names.items())  # type: ignore[index]
    return PackedCloud(1, len(points), fields, True, dtype.itemsize, rows.view(np.uint8))


def live_message(folder: Path, num_points: int) -> PackedCloud:
    """Return points of a live message, 26 bytes each, that lie around the sensor."""
    from rosbags.typesys import Stores, get_typestore

    path = folder / "pointcloud2" / "dds_message.bin"
    if not path.is_file():
        pytest.skip(f"needs a live message: no file {path}")
    message = get_typestore(Stores.LATEST).deserialize_cdr(path.read_bytes(), "sensor_msgs/msg/PointCloud2")
    near = np.flatnonzero(np.linalg.norm(read_points(message).xyz, axis=1) < 6)
    rows = message.data.reshape(-1, message.point_step)[near[:: len(near) // num_points][:num_points]]
    fields = tuple(Field(field.name, field.offset, field.datatype) for field in message.fields)
    return PackedCloud(1, num_points, fields, message.is_bigendian, message.point_step, rows.reshape(-1))


@pytest.fixture(params=["plain", "big-endian", pytest.param("live", marks=pytest.mark.data)])
def message(request: pytest.FixtureRequest) -> tuple[PackedCloud, float]:
    """The bytes of a message, and the intensity that counts as 1, 0 for the model's."""
    if request.param == "live":
        return live_message(request.getfixturevalue("data_dir"), 60), 255.0
    points, intensity, _ = drive(1, 60)[0]
    return packed(request.param, points, intensity), 65535.0 if request.param == "big-endian" else 0.0


def test_the_bytes_of_a_message_have_the_labels_of_its_points(model: Model, message: tuple[PackedCloud, float]) -> None:
    cloud, scale = message
    host, ours = pair_of(model, dataclasses.replace(CONFIG, time_budget=0.002))
    clouds, pose = [read_points(cloud) for _ in range(2)], drive(1)[0][2]
    first, second = (s.process_cloud(cloud, pose, 0.0, scale) for s, cloud in zip((host, ours), clouds, strict=True))
    np.testing.assert_array_equal(second.labels, first.labels)
    assert first.labels.any() and "xyz" not in vars(clouds[1]) and "intensity" not in vars(clouds[1])
    np.testing.assert_allclose(ours.map_snapshot().intensity, host.map_snapshot().intensity, atol=1e-6)
    assert np.ptp(host.map_snapshot().intensity) > 0


def test_a_scan_without_points_is_answered(model: Model) -> None:
    ours = pair_of(model, CONFIG)[1]
    for points in (np.zeros((0, 3), np.float32), np.full((4, 3), np.nan)):
        scan = ours.process(points, None, None, 0.0)
        assert scan.labels.tolist() == [0] * len(points) and scan.num_spheres == 0
    assert len(ours.map_snapshot().points) == 0
    empty = read_points(PackedCloud(1, 0, (), False, 0, np.zeros(0, np.uint8)))
    assert len(ours.process_cloud(empty, None, 1.0).labels) == 0
    with pytest.raises(PipelineError, match=r"intensity: expected shape \(3,\), got \(2,\)"):
        ours.process(np.zeros((3, 3)), np.zeros(2), None, 2.0)


def test_time_jumping_back_empties_the_map(model: Model) -> None:
    ours = pair_of(model, dataclasses.replace(CONFIG, time_budget=0.0))[1]
    (points, intensity, pose), *_ = drive(1, 40)
    ours.process(points, intensity, pose, 10.0)
    moved = pose.copy()
    moved[0, 3] += 1.0
    size = ours.process(points, intensity, moved, 10.1).num_voxels
    again = ours.process(points, intensity, moved, 2.0)
    assert again.was_reset and again.num_voxels < 0.7 * size


def test_points_are_moved_as_on_the_cpu() -> None:
    from kpconv_ros.kernels.posed_scan import move_scan as on_cpu
    from kpconv_ros.pipelines.device_map import move_scan

    points, _, pose = drive(2)[1]
    moved = move_scan(torch.from_numpy(points).to(device()), torch.from_numpy(pose).to(device()), 10.0)
    np.testing.assert_array_equal(moved.cpu().numpy(), on_cpu(points, pose, 10.0))
