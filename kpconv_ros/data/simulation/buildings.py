# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Houses and town blocks, built of shapes in their own frame: front wall along x at y = 0, the house behind (y > 0)."""

from numpy.random import Generator

from kpconv_ros.data.simulation.classes import BUILDING
from kpconv_ros.data.simulation.shapes import FACADE, TAPERED, Shapes, assemble, shape

CELLAR = 1.5  # m below the ground


def build_town_block(rng: Generator, width: float, depth: float) -> Shapes:
    """A flat-roofed block with windows, sometimes with bays, balconies, pilasters, an awning or steps."""
    height, tone = rng.uniform(7.0, 20.0), rng.uniform(0.22, 0.5)
    grid = (rng.uniform(2.0, 3.6), rng.uniform(2.7, 3.4))
    z, half_height = 0.5 * (height - CELLAR), 0.5 * (height + CELLAR)
    rows = [shape(FACADE, BUILDING, (0.0, 0.5 * depth, z), (0.5 * width, 0.5 * depth, half_height), tone, 0.0, grid)]
    if rng.random() < 0.35:
        bay, out = rng.uniform(1.2, 2.5), rng.uniform(0.3, 0.6)
        x = rng.uniform(-0.5, 0.5) * (width - 2.0 * bay)
        rows.append(shape(FACADE, BUILDING, (x, 0.0, z), (bay, out, half_height - 1.0), tone, 0.0, grid))
    if rng.random() < 0.4:
        for x in (-0.25 * width, 0.25 * width):
            floor = 3.2 + 3.0 * float(rng.integers(0, 2))
            rows.append(shape(TAPERED, BUILDING, (x, -0.5, floor), (rng.uniform(0.9, 1.8), 0.5, 0.5), 0.8 * tone))
    if rng.random() < 0.4:
        half = rng.uniform(0.2, 0.4) * width
        rows.append(shape(TAPERED, BUILDING, (rng.uniform(-0.1, 0.1) * width, -0.45, 2.85), (half, 0.45, 0.1), tone))
    if rng.random() < 0.5:
        rows.append(shape(TAPERED, BUILDING, (rng.uniform(-0.4, 0.4) * width, -0.2, 0.0), (0.8, 0.3, 0.35), tone))
    if rng.random() < 0.3:
        for k in range(int(width / 3.0)):
            x = -0.5 * width + 1.5 + 3.0 * k
            rows.append(shape(TAPERED, BUILDING, (x, 0.0, z), (0.2, 0.15, half_height - 0.5), 1.2 * tone))
    return assemble(rows, int(rng.integers(1 << 20)))


def build_house(rng: Generator, width: float, depth: float) -> Shapes:
    """A detached house with a gable roof, sometimes with a porch, a garage and a chimney."""
    height, tone = rng.uniform(3.0, 6.2), rng.uniform(0.25, 0.55)
    grid = (rng.uniform(2.0, 3.5), 2.9)
    z, half_height = 0.5 * (height - CELLAR), 0.5 * (height + CELLAR)
    roof = rng.uniform(0.8, 1.8)
    lean = (0.0, 0.97) if rng.random() < 0.6 else (0.97, 0.0)
    roof_size = (0.5 * width + 0.4, 0.5 * depth + 0.4, roof)
    rows = [
        shape(FACADE, BUILDING, (0.0, 0.5 * depth, z), (0.5 * width, 0.5 * depth, half_height), tone, 0.0, grid),
        shape(TAPERED, BUILDING, (0.0, 0.5 * depth, height + roof), roof_size, rng.uniform(0.2, 0.4), 0.0, lean),
    ]
    if rng.random() < 0.5:
        rows.append(shape(TAPERED, BUILDING, (0.2 * width, -0.6, 2.6), (1.4, 0.7, 0.1), tone))
        rows.append(shape(TAPERED, BUILDING, (0.2 * width, -0.6, 0.0), (1.2, 0.7, 0.3), tone))
    if rng.random() < 0.4:
        rows.append(shape(TAPERED, BUILDING, (-0.5 * width - 1.6, 0.4 * depth, 0.6), (1.6, 2.6, 2.0), 0.9 * tone))
    return assemble(rows, int(rng.integers(1 << 20)))
