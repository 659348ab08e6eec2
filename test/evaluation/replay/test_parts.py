# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of scans, what is refused of options, and what processes use."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kpconv_ros.evaluation.replay.kept_scans import NUM_SPREAD, NUM_WORST, KeptScan, KeptScans
from kpconv_ros.evaluation.replay.options import EvaluateOptions, EvaluationError, parameters_of, values_of
from kpconv_ros.evaluation.replay.registration import RegistrationTally
from kpconv_ros.evaluation.replay.usage import UsageSampler

BAG = Path("bag")


def scan(index, score):
    empty = np.zeros((0, 3), np.float32)
    return KeptScan(index, empty, np.zeros(0, np.uint8), None, None, score)


@pytest.mark.parametrize("num_scans", [1, 5, NUM_SPREAD, 500])
def test_kept_scans_are_few_and_spread_over_the_run(num_scans):
    kept = KeptScans()
    for index in range(num_scans):
        kept.add(scan(index, 0.5), 1)
    indices = [entry.index for entry in kept.spread]
    assert len(indices) == min(num_scans, len(indices)) <= NUM_SPREAD and indices[0] == 0
    gaps = set(np.diff(indices).tolist())
    assert len(gaps) <= 1 and (num_scans <= NUM_SPREAD or indices[-1] > 0.85 * num_scans)


def test_the_worst_scans_and_the_one_with_most_classes_are_kept():
    kept = KeptScans()
    scores = np.random.default_rng(0).permutation(100) / 100
    for index, score in enumerate(scores):
        kept.add(scan(index, score), num_classes_seen=index % 50)
    assert [entry.score for entry in kept.worst] == [0.0, 0.01, 0.02][:NUM_WORST]
    assert kept.most_classes.index == 49


def test_poses_come_from_where_there_are_some():
    both = EvaluateOptions(BAG)
    assert both.pose_source(True) == "recording" and both.pose_source(False) == "register"
    assert EvaluateOptions(BAG, parts=("segmentation",)).pose_source(False) == "none"
    assert EvaluateOptions(BAG, poses="none").pose_source(True) == "none"
    with pytest.raises(EvaluationError, match="got no odometry"):
        EvaluateOptions(BAG, poses="recording").pose_source(False)


def test_an_extrinsic_is_a_pose_and_needed_between_frames():
    mounted = EvaluateOptions(BAG, extrinsic=(1.0, 2.0, 3.0, 0.0, 0.0, np.pi / 2)).T_child_sensor("lidar", "base")
    assert np.allclose(mounted @ [1, 0, 0, 1], [1, 3, 3, 1])
    assert np.array_equal(EvaluateOptions(BAG).T_child_sensor("lidar", "lidar"), np.eye(4))
    with pytest.raises(EvaluationError, match="'lidar' and an odometry of 'base'"):
        EvaluateOptions(BAG).T_child_sensor("lidar", "base")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"parts": ()}, "parts: got none"),
        ({"mode": "fast"}, "mode: got fast"),
        ({"poses": "gps"}, "poses: got gps"),
        ({"poses": "register", "parts": ("segmentation",)}, "expected registration among the parts"),
        ({"trial": 0.1}, "got trial 0.1"),
    ],
)
def test_wrong_options_are_refused(wrong, said):
    with pytest.raises(EvaluationError, match=said):
        EvaluateOptions(BAG, **wrong)


def test_parameters_are_names_and_yaml():
    parameters = parameters_of(["time_budget:=0.2", "sampler:=none", "bf16:=false"])
    assert values_of(parameters) == {"time_budget": 0.2, "sampler": "none", "bf16": False}
    with pytest.raises(EvaluationError, match="expected NAME:=VALUE"):
        parameters_of(["time_budget=0.2"])
    with pytest.raises(EvaluationError, match="expected YAML values"):
        values_of({"time_budget": "[1"})


def test_scans_without_estimate_or_reference_do_not_count_in_errors(tmp_path):
    pytest.importorskip("evo")
    tally = RegistrationTally()
    for index in range(8):
        pose = np.eye(4)
        pose[:2, 3] = index, 0.1 * index**2
        tally.add(index, None if index == 3 else pose, np.eye(6), None if index == 5 else pose)
    report = tally.report()
    assert (report["scans"], report["placed"], report["with_reference"]) == (8, 7, 6)
    assert report["ate_m"]["max"] < 1e-9
    names = [path.name for path in tally.write_files(tmp_path)]
    assert names == ["estimate.tum", "estimate.kitti", "reference.tum", "reference.kitti"]
    assert len((tmp_path / "estimate.tum").read_text().splitlines()) == 7


def test_an_odometry_without_reference_is_a_way_without_errors(tmp_path):
    tally = RegistrationTally()
    for index in range(4):
        pose = np.eye(4)
        pose[0, 3] = index
        tally.add(index, pose, None, None)
    report = tally.report()
    assert report["way_m"] == 3.0 and report["ate_m"] is None and report["reference_positions_m"] is None
    assert len(tally.write_files(tmp_path)) == 2


def test_usage_of_a_busy_process_is_seen_and_its_end_survived():
    busy = subprocess.Popen([sys.executable, "-c", "import time\nend=time.time()+1.5\nwhile time.time()<end: pass"])
    with UsageSampler({"busy": busy.pid, "own": os.getpid()}, 0.1, {"answer": lambda: 42.0}) as usage:
        busy.wait()
        time.sleep(0.4)
    report = usage.report()
    seen = report["processes"]["busy"]
    assert max(value for value in seen["cpu_percent"] if value is not None) > 5.0  # of a shared core
    assert max(value for value in seen["memory_mb"] if value is not None) > 5.0
    assert seen["cpu_percent"][-1] in (None, 0.0) and report["processes"]["own"]["threads"][-1] >= 2
    assert len(report["time_s"]) == len(seen["memory_mb"]) == len(report["gauges"]["answer"]) > 5
