# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ray casting against ranges worked out by hand and against every shape tried one by one."""

import numpy as np
import pytest

from kpconv_ros.data.simulation.classes import BUILDING, CAR, POLE, ROAD, VEGETATION
from kpconv_ros.data.simulation.ground import Ground, cast_on_ground, ground_height
from kpconv_ros.data.simulation.intersections import MISS
from kpconv_ros.data.simulation.ray_casting import cast_ray, cast_scan, hit_shape, list_sectors
from kpconv_ros.data.simulation.shapes import CYLINDER, ELLIPSOID, HEDGE, LEAVES, TAPERED, assemble, place, shape

ORIGIN = np.array([0.0, 0.0, 2.0])
FAR = 80.0


def flat_ground(road_half=1000.0):
    """A carriageway without end; only its crown is not flat."""
    return Ground(road_half, 900.0, (0.0, 0.0), (2.0, 2.0), -500.0, np.zeros(1000), 100.0, -2, np.zeros((5, 3)), 0)


def unit(x, y, z):
    return np.array([x, y, z]) / np.linalg.norm([x, y, z])


def cast(rows, direction, ground=None):
    sectors = list_sectors(assemble(rows), 0.0, 0.0, FAR, 0.0)
    return cast_ray(ORIGIN, *direction, FAR, sectors, ground or flat_ground())


@pytest.mark.parametrize("down", [0.05, 0.2, 0.7])
def test_a_ray_along_the_street_meets_the_plane_at_the_range_of_trigonometry(down):
    direction = unit(np.sqrt(1.0 - down * down), 0.0, -down)
    hit_range, label, _ = cast([], direction)
    assert hit_range == pytest.approx(2.0 / down, abs=0.1)
    assert label == ROAD


@pytest.mark.parametrize("azimuth", np.linspace(-3.0, 3.0, 7))
def test_the_point_on_the_ground_lies_on_the_ground(azimuth):
    ground = flat_ground(5.0)
    direction = unit(np.cos(azimuth), np.sin(azimuth), -0.15)
    t = cast_on_ground(ORIGIN, *direction, FAR, ground)
    x, y, z = ORIGIN + t * direction
    assert z == pytest.approx(ground_height(x, y, ground), abs=0.13)  # a kerb is that high


def test_a_ray_upwards_meets_nothing():
    assert cast([], unit(1.0, 0.0, 0.4))[0] == FAR


def test_a_box_is_met_at_its_front():
    box = shape(TAPERED, CAR, (10.0, 0.0, 2.0), (1.0, 1.0, 1.0), 0.5)
    hit_range, label, brightness = cast([box], (1.0, 0.0, 0.0))
    assert (hit_range, label) == (pytest.approx(9.0), CAR)
    assert brightness == pytest.approx(0.5)


def test_a_turned_box_is_met_at_its_corner():
    box = shape(TAPERED, CAR, (10.0, 0.0, 2.0), (1.0, 1.0, 1.0), 0.5, np.pi / 4)
    assert cast([box], (1.0, 0.0, 0.0))[0] == pytest.approx(10.0 - np.sqrt(2.0))


def test_a_tapered_box_is_narrower_at_the_top():
    roof = shape(TAPERED, BUILDING, (10.0, 0.0, 2.0), (2.0, 2.0, 1.0), 0.5, 0.0, (0.5, 0.0))
    assert cast([roof], (1.0, 0.0, 0.0))[0] == pytest.approx(10.0 - 1.5)


def test_a_ball_and_a_pole_are_met_at_their_radius():
    ball = shape(ELLIPSOID, CAR, (0.0, 10.0, 2.0), (2.0, 3.0, 1.0), 0.5)
    pole = shape(CYLINDER, POLE, (-10.0, 0.0, 2.0), (0.5, 0.5, 3.0), 0.5)
    assert cast([ball, pole], (0.0, 1.0, 0.0))[:2] == (pytest.approx(7.0), CAR)
    hit_range, label, _ = cast([ball, pole], (-1.0, 0.0, 0.0))
    assert label == POLE
    assert hit_range == pytest.approx(9.5, abs=0.02)  # the beam has a width


def test_leaves_let_some_rays_through_and_stop_others():
    crown = shape(LEAVES, VEGETATION, (10.0, 0.0, 2.0), (2.0, 2.0, 2.0), 0.5, 0.0, (0.15, 0.0))
    labels = [cast([crown], unit(10.0, y, z))[1] for y in np.linspace(-1, 1, 9) for z in np.linspace(0.1, 1, 5)]
    assert 5 < labels.count(VEGETATION) < 45


def test_the_nearest_of_many_shapes_is_met_as_when_all_are_tried():
    rng = np.random.default_rng(0)
    kinds = [TAPERED, CYLINDER, ELLIPSOID, LEAVES, HEDGE]
    rows = []
    for number in range(120):
        center = (rng.uniform(-40, 40), rng.uniform(-40, 40), rng.uniform(0, 4))
        size = rng.uniform(0.2, 2.0)
        half_sizes = (size, size if number % 5 == 1 else rng.uniform(0.2, 5.0), rng.uniform(0.2, 2.0))
        rows.append(shape(kinds[number % 5], 1 + number % 9, center, half_sizes, 0.5, rng.uniform(0, 6), (0.3, 0.0)))
    shapes = assemble(rows)
    sectors, ground = list_sectors(shapes, 0.0, 0.0, FAR, 0.0), flat_ground()
    for azimuth in rng.uniform(-np.pi, np.pi, 400):
        direction = unit(np.cos(azimuth), np.sin(azimuth), rng.uniform(-0.2, 0.1))
        expected = min(hit_shape(row, ORIGIN, *direction)[0] for row in shapes)
        expected = min(expected, cast_on_ground(ORIGIN, *direction, FAR, ground))
        assert cast_ray(ORIGIN, *direction, FAR, sectors, ground)[0] == pytest.approx(expected)


def test_a_shape_behind_the_sensor_is_not_met():
    box = assemble([shape(TAPERED, CAR, (10.0, 0.0, 2.0), (1.0, 1.0, 1.0), 0.5)])
    assert hit_shape(box[0], ORIGIN, -1.0, 0.0, 0.0)[0] == MISS


def test_placing_an_object_moves_what_rays_meet():
    box = assemble([shape(TAPERED, CAR, (2.0, 0.0, 0.0), (1.0, 0.5, 1.0), 0.5)])
    placed = place(box, 10.0, 0.0, 2.0, np.pi)
    sectors = list_sectors(placed, 0.0, 0.0, FAR, 0.0)
    assert cast_ray(ORIGIN, 1.0, 0.0, 0.0, FAR, sectors, flat_ground())[0] == pytest.approx(7.0)


def test_a_turned_sensor_sees_with_its_pose():
    box = assemble([shape(TAPERED, CAR, (0.0, 10.0, 2.0), (1.0, 1.0, 1.0), 0.5)])
    pose = np.array([[0.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 1.0]])
    sectors = list_sectors(box, 0.0, 0.0, FAR, 0.0)
    hits = cast_scan(pose[None], np.array([[[1.0, 0.0, 0.0]]]), FAR, sectors, flat_ground())
    assert hits.range[0] == pytest.approx(9.0)
    assert hits.label[0] == CAR


def test_an_empty_world_has_no_hits_above_the_horizon():
    sectors = list_sectors(np.empty((0, 15)), 0.0, 0.0, FAR, 0.0)
    hits = cast_scan(np.eye(4)[None], np.array([[unit(1.0, 0.0, 0.5)]]), FAR, sectors, flat_ground())
    assert hits.range[0] == 0.0
