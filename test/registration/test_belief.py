# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a registration may be believed."""

import numpy as np
import pytest
from rooms import sample_room

from kpconv_ros.geometry.se3 import invert, motion_of_twist, transform_points, twist_of_motion
from kpconv_ros.registration.belief import (
    covariance_of,
    find_weakness,
    growth_of_held_pose,
    keep_prediction,
    measure_agreement,
)
from kpconv_ros.registration.solver import SolverConfig, Target, register

ROOM = Target(sample_room(12_000, 0, 0.01), SolverConfig())
SOURCE = sample_room(1000, 1, 0.01)


def test_points_at_their_place_agree_and_moved_ones_only_where_planes_are_along_the_way() -> None:
    assert measure_agreement(SOURCE, ROOM, np.eye(4)) > 0.95
    shifted = motion_of_twist(np.array([0.0, 0.3, 0.0, 0.0, 0.0, 0.0]))
    on_side_walls = np.abs(np.abs(SOURCE[:, 1]) - 6.0) < 0.05
    share = measure_agreement(SOURCE, ROOM, shifted)
    assert share == pytest.approx(1 - on_side_walls.mean(), abs=0.1)
    assert measure_agreement(SOURCE, ROOM, motion_of_twist(np.array([500.0, 0, 0, 0, 0, 0]))) == 0


def test_a_corridor_fixes_all_but_the_way_along_it() -> None:
    corridor = Target(sample_room(12_000, 0, 0.01, corridor=True), SolverConfig())
    turned = motion_of_twist(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.5]))  # T_map_sensor
    source = transform_points(invert(turned), sample_room(1000, 1, 0.01, corridor=True))
    weakness = find_weakness(register(source, corridor, turned).information, 0.03)
    assert weakness.is_degenerate and weakness.rotations.shape == (0, 3) and weakness.conditioning < 0.01
    along = turned[:3, :3].T @ [1.0, 0.0, 0.0]
    assert abs(weakness.translations[0] @ along) > 0.999 and len(weakness.translations) == 1
    assert not find_weakness(register(SOURCE, ROOM, np.eye(4)).information, 0.03).is_degenerate


def test_no_information_fixes_nothing() -> None:
    weakness = find_weakness(np.zeros((6, 6)), 0.03)
    assert len(weakness.translations) == len(weakness.rotations) == 3 and weakness.conditioning == 0


def test_motions_that_are_not_fixed_are_those_of_the_prediction() -> None:
    information = np.diag([0.0, 5, 5, 5, 5, 5])
    predicted = motion_of_twist(np.array([3.0, 0.0, 0.0, 0.0, 0.0, 1.0]))
    estimated = predicted @ motion_of_twist(np.array([0.7, 0.2, 0.0, 0.0, 0.0, 0.0]))
    kept = keep_prediction(predicted, estimated, find_weakness(information, 0.03))
    np.testing.assert_allclose(twist_of_motion(invert(predicted) @ kept), [0, 0.2, 0, 0, 0, 0], atol=1e-12)


def test_the_covariance_tells_the_spread_of_repeated_registrations() -> None:
    poses, covariances = [], []
    turned = motion_of_twist(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.2]))
    for seed in range(40):
        source = transform_points(invert(turned), sample_room(400, 100 + seed, 0.03))
        found = register(source, ROOM, turned)
        poses.append(found.T_target_source[:3, 3])
        covariances.append(covariance_of(found.information, found.rmse, found.T_target_source[:3, :3]))
    told = np.sqrt(np.diag(np.mean(covariances, 0))[:3])
    np.testing.assert_allclose(told, np.std(poses, 0), rtol=0.5)


def test_the_covariance_turns_with_the_frame() -> None:
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    covariance = covariance_of(np.diag([1.0, 4, 16, 25, 100, 400]), 2.0, quarter)
    np.testing.assert_allclose(np.diag(covariance), [1, 4, 0.25, 0.04, 0.16, 0.01])


def test_the_part_along_weak_motions_is_added_in_the_target_frame() -> None:
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    weakness = find_weakness(np.diag([0.0, 5, 5, 5, 5, 5]), 0.03)
    np.testing.assert_allclose(np.diag(weakness.project(np.eye(6), quarter)), [0, 1, 0, 0, 0, 0])


def test_a_held_pose_is_uncertain_by_its_speed_and_more() -> None:
    grown = growth_of_held_pose(np.array([3.0, 4.0, 0, 0, 0, 0.3]), 2.0, 1.0, 0.2)
    np.testing.assert_allclose(np.diag(grown), [144.0] * 3 + [1.0] * 3)
    np.testing.assert_allclose(np.diag(growth_of_held_pose(None, 2.0, 1.0, 0.2)), [4.0] * 3 + [0.16] * 3)
