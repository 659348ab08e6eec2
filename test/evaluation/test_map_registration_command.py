# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command that turns and shifts half-maps."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from kitti_layout import T_CAMERA_LIDAR, write_sequence

from kpconv_ros.data.semantic_kitti import KittiError, KittiSequence
from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.evaluation import map_registration_command as command
from kpconv_ros.geometry.se3 import invert, rotation_angle


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    """A layout with four simulated scans of one street."""
    folder = tmp_path / "sequences" / "00"
    write_sequence(folder, num_scans=4)
    simulator = Simulator(SimulatorConfig(rings=32, azimuth_steps=600, elevation_low=-0.3), 3)
    poses = []
    for number in range(4):
        scan = simulator.scan(0.1 * number)
        np.column_stack([scan.points, scan.intensity]).tofile(folder / "velodyne" / f"{number:06d}.bin")
        poses.append((T_CAMERA_LIDAR @ scan.T_map_sensor @ invert(T_CAMERA_LIDAR))[:3].ravel())
    np.savetxt(folder / "poses.txt", poses)
    for path in (folder / "labels").iterdir():
        path.unlink()
    (folder / "labels").rmdir()
    return tmp_path


def test_half_maps_find_each_other_and_the_results_are_written(kitti: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = kitti / "results.json"
    results.write_text('{"other": 1}')
    assert command.run(arguments(str(kitti), "--trials", "1", "--results", str(results))) == 0
    written = json.loads(results.read_text())
    assert written["other"] == 1
    summary = written["map_to_map"]
    assert summary["successes"] == summary["trials"] == 1 and summary["largest_tile_bytes"] <= 4096
    assert summary["other_places"] == 0  # of one sequence there are none
    assert capsys.readouterr().out.count("  ok  ") == 1


def test_halves_are_split_in_the_middle_and_seen_from_their_last_scan(kitti: Path) -> None:
    sequence = KittiSequence(kitti, "00")
    halves = command.make_halves(sequence, 4)
    assert halves is not None and sequence.poses is not None
    for half, last in zip(halves, (1, 3), strict=True):
        np.testing.assert_allclose(half.viewpoint, sequence.poses[last, :3, 3])
        assert len(half.points) > 5000


def test_a_layout_without_poses_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "sequences" / "00"
    write_sequence(folder)
    (folder / "poses.txt").unlink()
    with pytest.raises(KittiError, match=r"expected sequences with poses.txt"):
        command.run(arguments(str(tmp_path)))


def test_rotations_reach_half_a_turn_and_shifts_their_limit() -> None:
    generator = np.random.default_rng(0)
    motions = [command.draw_motion(generator) for _ in range(200)]
    angles = [rotation_angle(motion) for motion in motions]
    assert min(angles) < 0.2 and max(angles) > 3.0
    shifts = np.abs([motion[:3, 3] for motion in motions])
    assert 45 < shifts.max() <= command.MAX_SHIFT
