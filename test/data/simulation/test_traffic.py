# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What moves keeps to its lane or sidewalk, and off the sensor's own way."""

import numpy as np
import pytest

from kpconv_ros.data.simulation.classes import CAR, PERSON
from kpconv_ros.data.simulation.config import SimulatorConfig
from kpconv_ros.data.simulation.shapes import LABEL, X, Y
from kpconv_ros.data.simulation.street import Street
from kpconv_ros.data.simulation.street_layout import StreetLayout
from kpconv_ros.data.simulation.traffic import Traffic


class Drive:
    """A street and its traffic, without the lidar."""

    def __init__(self, seed, **settings):
        config = SimulatorConfig(**settings)
        self.layout = StreetLayout(config, seed)
        self.street, self.traffic = Street(self.layout), Traffic(config, self.layout, seed)

    def movers(self, stamp):
        ego_x = self.layout.ego_x(stamp)
        return self.traffic.at(stamp, ego_x, self.street.around(ego_x)[1])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("stamp", [0.0, 21.7, 300.0])
def test_vehicles_stay_on_the_carriageway(seed, stamp):
    drive = Drive(seed, people=0.0)
    movers = drive.movers(stamp)
    assert (movers[:, LABEL] == CAR).all()
    assert np.abs(movers[:, Y]).max() < drive.layout.road_half


@pytest.mark.parametrize("seed", range(6))
def test_nothing_drives_or_walks_through_the_sensor(seed):
    drive = Drive(seed)
    for stamp in np.arange(0.0, 60.0, 0.5):
        movers, ego_x = drive.movers(float(stamp)), drive.layout.ego_x(float(stamp))
        distance = np.hypot(movers[:, X] - ego_x, movers[:, Y] - drive.layout.ego_y(ego_x))
        assert distance.min() > 1.2


def test_flows_without_density_are_empty():
    assert len(Drive(0, people=0.0, vehicles=0.0).movers(5.0)) == 0


def test_more_people_are_more_people():
    few, many = (Drive(0, people=people).movers(5.0) for people in (0.5, 1.5))
    assert (many[:, LABEL] == PERSON).sum() > 1.5 * (few[:, LABEL] == PERSON).sum()
