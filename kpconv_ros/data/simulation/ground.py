# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ground of the street: carriageway, kerbs, verges, sidewalks and rough terrain, as a height over the plane.

The street runs along x. From its middle line outwards lie the carriageway, a grass verge (may have no width), the
sidewalk, and terrain. Cross streets cut through all of it but the carriageway.
"""

from math import floor
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kpconv_ros.data.simulation.classes import ROAD, SIDEWALK, TERRAIN
from kpconv_ros.data.simulation.hashing import value_noise

KERB_HEIGHT = 0.12  # m
CROSS_SIDEWALK = 2.2  # m, width of the sidewalks of cross streets
CROSSING_WIDTH = 3.0  # m, of the stripes before a cross street
LEFT, RIGHT = 0, 1  # sides: left is y > 0
PAVED_SLOPE, ROUGH_SLOPE = 0.06, 0.25  # no ground rises faster, but for kerbs and single tufts
HIT_TOLERANCE = 0.003  # m


class Ground(NamedTuple):
    """Parameters of the ground; a tuple of scalars and arrays because compiled code reads it."""

    road_half: float
    """Half width of the carriageway, m."""
    lane_line: float
    """Distance of the edge line from the middle, m."""
    verge: tuple[float, float]
    """Width of the grass verge by side, m."""
    sidewalk: tuple[float, float]
    """Width of the sidewalk by side, m."""
    hill_start: float
    """Where ``hill_heights`` begins, m."""
    hill_heights: NDArray[np.float64]
    """Height of the street's middle at every metre, (M,) m."""
    block_length: float
    """Length of a block, m; block k begins at k * block_length, with its cross street."""
    first_block: int
    blocks: NDArray[np.float64]
    """Of each block: half width of its cross street (m; 0 for none), slope of the terrain left and right, (K, 3)."""
    seed: int


class Place(NamedTuple):
    """Where a point of the ground lies in the layout of the street."""

    label: int
    side: int
    row: int
    """Row of the block in ``Ground.blocks``."""
    off_cross: float
    """Distance from the middle of the block's cross street, m."""
    beyond: float
    """Distance outside the outer edge of the sidewalk, m."""


@njit(cache=True, nogil=True)
def place_of(x: float, y: float, ground: Ground) -> Place:
    """Find what lies at (x, y)."""
    block = int(floor(x / ground.block_length))
    row = min(max(block - ground.first_block, 0), ground.blocks.shape[0] - 1)
    cross_half = ground.blocks[row, 0]
    off_cross = abs(x - (block * ground.block_length + cross_half + CROSS_SIDEWALK))
    side = LEFT if y > 0.0 else RIGHT
    beyond = abs(y) - ground.road_half - ground.verge[side] - ground.sidewalk[side]
    label = TERRAIN
    if abs(y) < ground.road_half or (cross_half > 0.0 and off_cross < cross_half):
        label = ROAD
    elif -ground.sidewalk[side] <= beyond < 0.0 or (cross_half > 0.0 and off_cross < cross_half + CROSS_SIDEWALK):
        label = SIDEWALK
    return Place(label, side, row, off_cross, beyond)


@njit(cache=True, nogil=True)
def hill_height(x: float, ground: Ground) -> float:
    """Height of the street's middle at x, m."""
    u = min(max(x - ground.hill_start, 0.0), ground.hill_heights.shape[0] - 1.001)
    i = int(u)
    return float(ground.hill_heights[i] + (u - i) * (ground.hill_heights[i + 1] - ground.hill_heights[i]))


@njit(cache=True, nogil=True)
def ground_height(x: float, y: float, ground: Ground) -> float:
    """Height of the ground at (x, y), m."""
    height: float = hill_height(x, ground)
    place: Place = place_of(x, y, ground)
    if place.label == ROAD:
        return height - 0.02 * min(abs(y), ground.road_half)
    height += KERB_HEIGHT - 0.02 * ground.road_half
    if place.label == SIDEWALK:
        return height
    height += 0.05 + 0.05 * value_noise(2.0 * x, 2.0 * y, ground.seed)
    if place.beyond > 0.0:
        height += ground.blocks[place.row, 1 + place.side] * min(place.beyond, 8.0)
        height += min(0.15, 0.03 * place.beyond) * value_noise(0.4 * x, 0.4 * y, ground.seed + 1)
    return height


@njit(cache=True, nogil=True)
def is_painted(x: float, y: float, place: Place, ground: Ground) -> bool:
    """Whether the carriageway at (x, y) carries a line or the stripe of a crossing."""
    if abs(y) > ground.road_half:
        return False
    cross_half = ground.blocks[place.row, 0]
    if cross_half > 0.0 and place.off_cross < cross_half + CROSSING_WIDTH + 1.0:
        return place.off_cross > cross_half + 0.5 and floor(y / 0.5) % 2 == 0
    if abs(y) < 0.08:
        return x - 9.0 * floor(x / 9.0) < 4.0
    return abs(abs(y) - ground.lane_line) < 0.07


@njit(cache=True, nogil=True)
def ground_surface(x: float, y: float, ground: Ground) -> tuple[int, float]:
    """Class and reflectivity of the ground at (x, y)."""
    place = place_of(x, y, ground)
    if place.label == ROAD:
        if is_painted(x, y, place, ground):
            return ROAD, 0.55
        return ROAD, 0.14 + 0.03 * value_noise(0.4 * x, 0.4 * y, ground.seed)
    if place.label == SIDEWALK:
        return SIDEWALK, 0.33 + 0.04 * value_noise(0.7 * x, 0.7 * y, ground.seed)
    return TERRAIN, 0.50 + 0.08 * value_noise(1.5 * x, 1.5 * y, ground.seed)


@njit(cache=True, nogil=True, error_model="numpy")
def safe_step(clearance: float, y: float, dy: float, dz: float, far: float, ground: Ground) -> float:
    """How far a ray ``clearance`` above the ground can go on, m: not into the ground, nor across the road's edge."""
    least = 0.1 + 0.01 * far
    to_edge = ground.road_half - abs(y)
    if to_edge <= 0.0:
        return max(clearance / max(ROUGH_SLOPE - dz, 0.02), least)
    step = clearance / max(PAVED_SLOPE - dz, 0.02)
    if abs(y + step * dy) > ground.road_half:
        step = (ground.road_half + (-y if dy > 0.0 else y)) / abs(dy) + 0.01
    return max(step, least)


@njit(cache=True, nogil=True, error_model="numpy")
def cast_on_ground(
    origin: NDArray[np.float64], dx: float, dy: float, dz: float, max_range: float, ground: Ground
) -> float:
    """Range where a ray meets the ground, m; ``max_range`` for nowhere. The origin is above the ground."""
    near, far, above, below = 0.0, 0.0, 0.0, 1.0
    if dz > ROUGH_SLOPE:
        return max_range
    while far < max_range:
        y = origin[1] + far * dy
        clearance = origin[2] + far * dz - ground_height(origin[0] + far * dx, y, ground)
        if clearance < HIT_TOLERANCE:
            below = clearance
            break
        near, above = far, clearance
        far += safe_step(clearance, y, dy, dz, far, ground)
    if below > HIT_TOLERANCE:
        return max_range
    for _ in range(12):
        if below > -HIT_TOLERANCE:
            return far
        fraction = min(max(above / (above - below), 0.2), 0.8)
        middle = near + fraction * (far - near)
        clearance = origin[2] + middle * dz - ground_height(origin[0] + middle * dx, origin[1] + middle * dy, ground)
        if clearance > HIT_TOLERANCE:
            near, above = middle, clearance
        else:
            far, below = middle, clearance
    return far
