# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registration by either library."""

import numpy as np
import pytest
from rooms import sample_room

from kpconv_ros.geometry.se3 import PoseError, invert, motion_of_twist, rotation_angle, transform_points
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.solver import SolverConfig, Target, plane_information, register

MOTION = motion_of_twist(np.array([0.4, -0.3, 0.1, 0.02, -0.03, 0.08]))
ROOM = sample_room(12_000, 0, 0.01)
SOURCE = transform_points(invert(MOTION), sample_room(1500, 1, 0.01))
SETTINGS = [
    SolverConfig(),
    SolverConfig(method="gicp"),
    SolverConfig(solver="open3d"),
]
EACH = pytest.mark.parametrize("config", SETTINGS, ids=lambda config: f"{config.solver}-{config.method}")


def errors(found: np.ndarray, truth: np.ndarray = MOTION) -> tuple[float, float]:
    apart = invert(truth) @ found
    return float(np.linalg.norm(apart[:3, 3])), rotation_angle(apart)


@EACH
def test_a_known_motion_is_found(config: SolverConfig) -> None:
    found = register(SOURCE, Target(ROOM, config), np.eye(4))
    distance, angle = errors(found.T_target_source)
    assert distance < 0.01 and angle < 0.001
    assert found.fitness > 0.95 and found.num_inliers == round(found.fitness * len(SOURCE))
    assert 0.005 < found.rmse < 0.05 and found.converged


@pytest.mark.parametrize("library", ["small_gicp", "open3d"])
def test_nothing_changes_when_both_clouds_move_along(library: str) -> None:
    moved = motion_of_twist(np.array([100.0, -50.0, 3.0, 0.1, 0.2, 2.0]))
    config = SolverConfig(solver=library)  # type: ignore[arg-type]
    found = register(SOURCE, Target(transform_points(moved, ROOM), config), moved)
    distance, angle = errors(invert(moved) @ found.T_target_source)
    assert distance < 0.01 and angle < 0.001


def test_both_libraries_agree() -> None:
    results = [register(SOURCE, Target(ROOM, SETTINGS[i]), np.eye(4)) for i in (0, 2)]
    distance, angle = errors(results[0].T_target_source, results[1].T_target_source)
    assert distance < 0.005 and angle < 5e-4
    assert results[0].rmse == pytest.approx(results[1].rmse, rel=0.2)
    scale = np.sqrt(np.outer(*2 * [np.diag(results[0].information)]))
    np.testing.assert_allclose(results[0].information / scale, results[1].information / scale, atol=0.05)


def test_the_information_is_the_second_derivative_of_the_squared_distances() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(30, 3)) * 5, rng.normal(size=(30, 3)) * 5
    normals = rng.normal(size=(30, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    information, _ = plane_information(source, target, normals, MOTION)
    step, jacobian = 1e-6, []
    for axis in np.eye(6):
        ends = [
            plane_information(source, target, normals, MOTION @ motion_of_twist(sign * step * axis))[1]
            for sign in (1, -1)
        ]
        jacobian.append((ends[0] - ends[1]) / (2 * step))
    np.testing.assert_allclose(information, np.array(jacobian) @ np.array(jacobian).T, rtol=1e-6, atol=1e-6)


def test_the_compiled_equations_are_those_of_numpy() -> None:
    target = Target(ROOM, SETTINGS[0])
    found = register(SOURCE, target, MOTION)
    pose = found.T_target_source
    nearest, squares = target.search(transform_points(pose, SOURCE))
    inliers = squares < SETTINGS[0].max_distance ** 2
    pairs = SOURCE[inliers], target.points[nearest[inliers]], target.normals[nearest[inliers]]
    information, distances = plane_information(*pairs, pose)
    assert found.num_inliers == inliers.sum()
    np.testing.assert_allclose(found.information, information, rtol=1e-9, atol=1e-9)
    assert found.rmse == pytest.approx(np.sqrt(np.mean(distances**2)))


def test_walls_hold_no_point_along_themselves_however_the_frame_is_turned() -> None:
    turned = motion_of_twist(np.array([0.0, 0.0, 0.0, 0.0, 0.0, np.pi / 4]))
    corridor = transform_points(turned, sample_room(12_000, 0, 0.01, corridor=True))
    along = turned[:3, :3] @ [1.0, 0.0, 0.0]
    for library in ("small_gicp", "open3d"):
        found = register(corridor[::10], Target(corridor, SolverConfig(solver=library)), np.eye(4))  # type: ignore[arg-type]
        assert along @ found.information[:3, :3] @ along < 0.01 * np.trace(found.information[:3, :3])


def test_a_guess_far_away_finds_no_pairs() -> None:
    far = np.eye(4)
    far[0, 3] = 500.0
    for config in SETTINGS[::2]:
        found = register(SOURCE, Target(ROOM, config), far)
        assert found.num_inliers == 0 and found.fitness == 0 and found.rmse == 0


def test_too_few_points_a_wrong_shape_and_nan_are_refused() -> None:
    target = Target(ROOM, SETTINGS[0])
    with pytest.raises(RegistrationError, match="source: expected at least 10 points, got 9"):
        register(SOURCE[:9], target, np.eye(4))
    with pytest.raises(RegistrationError, match="target: expected at least 10 points, got 0"):
        Target(np.zeros((0, 3)), SETTINGS[0])
    with pytest.raises(RegistrationError, match=r"source: expected shape \(N, 3\), got \(20, 2\)"):
        register(np.zeros((20, 2)), target, np.eye(4))
    with pytest.raises(RegistrationError, match="source: expected finite"):
        register(np.full((20, 3), np.nan), target, np.eye(4))
    with pytest.raises(RegistrationError, match="expected plane for open3d, got gicp"):
        Target(ROOM, SolverConfig("open3d", "gicp"))
    with pytest.raises(RegistrationError, match="expected that of the target"):
        register(SOURCE, target, np.eye(4), SETTINGS[2])
    with pytest.raises(PoseError, match="T_target_source"):
        register(SOURCE, target, 2 * np.eye(4))
