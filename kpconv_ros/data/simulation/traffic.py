# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What moves in the street: vehicles in their lanes, people on the sidewalks and people who cross.

Each flow is an endless row of places that moves at one speed, so every instant is computed from the stamp alone.
"""

from math import ceil, floor
from typing import NamedTuple

import numpy as np
from numpy.random import default_rng

from kpconv_ros.data.simulation.config import SimulatorConfig
from kpconv_ros.data.simulation.ground import CROSS_SIDEWALK, LEFT, RIGHT, Ground, ground_height
from kpconv_ros.data.simulation.movers import build_person, build_vehicle
from kpconv_ros.data.simulation.shapes import Shapes, merge, place
from kpconv_ros.data.simulation.street import REACH
from kpconv_ros.data.simulation.street_layout import StreetLayout

CLEARANCE = 9.0  # m, kept free of vehicles before and behind the sensor's own
CROSSING_PERIOD = 24.0  # s


class Flow(NamedTuple):
    """Movers one behind the other: the one at place k is near x = k * spacing + speed * stamp."""

    y: float
    """Lateral position of the flow's middle, m."""
    half_width: float
    """How far movers keep from the middle, m."""
    speed: float
    """Metres a second along +x; negative for the other way."""
    spacing: float
    """Metres between places."""
    taken: float
    """Fraction of the places that hold a mover."""
    of_people: bool


class Traffic:
    """The movers of one street."""

    def __init__(self, config: SimulatorConfig, street: StreetLayout, seed: int) -> None:
        self.config = config
        self.street = street
        self.seed = seed
        rng = default_rng([seed, 3])
        self.flows = [*self._vehicle_flows(rng), *self._people_flows(rng)]
        self._bodies: dict[tuple[int, int, int], Shapes] = {}

    def at(self, stamp: float, ego_x: float, ground: Ground) -> Shapes:
        """Shapes of all movers around the sensor at ``ego_x``, world frame."""
        if len(self._bodies) > 2000:
            self._bodies.clear()
        movers: list[Shapes] = []
        for number, flow in enumerate(self.flows):
            movers += self._flow_at(number, flow, stamp, ego_x, ground)
        return merge(movers + self._crossing_at(stamp, ego_x, ground))

    def _vehicle_flows(self, rng: np.random.Generator) -> list[Flow]:
        flows = []
        taken = float(np.clip(0.6 * self.config.vehicles * rng.uniform(0.5, 1.4), 0.0, 1.0))
        lane_width = self.street.lane_line / self.street.num_lanes
        for lane in range(self.street.num_lanes):
            y = (lane + 0.5) * lane_width
            speed = self.config.ego_speed * (1.0 if lane == 0 else rng.uniform(0.5, 0.9))
            flows.append(Flow(-y, 0.2, speed, rng.uniform(16.0, 24.0), taken, False))
            flows.append(Flow(y, 0.2, -rng.uniform(4.0, 11.0), rng.uniform(16.0, 26.0), taken, False))
        return flows

    def _people_flows(self, rng: np.random.Generator) -> list[Flow]:
        flows = []
        for side in (LEFT, RIGHT):
            outward = 1.0 if side == LEFT else -1.0
            half = 0.5 * self.street.sidewalk[side] - 0.6
            for direction in (-1.0, 1.0):
                taken = float(np.clip(0.55 * self.config.people * rng.uniform(0.5, 1.4), 0.0, 1.0))
                y = self.street.walk_middle(side) + outward * 0.25 + direction * 0.4 * half
                flows.append(Flow(y, 0.5 * half, direction * rng.uniform(0.9, 1.6), rng.uniform(5.0, 9.0), taken, True))
        return flows

    def _flow_at(self, number: int, flow: Flow, stamp: float, ego_x: float, ground: Ground) -> list[Shapes]:
        moved = flow.speed * stamp
        first, last = ceil((ego_x - REACH - moved) / flow.spacing), floor((ego_x + REACH - moved) / flow.spacing)
        in_ego_lane = number == 0
        heading = 0.0 if flow.speed > 0.0 else np.pi
        movers = []
        for k in range(first, last + 1):
            luck, along, across, phase = default_rng([self.seed, 4, number, k & 0xFFFFFFFF]).random(4)
            x = (k + 0.35 * (2.0 * along - 1.0) if flow.of_people else k + 0.12 * (2.0 * along - 1.0)) * flow.spacing
            x += moved
            if luck >= flow.taken or (in_ego_lane and abs(x - ego_x) < CLEARANCE):
                continue
            y = flow.y + flow.half_width * (2.0 * across - 1.0)
            stride = 4.0 * stamp + 6.0 * phase if flow.of_people else 0.0
            body = self._body(number, k, flow.of_people, stride)
            movers.append(place(body, x, y, ground_height(x, y, ground), heading))
        return movers

    def _crossing_at(self, stamp: float, ego_x: float, ground: Ground) -> list[Shapes]:
        """People who cross before cross streets; they stand at the kerb while the sensor passes."""
        movers = []
        length = self.street.block_length
        for block in range(floor((ego_x - REACH) / length), floor((ego_x + REACH) / length) + 1):
            cross = self.street.cross_half(block)
            for k in range(3 if cross else 0):
                luck, along, phase = default_rng([self.seed, 5, block & 0xFFFFFFFF, k]).random(3)
                if luck >= 0.6 * self.config.people:
                    continue
                x = block * length + CROSS_SIDEWALK - 1.0 + (along - 0.5) + (2.0 * cross + 4.6 if k == 2 else 0.0)
                speed = self.config.ego_speed
                passing = (x - self.street.ego_start) / speed if speed else 0.0
                turn = 2.0 * np.pi * (stamp - passing + (phase - 0.5) * 3.0) / CROSSING_PERIOD
                y = (self.street.road_half + 0.8) * float(np.clip(1.6 * np.cos(turn), -1.0, 1.0))
                y = y if k % 2 else -y
                body = self._body(1000 + k, block, True, 4.0 * stamp + 6.0 * phase)
                heading = -0.5 * np.pi if (np.sin(turn) > 0.0) == bool(k % 2) else 0.5 * np.pi
                movers.append(place(body, x, y, ground_height(x, y, ground), heading))
        return movers

    def _body(self, number: int, k: int, of_people: bool, stride: float) -> Shapes:
        """The look of a mover, which belongs to its place; a walker's legs are kept in eight positions."""
        pose = int(4.0 * stride / np.pi) % 8 if of_people else 0
        key = (number, k, pose)
        if key not in self._bodies:
            rng = default_rng([self.seed, 6, number, k & 0xFFFFFFFF])
            made = build_person(rng, np.sin(0.25 * np.pi * pose) * 0.6) if of_people else build_vehicle(rng)
            self._bodies[key] = made
        return self._bodies[key]
