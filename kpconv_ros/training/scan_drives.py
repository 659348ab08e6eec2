# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated drives whose scans can be paired: exact poses, several kinds of lidar, described voxels kept on disk."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from kpconv_ros.config_io import param
from kpconv_ros.data.prepared_files import default_folder
from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.registration.patches import Voxels, describe_voxels
from kpconv_ros.registration.surface import estimate_surface

FORMAT = 1
"""Counts up when the same config gives other voxels: older files are then left alone."""
LIDARS = (
    SimulatorConfig(rings=64, azimuth_steps=2048, elevation_low=-0.433, elevation_high=0.035),
    SimulatorConfig(rings=64, azimuth_steps=1024, elevation_low=-0.39, elevation_high=0.39),
    SimulatorConfig(rings=64, azimuth_steps=2048, elevation_low=-0.433, elevation_high=0.035),
    SimulatorConfig(rings=32, azimuth_steps=1800, elevation_low=-0.436, elevation_high=0.262),
)
"""Drives take them in turn; half have the rings of an HDL-64."""


@dataclass(frozen=True)
class DrivesConfig:
    """Which drives are simulated."""

    drives: int = param(60, "streets", 1)
    scans: int = param(6, "scans of each", 2)
    first_seed: int = param(5000, "seed of the first street; the others follow", 0)
    voxel_size: float = param(0.25, "edge of a voxel, metres", 0.01)


class PosedVoxels(NamedTuple):
    """A described scan and where it was taken."""

    voxels: Voxels
    T_map_sensor: NDArray[np.float64]


def load_drives(config: DrivesConfig, cache: Path | None = None) -> list[list[PosedVoxels]]:
    """Return the scans of each drive, simulated where the cache lacks them.

    Args:
        config: Which ones.
        cache: Folder of the files; None is that of the user.
    """
    folder = default_folder() if cache is None else cache
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(config.first_seed, config.first_seed + config.drives)
    return [_load_drive(seed, config, folder) for seed in tqdm(seeds, desc="drives", mininterval=5)]


def simulate_drive(seed: int, config: DrivesConfig) -> list[PosedVoxels]:
    """Drive along the street of ``seed``, at a speed of its own, and describe the scans."""
    generator = np.random.default_rng([config.first_seed, seed])
    lidar = dataclasses.replace(
        LIDARS[seed % len(LIDARS)],
        sensor_height=float(generator.uniform(1.5, 2.1)),
        ego_speed=float(generator.uniform(3.0, 12.0)),
    )
    simulator, start = Simulator(lidar, seed), float(generator.uniform(0.0, 20.0))
    scans = [simulator.scan(start + i / lidar.rate) for i in range(config.scans)]
    return [PosedVoxels(_describe(scan.points, config.voxel_size), scan.T_map_sensor) for scan in scans]


def _describe(points: NDArray[np.float32], voxel_size: float) -> Voxels:
    return describe_voxels(points, estimate_surface(points), voxel_size)


def _load_drive(seed: int, config: DrivesConfig, folder: Path) -> list[PosedVoxels]:
    known = json.dumps([FORMAT, config.scans, config.first_seed, config.voxel_size, seed])
    path = folder / f"drive_{hashlib.sha256(known.encode()).hexdigest()[:16]}.npz"
    if not path.is_file():
        _write_drive(path, simulate_drive(seed, config))
    with np.load(path, allow_pickle=False) as file:
        return [
            PosedVoxels(Voxels(*(file[f"{name}{i}"] for name in Voxels._fields)), file[f"pose{i}"])
            for i in range(config.scans)
        ]


def _write_drive(path: Path, scans: list[PosedVoxels]) -> None:
    arrays: dict[str, Any] = {f"pose{i}": scan.T_map_sensor for i, scan in enumerate(scans)}
    arrays |= {f"{name}{i}": getattr(scan.voxels, name) for i, scan in enumerate(scans) for name in Voxels._fields}
    temporary = path.with_suffix(".partial.npz")
    np.savez(temporary, **arrays)
    temporary.replace(path)
