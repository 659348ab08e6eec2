# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One block of the street from a seed: buildings, gardens, trees, poles, parked cars and people who wait."""

import numpy as np

from kpconv_ros.data.simulation.buildings import build_house, build_town_block
from kpconv_ros.data.simulation.ground import CROSS_SIDEWALK, LEFT, RIGHT, ground_height
from kpconv_ros.data.simulation.movers import build_car, build_person, build_vehicle
from kpconv_ros.data.simulation.shapes import Shapes, merge, place
from kpconv_ros.data.simulation.street_furniture import (
    build_bush,
    build_fence,
    build_hedge,
    build_lamp,
    build_sign,
    build_traffic_light,
    build_tree,
)
from kpconv_ros.data.simulation.street_layout import PARKING_WIDTH, StreetLayout


class StreetBlock:
    """Fills one block of a street with objects."""

    def __init__(self, street: StreetLayout, block: int) -> None:
        self.street = street
        self.block = block
        self.ground = street.ground_of_blocks(block, block)
        self.rng = street.generator(block, 1)
        self.cross = street.cross_half(block)
        self.start = block * street.block_length
        self.end = self.start + street.block_length
        self.cross_middle = self.start + self.cross + CROSS_SIDEWALK
        self.free_start = self.start + (2.0 * (self.cross + CROSS_SIDEWALK) if self.cross else 0.0)
        self.objects: list[Shapes] = []

    def build(self) -> Shapes:
        """All still shapes of the block, in the world frame."""
        for side in (LEFT, RIGHT):
            style = self.street.style(self.block, side)
            {"town": self._town, "houses": self._houses, "park": self._park}[style](side)
            self._kerbside(side)
            self._park_cars(side)
            if self.cross:
                self._cross_street(side)
        return merge(self.objects)

    def _put(self, shapes: Shapes, x: float, y: float, yaw: float = 0.0, lift: float = 0.0) -> None:
        self.objects.append(place(shapes, x, y, ground_height(x, y, self.ground) + lift, yaw))

    def _put_beside(self, shapes: Shapes, x: float, out: float, side: int, turn: float = 0.0) -> None:
        """Put an object ``out`` metres outside the sidewalk's outer edge, its +y pointing away from the road."""
        y = self.street.road_half + self.street.verge[side] + self.street.sidewalk[side] + out
        self._put(shapes, x, y if side == LEFT else -y, turn + (0.0 if side == LEFT else np.pi))

    def _town(self, side: int) -> None:
        x = self.free_start
        while x < self.end - 5.0:
            width = min(float(self.rng.uniform(8.0, 18.0)), self.end - x)
            setback = float(self.rng.choice([0.0, 0.0, 0.5, 1.5]))
            if self.rng.random() < 0.9:
                shapes = build_town_block(self.rng, width, float(self.rng.uniform(9.0, 14.0)))
                self._put_beside(shapes, x + 0.5 * width, setback, side)
            else:
                self._put_beside(build_fence(self.rng, width), x + 0.5 * width, 0.1, side)
                self._put_beside(build_tree(self.rng), x + 0.5 * width, 3.0, side)
            x += width + (float(self.rng.uniform(1.0, 4.0)) if self.rng.random() < 0.25 else 0.0)

    def _houses(self, side: int) -> None:
        x = self.free_start
        while x < self.end - 8.0:
            lot = min(float(self.rng.uniform(12.0, 22.0)), self.end - x)
            middle, setback = x + 0.5 * lot, float(self.rng.uniform(3.5, 8.0))
            width = lot * float(self.rng.uniform(0.5, 0.75))
            self._put_beside(build_house(self.rng, width, float(self.rng.uniform(7.0, 11.0))), middle, setback, side)
            self._garden(x, lot, setback, side)
            x += lot

    def _garden(self, x: float, lot: float, setback: float, side: int) -> None:
        """Fence or hedge along the sidewalk with a gap for the gate, one between lots, and plants."""
        gate, border = float(self.rng.uniform(1.5, 4.0)), self.rng.random()
        pieces = [(x + 0.25 * (lot - gate), 0.5 * (lot - gate)), (x + lot - 0.25 * (lot - gate), 0.5 * (lot - gate))]
        for middle, length in pieces if border < 0.85 else []:
            build = build_fence if border < 0.55 else build_hedge
            self._put_beside(build(self.rng, length), middle, 0.7 if border >= 0.55 else 0.15, side)
        if self.rng.random() < 0.5:
            self._put_beside(build_fence(self.rng, setback), x, 0.5 * setback + 0.2, side, 0.5 * np.pi)
        for _ in range(self._count(1.6, lot / 15.0)):
            plant = build_tree(self.rng) if self.rng.random() < 0.5 else build_bush(self.rng)
            self._put_beside(plant, x + self.rng.uniform(1.5, lot - 1.5), self.rng.uniform(1.7, setback - 1.0), side)
        if self.rng.random() < 0.3:
            self._put_beside(build_car(self.rng), x + 1.6, 3.5, side, 0.5 * np.pi)

    def _park(self, side: int) -> None:
        length = self.end - self.free_start
        for _ in range(self._count(14.0, length / 70.0)):
            plant = build_tree(self.rng) if self.rng.random() < 0.65 else build_bush(self.rng)
            x = self.rng.uniform(self.free_start + 2.0, self.end - 2.0)
            self._put_beside(plant, x, self.rng.uniform(2.0, 28.0), side)
        border = self.rng.random()
        if border < 0.75:
            step = length / 3.0
            for k in range(3):
                build = build_fence if border < 0.55 else build_hedge
                middle = self.free_start + (k + 0.5) * step
                self._put_beside(build(self.rng, step - 2.5), middle, 0.15 if border < 0.55 else 0.7, side)
        self._put_beside(build_town_block(self.rng, 0.6 * length, 10.0), 0.5 * (self.free_start + self.end), 36.0, side)

    def _kerbside(self, side: int) -> None:
        """Trees, lamps, signs and people waiting, between the kerb and where people walk."""
        verge = self.street.verge[side]
        strip = -self.street.sidewalk[side] + (-0.5 * verge if verge else 0.45)
        outward = 0.0 if verge else 0.1
        x = self.free_start + self.rng.uniform(2.0, 5.0)
        tree_share = min(0.75, 0.35 * self.street.green * self.street.config.plants + (0.15 if verge else 0.0))
        while x < self.end - 2.0:
            if self.rng.random() < tree_share:
                self._put_beside(build_tree(self.rng), x, strip + outward, side)
            elif self.rng.random() < 0.55:
                self._put_beside(build_lamp(self.rng), x, strip, side, np.pi)
            else:
                turn = float(self.rng.choice([0.0, np.pi])) + self.rng.normal(0.0, 0.1)
                self._put_beside(build_sign(self.rng), x, strip, side, turn)
            x += self.rng.uniform(5.0, 11.0)
        for _ in range(self.rng.poisson(1.5 * self.street.config.people)):
            spot = float(self.rng.uniform(self.free_start + 1.0, self.end - 1.0))
            for _ in range(self.rng.integers(1, 4)):
                out = -0.4 - self.rng.uniform(0.0, 0.5)
                person = build_person(self.rng, 0.1)
                self._put_beside(person, spot + self.rng.uniform(-0.9, 0.9), out, side, self.rng.uniform(0.0, 6.28))

    def _park_cars(self, side: int) -> None:
        if not self.street.has_parking[side]:
            return
        y = self.street.road_half - 0.5 * PARKING_WIDTH
        x = self.free_start + 8.0
        while x < self.end - 8.0:
            if self.rng.random() < self.street.parked:
                yaw = self.rng.normal(0.0, 0.03) + (np.pi if side == LEFT else 0.0)
                self._put(build_vehicle(self.rng), x, (y if side == LEFT else -y) + self.rng.normal(0.0, 0.08), yaw)
            x += self.rng.uniform(6.3, 8.0)

    def _cross_street(self, side: int) -> None:
        """Corner poles, a waiting car, and what stands along the cross street."""
        sign = 1.0 if side == LEFT else -1.0
        edge = self.street.road_half + self.street.verge[side] + self.street.sidewalk[side]
        for corner in (-1.0, 1.0):
            build = build_traffic_light if self.rng.random() < 0.6 else build_sign
            x = self.cross_middle + corner * (self.cross + 0.6)
            pole, yaw = build(self.rng), self.rng.choice([0.0, 0.5, 1.0, 1.5]) * np.pi
            self._put(pole, x, sign * (self.street.road_half + 0.6), yaw)
        if self.rng.random() < 0.6:
            x = self.cross_middle - sign * 0.5 * self.cross
            self._put(build_vehicle(self.rng), x, sign * (edge + 3.0), -sign * 0.5 * np.pi)
        for corner in (-1.0, 1.0):
            wall = self.cross_middle + corner * (self.cross + CROSS_SIDEWALK)
            y = edge + 18.0
            while y < 70.0:
                width = float(self.rng.uniform(8.0, 16.0))
                is_built = self.rng.random() < 0.7
                row = build_town_block(self.rng, width, 9.0) if is_built else build_hedge(self.rng, width)
                self._put(row, wall + corner * 0.8, sign * (y + 0.5 * width), -corner * 0.5 * np.pi)
                if self.rng.random() < 0.5:
                    x = self.cross_middle + corner * (self.cross - 1.0)
                    self._put(build_vehicle(self.rng), x, sign * (y + 0.5 * width), 0.5 * np.pi)
                y += width + float(self.rng.uniform(0.5, 5.0))

    def _count(self, mean: float, scale: float) -> int:
        return int(self.rng.poisson(mean * scale * self.street.green * self.street.config.plants))
