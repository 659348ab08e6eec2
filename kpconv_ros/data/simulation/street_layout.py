# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a seed decides about a whole street: widths, lanes, hills, and where blocks and cross streets lie."""

from math import floor

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from kpconv_ros.data.simulation.config import SimulatorConfig
from kpconv_ros.data.simulation.ground import LEFT, RIGHT, Ground

LANE_WIDTH = 3.2  # m
PARKING_WIDTH = 2.2  # m


class StreetLayout:
    """An endless street of one seed, as numbers. Block k begins at ``k * block_length`` with its cross street."""

    def __init__(self, config: SimulatorConfig, seed: int) -> None:
        self.config = config
        self.seed = seed
        rng = default_rng([seed, 1])
        self.num_lanes = int(rng.choice([1, 1, 2]))
        self.has_parking = rng.random(2) < 0.8
        parking = PARKING_WIDTH if self.has_parking.any() else 0.4
        self.road_half = self.num_lanes * (LANE_WIDTH + rng.uniform(0.0, 0.4)) + parking
        self.lane_line = self.road_half - parking
        self.verge = [float(width) for width in np.where(rng.random(2) < 0.5, rng.uniform(1.2, 3.0, 2), 0.0)]
        self.sidewalk = [float(width) for width in rng.uniform(1.8, 4.0, 2)]
        self.block_length = rng.uniform(60.0, 100.0)
        length = rng.uniform(120.0, 300.0, 2)
        self.hills = np.stack([0.012 * length / (2.0 * np.pi), 2.0 * np.pi / length, rng.uniform(0.0, 6.0, 2)], axis=1)
        self.green = rng.uniform(0.4, 1.4)
        start, self.ego_sway = default_rng([seed, 7]).uniform(0.0, 2.0 * np.pi, 2)
        self.ego_start = 10.0 * float(start)
        self.parked = float(np.clip(config.parked_cars * rng.uniform(0.5, 1.5), 0.0, 1.0))

    def cross_half(self, block: int) -> float:
        """Half width of a block's cross street, m; 0 where it has none."""
        rng = self.generator(block, 0)
        return float(rng.uniform(3.0, 4.5)) if rng.random() < 0.6 else 0.0

    def walk_middle(self, side: int) -> float:
        """Lateral position y of the middle of a side's sidewalk, m."""
        y = self.road_half + self.verge[side] + 0.5 * self.sidewalk[side]
        return float(y if side == LEFT else -y)

    def ego_x(self, stamp: float) -> float:
        """Where the sensor is along the street, m."""
        return self.config.ego_speed * stamp + self.ego_start

    def ego_y(self, x: float) -> float:
        """Lateral position of the sensor's path at x, m: its lane, with a slow sway."""
        return float(-0.5 * self.lane_line / self.num_lanes + 0.25 * np.sin(0.05 * x + self.ego_sway))

    def generator(self, block: int, purpose: int) -> Generator:
        """Random numbers that belong to a block and a purpose."""
        return default_rng([self.seed, 2, block & 0xFFFFFFFF, purpose])

    def style(self, block: int, side: int) -> str:
        """What stands beside the street: town, houses or park."""
        return str(self.generator(block, 10 + side).choice(["town", "town", "houses", "houses", "park"]))

    def ground_of_blocks(self, first: int, last: int) -> Ground:
        """The ground of the blocks from ``first`` to ``last``."""
        blocks = range(first, last + 1)
        flat = {"town": 0.02, "houses": 0.08, "park": 0.15}
        table = [
            [self.cross_half(k)]
            + [self.generator(k, 20 + side).uniform(-0.4, 1.0) * flat[self.style(k, side)] for side in (LEFT, RIGHT)]
            for k in blocks
        ]
        hill_start, hill_end = floor(first * self.block_length) - 10.0, (last + 1) * self.block_length + 10.0
        return Ground(
            self.road_half,
            self.lane_line,
            (self.verge[LEFT], self.verge[RIGHT]),
            (self.sidewalk[LEFT], self.sidewalk[RIGHT]),
            hill_start,
            self._hill_heights(hill_start, hill_end),
            self.block_length,
            first,
            np.array(table),
            self.seed & 0xFFFF,
        )

    def _hill_heights(self, start: float, end: float) -> NDArray[np.float64]:
        """Sum of the waves along the street at every metre from ``start``."""
        x = start + np.arange(int(end - start) + 2)
        amplitude, wave_number, phase = self.hills.T
        return np.asarray(np.sin(x[:, None] * wave_number + phase) @ amplitude)
