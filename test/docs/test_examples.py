# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts of examples/ run, on scans of the simulator in KITTI's layout."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from kitti_layout import T_CAMERA_LIDAR

from kpconv_ros.data.clouds import read_cloud
from kpconv_ros.data.simulator import SIM_CLASSES, Simulator, SimulatorConfig

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
KITTI_ID = {"road": 40, "sidewalk": 48, "terrain": 72, "building": 50, "fence": 51, "vegetation": 70, "pole": 80,
            "car": 10, "person": 30}  # fmt: skip
NUM_SCANS = 4


@pytest.fixture(scope="module")
def kitti(tmp_path_factory):
    """A folder with one sequence of simulated scans."""
    root = tmp_path_factory.mktemp("kitti")
    folder = root / "sequences" / "00"
    for name in ("velodyne", "labels"):
        (folder / name).mkdir(parents=True)
    simulator = Simulator(SimulatorConfig(rings=24, azimuth_steps=400, sensor_height=1.73), seed=0)
    raw_ids = np.array([KITTI_ID.get(name, 0) for name in SIM_CLASSES], np.uint32)
    poses = []
    for number in range(NUM_SCANS):
        scan = simulator.scan(0.1 * number)
        rows = np.column_stack([scan.points, scan.intensity]).astype(np.float32)
        rows.tofile(folder / "velodyne" / f"{number:06d}.bin")
        raw_ids[scan.labels].tofile(folder / "labels" / f"{number:06d}.label")
        poses.append((T_CAMERA_LIDAR @ scan.T_map_sensor @ np.linalg.inv(T_CAMERA_LIDAR))[:3].ravel())
    np.savetxt(folder / "poses.txt", poses)
    np.savetxt(folder / "times.txt", 0.1 * np.arange(NUM_SCANS))
    numbers = " ".join(str(number) for number in T_CAMERA_LIDAR[:3].ravel())
    (folder / "calib.txt").write_text(f"Tr: {numbers}\n")
    return root


def run(name, *arguments):
    """Call the main function of an example."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(*map(str, arguments))


def scan_of(kitti):
    return kitti / "sequences" / "00" / "velodyne" / "000000.bin"


def test_every_example_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "segment_file", "odometry_of_recording", "train_on_folder", "compress_map"
    }  # fmt: skip


def test_a_file_is_segmented_and_its_road_is_flat(kitti, tmp_path):
    run("segment_file", scan_of(kitti), tmp_path / "road.ply")
    road = read_cloud(tmp_path / "road.ply").points
    near = road[np.hypot(road[:, 0], road[:, 1]) < 15]
    assert len(near) > 100 and np.abs(near[:, 2] + 1.73).mean() < 0.2


def test_the_poses_of_a_recording_are_those_of_the_simulator(kitti, tmp_path, capsys):
    run("odometry_of_recording", kitti / "sequences" / "00", tmp_path / "poses.tum")
    poses = np.loadtxt(tmp_path / "poses.tum")
    assert poses.shape == (NUM_SCANS, 8)
    way = 0.1 * (NUM_SCANS - 1) * SimulatorConfig().ego_speed
    assert np.linalg.norm(poses[-1, 1:4] - poses[0, 1:4]) == pytest.approx(way, abs=0.1)
    assert "tracking" in capsys.readouterr().out


@pytest.mark.slow
def test_a_training_on_a_folder_leaves_a_model(kitti, tmp_path, capsys):
    run("train_on_folder", kitti, "00", tmp_path / "out", 2)
    assert (tmp_path / "out" / "my_street" / "manifest.yaml").is_file()
    assert "agrees with the labels" in capsys.readouterr().out


def test_all_tiles_of_a_map_arrive_over_a_lossy_link(kitti, tmp_path, capsys):
    run("compress_map", scan_of(kitti), tmp_path / "received.ply")
    sent, arrived = map(int, re.findall(r"(\d+) tiles", capsys.readouterr().out))
    assert sent == arrived > 3
    received = read_cloud(tmp_path / "received.ply").points
    original = read_cloud(scan_of(kitti)).points
    gaps = np.linalg.norm(received[::20, None] - original[None], axis=2).min(axis=1)
    assert np.median(gaps) < 0.2
