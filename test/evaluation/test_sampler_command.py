# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison of samplers, on scans of the simulator in KITTI layout."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open3d", reason="needs Open3D")

from kitti_layout import T_CAMERA_LIDAR

from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.evaluation import sampler_command
from kpconv_ros.evaluation.results_file import write_results
from kpconv_ros.evaluation.sampler_command import has_failed, make_samplers, summarize
from kpconv_ros.evaluation.sampler_pairs import load_pairs
from kpconv_ros.evaluation.sampler_trials import Outcome, Trial, draw_error, run_trials
from kpconv_ros.geometry.se3 import invert
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.sampled import SampledConfig
from kpconv_ros.registration.samplers import RandomSampler

LIDAR = SimulatorConfig(rings=32, azimuth_steps=700, vehicles=0.0, people=0.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scans of a street; poses are off by 3 cm, as those of a dataset are."""
    folder = tmp_path_factory.mktemp("kitti")
    sequence = folder / "sequences" / "00"
    (sequence / "velodyne").mkdir(parents=True)
    simulator, poses = Simulator(LIDAR, 11), []
    for number in range(3):
        scan = simulator.scan(0.1 * number)
        np.column_stack([scan.points, scan.intensity]).tofile(sequence / "velodyne" / f"{number:06d}.bin")
        pose = scan.T_map_sensor.copy()
        pose[0, 3] += 0.03 * (number % 2)
        poses.append((T_CAMERA_LIDAR @ pose @ np.linalg.inv(T_CAMERA_LIDAR))[:3].ravel())
    np.savetxt(sequence / "poses.txt", poses)
    numbers = " ".join(str(number) for number in T_CAMERA_LIDAR[:3].ravel())
    (sequence / "calib.txt").write_text(f"Tr: {numbers}\n")
    return folder


def true_motion() -> np.ndarray:
    simulator = Simulator(LIDAR, 11)
    first, second = (simulator.scan(0.1 * number).T_map_sensor for number in range(2))
    return invert(first) @ second


def test_references_are_better_than_the_poses_of_the_dataset(root: Path) -> None:
    pair = next(load_pairs(root, "00", (1,), 1))
    error = np.linalg.norm(pair.T_target_source[:3, 3] - true_motion()[:3, 3])
    assert error < 0.02  # the poses are off by 0.03 m
    assert len(pair.target.points) == len(pair.target.surface.normals)
    assert np.abs(pair.target.points[:, :2]).max() < 40.0 and pair.target.surface.normals.any(1).all()


def test_a_trial_finds_the_motion_and_a_shift_that_is_kept_reads_1(root: Path) -> None:
    pair, error = next(load_pairs(root, "00", (1,), 1)), np.eye(4)
    error[0, 3] = 0.3
    found = run_trials({"random": RandomSampler()}, Trial(pair, error, [400, 100], 2, 0), SampledConfig())
    assert set(found) == {("random", budget, number) for budget in (400, 100) for number in (1, 2)}
    assert found["random", 400, 2].translation < 0.1 and abs(found["random", 400, 2].kept) < 0.3
    nearest = SampledConfig(distances=(0.011,), robust_scales=(0.5,), max_iterations=1)  # no pairs: the guess stays
    stuck = run_trials({"random": RandomSampler()}, Trial(pair, error, [40], 1, 0), nearest)["random", 40, 1]
    assert stuck.kept == pytest.approx(1.0, abs=0.1) and stuck.translation == pytest.approx(0.3, abs=0.02)


def test_errors_of_guesses_are_as_large_as_asked() -> None:
    generator = np.random.default_rng(0)
    shifts = np.array([draw_error(generator, 0.3, 1.0)[:3, 3] for _ in range(500)])
    np.testing.assert_allclose(shifts.std(0), [0.3, 0.3, 0.09], rtol=0.1)


def test_a_row_tells_medians_and_failures() -> None:
    outcomes = [Outcome(0.1, 0.01, 0.0, 400, 5.0, 1.0), Outcome(0.3, 0.03, 0.0, 400, 7.0, 1.0)]
    outcomes += [Outcome(1.2, 0.02, 0.0, 398, 6.0, 2.0)]
    assert [has_failed(outcome) for outcome in outcomes] == [False, False, True]
    row = summarize(("fps", 400, 1), outcomes)
    assert (row["rotation_deg"], row["translation_m"], row["failures"], row["trials"]) == (0.3, 0.02, 1, 3)
    assert (row["points"], row["ms"]) == (400, 6.0)


def test_the_command_writes_a_row_for_each_sampler_and_keeps_other_results(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "registration.json"
    write_results(out, {"odometry": {"rows": [1]}})
    parser = argparse.ArgumentParser()
    sampler_command.add_arguments(parser)
    options = ["--points", "100", "40", "--gaps", "1", "--pairs", "1", "--guesses", "1", "--passes", "1"]
    args = parser.parse_args([str(root), "--sequences", "00", *options, "--out", str(out)])
    assert sampler_command.run(args) == 0
    results = json.loads(out.read_text())
    assert results["odometry"] == {"rows": [1]}
    rows = results["samplers"]
    names = list(make_samplers("patch_sampler"))
    assert {row["sampler"] for row in rows} == set(names) and len(rows) == 2 * len(names) - 1
    assert {row["points"] for row in rows if row["sampler"] != "full"} == {100, 40}
    assert len(results["grid_locking"]) == len(names) - 1 and "00" in results["samplers_setting"]["command"]
    assert "| samplenet | 100 |" in capsys.readouterr().out


def test_sequences_that_were_chosen_on_are_not_reported(root: Path) -> None:
    parser = argparse.ArgumentParser()
    sampler_command.add_arguments(parser)
    with pytest.raises(RegistrationError, match="00"):
        sampler_command.run(parser.parse_args([str(root), "--sequences", "00", "--chosen-on", "00"]))
