# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording through the live register node and the recorder, as three processes."""

import json

import numpy as np
import pytest

from kpconv_ros import cli
from kpconv_ros.data.simulator import Simulator, SimulatorConfig

NUM_SCANS = 12


def simulated_sequence(folder):
    """Write the scans of a simulated street as a KITTI-layout sequence with true poses."""
    simulator = Simulator(SimulatorConfig(azimuth_steps=512), seed=0)
    (folder / "velodyne").mkdir(parents=True)
    rows = []
    for index in range(NUM_SCANS):
        scan = simulator.scan(0.1 * index)
        points = np.column_stack([scan.points, scan.intensity]).astype(np.float32)
        points.tofile(folder / "velodyne" / f"{index:06}.bin")
        rows.append(" ".join(f"{number:.9f}" for number in scan.T_map_sensor[:3].ravel()))
    identity = "1 0 0 0 0 1 0 0 0 0 1 0\n"
    (folder / "poses.txt").write_text("\n".join(rows) + "\n")
    (folder / "calib.txt").write_text("".join(f"{key}: {identity}" for key in ("P0", "P1", "P2", "P3", "Tr")))
    (folder / "times.txt").write_text("".join(f"{0.1 * index:e}\n" for index in range(NUM_SCANS)))
    return folder


@pytest.mark.ros
@pytest.mark.slow
def test_every_scan_of_a_recording_is_given_a_pose_and_the_way_is_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ROS_DOMAIN_ID", "101")  # nodes of another test cannot be heard
    out = tmp_path / "out"
    sequence = simulated_sequence(tmp_path / "sequence")
    assert cli.main(["score-odometry", str(sequence), "--out", str(out), "-p", "num_points:=700"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["placed"] == report["scans"] >= NUM_SCANS - 2  # the recorder may hear the source a little later
    assert report["way_m"] > 0.5 * (report["scans"] - 1) - 0.1 and report["largest_error_m"] < 0.15
    assert report["points_registered"] == 700 and report["latency_ms"]["p50"] > 0.0
    assert report["debug_ms"]["registration"]["p50"] > 0.0
    assert (out / "trajectory.png").read_bytes()[:4] == b"\x89PNG"
    assert f"given a pose {report['placed']}" in capsys.readouterr().out
