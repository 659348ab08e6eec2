# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small recording of a simulated street, and a small untrained network, for tests of evaluations."""

from pathlib import Path

import numpy as np
import torch

from kpconv_ros.checkpoint import save_model
from kpconv_ros.data.semantic_kitti import KITTI_CLASSES, KITTI_COLORS, LEARNING_MAP_INVERSE
from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig

IDENTITY = "1 0 0 0 0 1 0 0 0 0 1 0\n"


def tiny_model(folder: Path) -> Path:
    """Save an untrained network of two levels that knows SemanticKITTI's classes."""
    torch.manual_seed(0)
    encoder = ("simple", "residual", "strided", "residual")
    config = KPFCNNConfig(len(KITTI_CLASSES) - 1, in_features=2, voxel_size=0.4, width=8, encoder=encoder)
    manifest = {"name": "tiny", "classes": KITTI_CLASSES, "colors": KITTI_COLORS, "features": ("one", "height")}
    save_model(folder, KPFCNN(config), {**manifest, "sphere_radius": 6.0, "intensity_scale": 1.0})
    return folder


def street_sequence(folder: Path, num_scans: int = 8, azimuth_steps: int = 300) -> Path:
    """Write a simulated drive in KITTI's layout, label i of the simulator as class i of SemanticKITTI."""
    simulator = Simulator(SimulatorConfig(azimuth_steps=azimuth_steps), seed=0)
    for name in ("velodyne", "labels"):
        (folder / name).mkdir(parents=True)
    raw = np.array([LEARNING_MAP_INVERSE[label] for label in range(len(KITTI_CLASSES))], np.uint32)
    rows = []
    for index in range(num_scans):
        scan = simulator.scan(0.1 * index)
        np.column_stack([scan.points, scan.intensity]).astype(np.float32).tofile(folder / f"velodyne/{index:06}.bin")
        raw[scan.labels].tofile(folder / f"labels/{index:06}.label")
        rows.append(" ".join(f"{number:.9f}" for number in scan.T_map_sensor[:3].ravel()))
    (folder / "poses.txt").write_text("\n".join(rows) + "\n")
    (folder / "calib.txt").write_text(f"Tr: {IDENTITY}")
    (folder / "times.txt").write_text("".join(f"{0.1 * index:e}\n" for index in range(num_scans)))
    return folder
