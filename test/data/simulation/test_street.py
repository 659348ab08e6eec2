# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The still street: the same wherever one comes from, and free where the sensor drives."""

import numpy as np
import pytest

from kpconv_ros.data.simulation.classes import ROAD, SIDEWALK, TERRAIN
from kpconv_ros.data.simulation.config import SimulatorConfig
from kpconv_ros.data.simulation.ground import KERB_HEIGHT, LEFT, RIGHT, ground_height, ground_surface
from kpconv_ros.data.simulation.intersections import MISS
from kpconv_ros.data.simulation.ray_casting import hit_shape
from kpconv_ros.data.simulation.street import REACH, Street
from kpconv_ros.data.simulation.street_layout import StreetLayout


@pytest.fixture(params=range(5))
def layout(request):
    return StreetLayout(SimulatorConfig(), request.param)


def sorted_rows(shapes):
    return shapes[np.lexsort(shapes.T)]


def test_a_place_looks_the_same_from_either_way(layout):
    there, back = Street(layout), Street(layout)
    for x in np.arange(0.0, 300.0, 40.0):
        there.around(float(x))
    back.around(900.0)
    np.testing.assert_array_equal(sorted_rows(there.around(260.0)[0]), sorted_rows(back.around(260.0)[0]))


def test_the_street_has_no_end(layout):
    street = Street(layout)
    for x in (-1e5, 0.0, 1e5):
        shapes, ground = street.around(x)
        assert len(shapes) > 50
        assert np.isfinite(ground_height(x, 0.0, ground))


def test_the_lane_is_free(layout):
    shapes, ground = Street(layout).around(0.0)
    for x in np.arange(-0.5 * REACH, 0.5 * REACH, 1.0):
        y = layout.ego_y(x)
        origin = np.array([x, y, ground_height(x, y, ground) + 1.0])
        reach = min(hit_shape(row, origin, 0.0, side, 0.0)[0] for row in shapes for side in (1.0, -1.0))
        assert reach > 1.0 or reach == MISS


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_road_kerb_sidewalk_and_terrain_follow_each_other(layout, side):
    _, ground = Street(layout).around(0.0)
    x = 0.95 * layout.block_length  # far from the cross street at the block's start
    sign = 1.0 if side == LEFT else -1.0
    inner = layout.road_half + layout.verge[side]
    assert ground_surface(x, sign * (layout.road_half - 0.1), ground)[0] == ROAD
    assert ground_surface(x, sign * (inner + 0.1), ground)[0] == SIDEWALK
    assert ground_surface(x, sign * (inner + layout.sidewalk[side] + 0.1), ground)[0] == TERRAIN
    step = ground_height(x, sign * (inner + 0.1), ground) - ground_height(x, sign * (layout.road_half - 0.01), ground)
    assert step == pytest.approx(KERB_HEIGHT, abs=0.01)


def test_slopes_of_the_road_are_gentle(layout):
    _, ground = Street(layout).around(0.0)
    heights = np.array([ground_height(x, 0.0, ground) for x in np.arange(-80.0, 80.0, 1.0)])
    assert np.abs(np.diff(heights)).max() < 0.03
