# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live segmenter's map on a GPU: bytes of a scan go up once, labels come down once, all between stays there.

Beside them the CPU learns how many voxels the spheres of a round have, which it needs to choose a CUDA graph and to
look at its clock, and how many voxels the map has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.data.pointcloud2 import CloudFields
from kpconv_ros.kernels.point_fields import read_field
from kpconv_ros.mapping.device_sphere_voting import DeviceSphereVoting
from kpconv_ros.pipelines.scan_map import EVICTION_STEP, LiveSegmenterConfig, MapSnapshot, voting_config
from kpconv_ros.pipelines.sphere_classifier import PipelineError, SphereClassifier

if TYPE_CHECKING:
    from kpconv_ros.checkpoint import Model  # it needs PyYAML and safetensors

Array = NDArray[Any]
ALIGNMENT = 16  # bytes at which each part of an upload begins


class DeviceMap:
    """A :class:`.ScanMap` on the device of the network."""

    def __init__(
        self, model: Model, config: LiveSegmenterConfig, classifier: SphereClassifier, clock: Callable[[], float]
    ) -> None:
        """Start with an empty map."""
        self.config, self.device = config, classifier.device
        self._classifier, self._clock = classifier, clock
        self._voting = DeviceSphereVoting(voting_config(model, config), classifier.num_classes, self.device)
        self._staging = torch.empty(0, dtype=torch.uint8)
        self.reset(np.zeros(3))

    @property
    def num_voxels(self) -> int:
        """Voxels in the map after the last :meth:`label`."""
        return self._voting.voxels.bound

    def reset(self, origin: Array) -> None:
        """Forget everything; see :class:`.ScanMap` for this and all other methods."""
        self._voting.reset(torch.as_tensor(origin, dtype=torch.float64).to(self.device))
        self._evicted_at = self._sensor = origin
        self._voxel_of_point = torch.zeros(0, dtype=torch.int64, device=self.device)
        self._was_full = torch.zeros((), dtype=torch.bool, device=self.device)

    def insert(self, points: Array, intensity: Array | None, pose: Array, stamp: float) -> None:
        """Add a scan."""
        raw = np.zeros(0, np.float32) if intensity is None else np.asarray(intensity, np.float32)
        if intensity is not None and raw.shape != (len(points),):
            raise PipelineError(f"intensity: expected shape ({len(points)},), got {raw.shape}")
        moved, up, strength = self._upload(pose, points, raw)
        dtype = torch.float64 if points.dtype == np.float64 else torch.float32
        scaled = None if intensity is None else self._scale(strength.view(torch.float32), 0.0)
        self._insert(up.view(dtype).view(-1, 3), scaled, moved, pose, stamp)

    def insert_cloud(self, cloud: CloudFields, intensity_scale: float, pose: Array, stamp: float) -> None:
        """Add a message."""
        dtype, num_points = cloud.points.dtype, len(cloud.points)
        data = cloud.points.view(np.uint8) if num_points else np.zeros(0, np.uint8)
        moved, up = self._upload(pose, data)
        rows = up.view(num_points, max(dtype.itemsize, 1))

        def read(name: str) -> Tensor:
            assert dtype.fields is not None
            kind, offset = dtype.fields[name][:2]
            return read_field(rows, kind, offset)

        empty = torch.zeros(0, 3, device=self.device)
        points = torch.stack([read(axis) for axis in "xyz"], dim=1) if num_points else empty
        name = cloud.intensity_name
        scaled = None if name is None or not num_points else self._scale(read(name), intensity_scale)
        self._insert(points, scaled, moved, pose, stamp)

    def vote(self, ground_z: float, deadline: float) -> int:
        """Run spheres."""
        config, num_spheres = self.config, 0
        while True:
            affordable = self._classifier.affordable_points(deadline - self._clock())
            first_cap = None if num_spheres else int(max(affordable, config.min_sphere_points))
            if num_spheres and affordable < 1:
                return num_spheres
            batch = self._voting.pick(config.sphere_batch, affordable, first_cap)
            if batch is None:
                return num_spheres
            self._voting.add_votes(batch, self._classifier.classify_batch(batch, ground_z))
            num_spheres += len(batch.sizes)

    def label(self) -> tuple[Array, Array]:
        """Label the last scan; all that comes down comes in one copy."""
        labels, confidence = self._voting.label_points(self._voxel_of_point)
        voxels, cells = self._voting.voxels, self._voting.cells
        facts = torch.stack([voxels.count, cells.count, self._was_full.long()])
        down = torch.cat([facts.view(torch.uint8), confidence.view(torch.uint8), labels]).cpu().numpy()
        size = facts.numel() * facts.element_size()
        voxels.bound, cells.bound, was_full = down[:size].view(np.int64).tolist()
        if was_full:
            self._evicted_at = self._sensor
        end = size + 4 * len(labels)
        return down[end:].copy(), down[size:end].view(np.float32).copy()

    def snapshot(self) -> MapSnapshot:
        """Copy the voted voxels."""
        voxels = self._voting.voxels
        voted = (voxels.column("vote_weight") > 0).nonzero()[:, 0]
        labels, confidence = voxels.label(voted)
        points, intensity = (voxels.column(name)[voted].float() for name in ("points", "intensity"))
        return MapSnapshot(*(values.cpu().numpy() for values in (points, labels, confidence, intensity)))

    def _upload(self, *parts: Array) -> list[Tensor]:
        """Bring arrays to the device in one copy, as bytes."""
        sizes = [-(-part.nbytes // ALIGNMENT) * ALIGNMENT for part in parts]
        if len(self._staging) < sum(sizes):
            self._staging = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        staged, at = self._staging.numpy(), 0
        for part, size in zip(parts, sizes, strict=True):
            staged[at : at + part.nbytes] = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
            at += size
        # A copy on the CPU too, where the staging is the same memory.
        up = self._staging[: sum(sizes)].to(self.device, non_blocking=True, copy=True)
        return [whole[: part.nbytes] for whole, part in zip(up.split(sizes), parts, strict=True)]

    def _scale(self, raw: Tensor, scale: float) -> Tensor:
        """Bring raw intensities to 0..1, see :meth:`.SphereClassifier.scale_intensity`."""
        own = self._classifier.manifest.intensity_scale
        raw = raw * float(np.float32(own / scale)) if scale else raw
        return (raw / float(np.float32(own))).nan_to_num(nan=0.0, posinf=1.0, neginf=0.0).clamp(0.0, 1.0)

    def _insert(self, points: Tensor, intensity: Tensor | None, moved: Tensor, pose: Array, stamp: float) -> None:
        transform = moved.view(torch.float64).view(4, 4)
        points_map = move_scan(points, transform, self.config.map_radius)
        sensor, self._sensor = transform[:3, 3].contiguous(), pose[:3, 3]
        voxel_of_point = self._voting.insert(points_map, intensity, stamp, sensor)
        self._voxel_of_point = self._evict(voxel_of_point, sensor)

    def _evict(self, voxel_of_point: Tensor, sensor: Tensor) -> Tensor:
        """Evict as the map on the CPU does; whether the cap was met is known on the device alone, until `label`."""
        far = float(np.linalg.norm(self._sensor - self._evicted_at)) >= EVICTION_STEP * self.config.map_radius
        voxels = self._voting.voxels
        self._was_full = voxels.count > self.config.max_voxels
        if far:
            self._evicted_at = self._sensor
        elif voxels.bound <= self.config.max_voxels:
            return voxel_of_point
        return self._voting.evict(sensor, self.config.map_radius, None if far else self._was_full)[voxel_of_point]


def move_scan(points: Tensor, transform: Tensor, max_range: float) -> Tensor:
    """Do as ``kernels.posed_scan.move_scan``, term by term, so that no point changes its voxel by rounding."""
    x, y, z = (axis[:, None] for axis in points.double().unbind(1))
    columns = transform[:3].unbind(1)
    moved = columns[0] * x + columns[1] * y + columns[2] * z + columns[3]
    is_near = x * x + y * y + z * z <= max_range * max_range
    return torch.where(is_near, moved, torch.nan)
