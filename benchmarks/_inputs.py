# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured on: a drive of posed 64-ring scans, and the 4 m sphere cut from it.

By default the drive is simulated. ``KPCONV_KITTI=FOLDER`` takes sequence 00 of a SemanticKITTI layout instead.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.data.semantic_kitti import KittiSequence
from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.geometry.voxel_grid import grid_subsample

VOXEL_SIZE = 0.06  # m
SPHERE_RADIUS = 4.0  # m
NUM_SCANS = 10
SPHERE_POINTS = 20_000  # voxels that the sphere is chosen to have
FOLDER = Path(__file__).resolve().parent.parent / "out" / "bench"
DRIVE = FOLDER / "drive.npz"  # the simulated drive, made anew by each run of all benchmarks


class Scan(NamedTuple):
    """One posed scan."""

    points: NDArray[np.float32]
    """``(N, 3)``, metres, sensor frame."""
    intensity: NDArray[np.float32]
    """``(N,)``, 0..1."""
    T_map_sensor: NDArray[np.float64]
    """``(4, 4)``."""
    stamp: float
    """Seconds."""

    def in_map(self) -> NDArray[np.float32]:
        """Return the points in the map frame."""
        return (self.points @ self.T_map_sensor[:3, :3].T + self.T_map_sensor[:3, 3]).astype(np.float32)


def source() -> str:
    """Name where the scans come from."""
    return "SemanticKITTI 00" if os.environ.get("KPCONV_KITTI") else "simulator, 64 rings x 2048"


@lru_cache
def load_drive() -> tuple[Scan, ...]:
    """Return ten scans, 0.1 s apart."""
    if os.environ.get("KPCONV_KITTI"):
        sequence = KittiSequence(Path(os.environ["KPCONV_KITTI"]), "00")
        found = [sequence.scan(i) for i in range(min(NUM_SCANS, len(sequence)))]
    else:
        if DRIVE.exists():
            with np.load(DRIVE, allow_pickle=False) as file:
                return tuple(Scan(*(file[f"{name}{i}"] for name in Scan._fields)) for i in range(NUM_SCANS))
        config = SimulatorConfig(rings=64, azimuth_steps=2048, elevation_low=-0.433, elevation_high=0.035)
        simulator = Simulator(config, seed=3)
        found = [simulator.scan(2.0 + 0.1 * i) for i in range(NUM_SCANS)]
    drive = tuple(Scan(scan.points, scan.intensity, np.asarray(scan.T_map_sensor), float(scan.stamp)) for scan in found)
    if not os.environ.get("KPCONV_KITTI"):
        FOLDER.mkdir(parents=True, exist_ok=True)
        arrays = {f"{name}{i}": getattr(scan, name) for i, scan in enumerate(drive) for name in Scan._fields}
        np.savez(DRIVE, **arrays)
    return drive


@lru_cache
def load_sphere() -> tuple[Tensor, Tensor]:
    """Return the voxels of a 4 m sphere of the drive, ``(M, 3)`` about its centre, and their lengths ``(1,)``."""
    return load_spheres(1, SPHERE_RADIUS, SPHERE_POINTS)


def load_spheres(count: int, radius: float, num_points: int) -> tuple[Tensor, Tensor]:
    """Return the voxels of spheres of the merged drive, packed, each about its centre, and their lengths ``(count,)``.

    Of the places along the drive those are taken whose spheres are nearest to ``num_points`` voxels.
    """
    drive = load_drive()
    merged = np.concatenate([scan.in_map() for scan in drive])
    middle = drive[len(drive) // 2].T_map_sensor
    spheres = []
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        for distance in (0.0, 5.0, 7.0, 9.0):
            center = middle[:3, 3] + distance * np.array([np.cos(angle), np.sin(angle), -0.1])
            inside = merged[np.square(merged - center).sum(1) < radius**2] - center
            cloud = torch.from_numpy(inside.astype(np.float32))
            spheres.append(grid_subsample(cloud, torch.tensor([len(cloud)]), VOXEL_SIZE).points)
    best = sorted(spheres, key=lambda voxels: abs(len(voxels) - num_points))[:count]
    return torch.cat(best), torch.tensor([len(voxels) for voxels in best])
