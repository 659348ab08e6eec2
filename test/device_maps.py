# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The maps on a device behind the arrays of those on the CPU, so that the same tests hold for both.

They run where Triton's kernels do: on a CUDA device, or in Triton's interpreter.
"""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kpconv_ros.kernels.choice import is_interpreting
from kpconv_ros.mapping.sphere import PickedSphere, Sphere
from kpconv_ros.mapping.sphere_voting import SphereVoting, SphereVotingConfig
from kpconv_ros.mapping.voxel_map import VoxelMap, VoxelMapConfig

Array = NDArray[Any]
HAS_KERNELS = is_interpreting() or torch.cuda.is_available()
KINDS = [
    "cpu",
    pytest.param("device", marks=pytest.mark.skipif(not HAS_KERNELS, reason="needs a CUDA device or TRITON_INTERPRET")),
]


def device() -> torch.device:
    """Return where the kernels run."""
    return torch.device("cpu" if is_interpreting() else "cuda")


def tensor_of(values: Array | None, dtype: torch.dtype | None = None) -> torch.Tensor | None:
    """Return an array on the device."""
    return None if values is None else torch.from_numpy(np.ascontiguousarray(values)).to(device(), dtype)


class ArrayMap:
    """A map on the device that takes and gives arrays, as :class:`VoxelMap` does."""

    def __init__(self, voxels: Any) -> None:
        self.voxels, self.num_classes = voxels, voxels.num_classes

    def __len__(self) -> int:
        return len(self.voxels)

    def __getattr__(self, name: str) -> Array:
        values: Array = self.voxels.column(name).cpu().numpy()
        return values

    @property
    def seen(self) -> Array:
        seen: Array = self.voxels.seen[self.voxels.seen >= 0].cpu().numpy()
        return seen

    def reset(self, origin: Array | None = None) -> None:
        self.voxels.reset(tensor_of(origin, torch.float64))

    def insert(self, points: Array, intensity: Array | None, stamp: float, sensor: Array | None = None) -> Array:
        rows = self.voxels.insert(tensor_of(points), tensor_of(intensity), stamp, tensor_of(sensor))
        return rows.cpu().numpy()

    def find(self, points: Array) -> Array:
        return self.voxels.find(tensor_of(points)).cpu().numpy()

    def gather(self, center: Array, radius: float, max_points: int = 0) -> Sphere:
        chosen, _ = self.voxels.choose_ball(tensor_of(center), radius**2, max_points)
        rows = chosen.nonzero()[:, 0].cpu().numpy()
        points = (self.points[rows] - center).astype(np.float32)
        return Sphere(points, self.intensity[rows], self.ranges[rows], rows)

    def add_votes(self, rows: Array, weights: Array, probabilities: Array, memory: float) -> None:
        self.voxels.add_votes(tensor_of(rows), tensor_of(weights), tensor_of(probabilities), memory)

    def find_voted_near(self, rows: Array, reach: int) -> Array:
        return self.voxels.find_voted_near(tensor_of(rows), reach).cpu().numpy()

    def label(self, rows: Array | None = None) -> tuple[Array, Array]:
        asked = np.arange(len(self)) if rows is None else rows
        labels, confidence = np.zeros(len(self) + 1, np.uint8), np.zeros(len(self) + 1, np.float32)
        labels[asked], confidence[asked] = (t.cpu().numpy() for t in self.voxels.label(tensor_of(asked)))
        return labels, confidence

    def evict(self, center: Array, radius: float) -> Array:
        num = len(self)
        return self.voxels.evict(tensor_of(center), radius)[:num].cpu().numpy()


class ArrayVoting:
    """Voting on the device that takes and gives arrays, one sphere at a time."""

    def __init__(self, voting: Any) -> None:
        self.voting, self.config = voting, voting.config
        self.voxels, self.cells = ArrayMap(voting.voxels), ArrayMap(voting.cells)

    def reset(self, origin: Array) -> None:
        self.voting.reset(tensor_of(origin, torch.float64))

    def insert(self, points: Array, intensity: Array | None, stamp: float, sensor: Array) -> Array:
        return self.voting.insert(tensor_of(points), tensor_of(intensity), stamp, tensor_of(sensor)).cpu().numpy()

    def evict(self, center: Array, radius: float) -> Array:
        num = len(self.voxels)
        return self.voting.evict(tensor_of(center), radius)[:num].cpu().numpy()

    def pick(self) -> PickedSphere | None:
        batch = self.voting.pick(1, np.inf)
        if batch is None:
            return None
        arrays = (batch.points, batch.intensity, batch.ranges, batch.rows, batch.centers[0])
        points, intensity, ranges, rows, center = (t.cpu().numpy() for t in arrays)
        return PickedSphere(Sphere(points, intensity, ranges, rows), center, float(batch.reaches[0]))

    def add_votes(self, picked: PickedSphere, probabilities: Array) -> None:
        from kpconv_ros.mapping.device_sphere_voting import SphereBatch

        sphere, num = picked.sphere, len(picked.sphere.voxels)
        arrays = (sphere.voxels, np.zeros(num, np.int64), sphere.points, picked.center[None], np.array([picked.reach]))
        batch = SphereBatch([num], *map(tensor_of, (*arrays, sphere.intensity, sphere.ranges)))
        self.voting.add_votes(batch, tensor_of(probabilities, torch.float32))

    def label_points(self, voxel_of_point: Array) -> tuple[Array, Array]:
        labels, confidence = self.voting.label_points(tensor_of(voxel_of_point))
        return labels.cpu().numpy(), confidence.cpu().numpy()


class OneByOne(SphereVoting):
    """Voting on the CPU with the same call for the next sphere."""

    def pick(self) -> PickedSphere | None:
        picked = self.propose_sphere()
        if picked is not None:
            self.accept(picked)
        return picked


def write(voxels: Any, name: str, values: Any) -> None:
    """Write into a column of a map, wherever it is."""
    if isinstance(voxels, ArrayMap):
        column = voxels.voxels.column(name)
        column[:] = torch.as_tensor(values, dtype=column.dtype, device=column.device)
    else:
        getattr(voxels, name)[:] = values


def make_map(kind: str, config: VoxelMapConfig, num_classes: int, origin: Array | None = None) -> Any:
    """Make an empty map, "cpu" or "device"."""
    if kind == "cpu":
        return VoxelMap(config, num_classes, origin)
    from kpconv_ros.mapping.device_voxel_map import DeviceVoxelMap

    return ArrayMap(DeviceVoxelMap(config, num_classes, device(), tensor_of(origin, torch.float64)))


def make_voting(kind: str, config: SphereVotingConfig, num_classes: int) -> Any:
    """Make an empty voting, "cpu" or "device"."""
    if kind == "cpu":
        return OneByOne(config, num_classes)
    from kpconv_ros.mapping.device_sphere_voting import DeviceSphereVoting

    return ArrayVoting(DeviceSphereVoting(config, num_classes, device()))
