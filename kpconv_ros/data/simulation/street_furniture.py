# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trees, hedges, fences, poles and signs, each built of shapes in its own frame: foot at the origin, z up."""

import numpy as np
from numpy.random import Generator

from kpconv_ros.data.simulation.classes import FENCE, POLE, VEGETATION
from kpconv_ros.data.simulation.shapes import (
    CYLINDER,
    ELLIPSOID,
    HEDGE,
    LEAVES,
    SLATS,
    TAPERED,
    Shapes,
    assemble,
    shape,
)

SUNK = 0.4  # m, how deep things reach into the ground so that no slope uncovers their foot


def build_tree(rng: Generator) -> Shapes:
    """A trunk under a canopy of several porous ellipsoids."""
    height = rng.uniform(3.5, 9.0)
    bare = rng.uniform(0.25, 0.45) * height
    radius = rng.uniform(0.08, 0.13) + 0.014 * height
    spread = rng.uniform(0.22, 0.38) * height
    bark = rng.uniform(0.15, 0.28)
    top = 0.5 * (bare + 0.8 * height)
    rows = [shape(CYLINDER, VEGETATION, (0.0, 0.0, 0.5 * (top - SUNK)), (radius, radius, 0.5 * (top + SUNK)), bark)]
    leaf, density = rng.uniform(0.35, 0.55), rng.uniform(0.08, 0.22)
    for _ in range(rng.integers(3, 7)):
        angle, reach = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.0, 0.55) * spread
        z = rng.uniform(bare + 0.25 * (height - bare), height - 0.2 * (height - bare))
        size = spread * rng.uniform(0.5, 0.8)
        half_height = min(0.8 * size, z - 0.75 * bare)
        center = (reach * np.cos(angle), reach * np.sin(angle), z)
        rows.append(shape(LEAVES, VEGETATION, center, (size, size, half_height), leaf, 0.0, (density, 0.0)))
    return assemble(rows, int(rng.integers(1 << 20)))


def build_bush(rng: Generator) -> Shapes:
    """One to three low porous ellipsoids on the ground."""
    rows = []
    for _ in range(rng.integers(1, 4)):
        size = rng.uniform(0.4, 1.1)
        center = (rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7), 0.5 * size)
        half_sizes = (size, size * rng.uniform(0.7, 1.2), size * rng.uniform(0.7, 1.1))
        leaf, density = rng.uniform(0.35, 0.55), rng.uniform(0.3, 0.55)
        rows.append(shape(LEAVES, VEGETATION, center, half_sizes, leaf, 0.0, (density, 0.0)))
    return assemble(rows, int(rng.integers(1 << 20)))


def build_hedge(rng: Generator, length: float) -> Shapes:
    """A trimmed hedge along x, ``length`` metres."""
    height = rng.uniform(0.8, 2.0)
    half_sizes = (0.5 * length, rng.uniform(0.3, 0.6), 0.5 * (height + SUNK))
    row = shape(
        HEDGE, VEGETATION, (0.0, 0.0, 0.5 * (height - SUNK)), half_sizes, rng.uniform(0.35, 0.55), 0.0, (0.5, 0.0)
    )
    return assemble([row], int(rng.integers(1 << 20)))


def build_fence(rng: Generator, length: float) -> Shapes:
    """A thin fence along x, ``length`` metres: pickets, boards with gaps, or closed boards, with posts."""
    height = rng.uniform(1.0, 1.9)
    period, filled = rng.uniform(0.12, 0.3), rng.choice([0.5, 0.7, 1.0])
    tone = rng.uniform(0.55, 0.75)
    center, half_height = (0.0, 0.0, 0.5 * (height - SUNK)), 0.5 * (height + SUNK)
    rows = [shape(SLATS, FENCE, center, (0.5 * length, 0.03, half_height), tone, 0.0, (period, filled))]
    for x in np.arange(-0.5 * length, 0.5 * length + 0.1, 2.5):
        rows.append(shape(TAPERED, FENCE, (x, 0.0, 0.5 * (height - SUNK)), (0.06, 0.06, half_height + 0.04), tone))
    return assemble(rows, int(rng.integers(1 << 20)))


def build_lamp(rng: Generator) -> Shapes:
    """A lamp post whose arm reaches along +y."""
    height, radius = rng.uniform(5.0, 8.0), rng.uniform(0.07, 0.11)
    tone, arm = rng.uniform(0.7, 0.9), rng.uniform(0.5, 1.6)
    rows = [
        shape(CYLINDER, POLE, (0.0, 0.0, 0.5 * (height - SUNK)), (radius, radius, 0.5 * (height + SUNK)), tone),
        shape(CYLINDER, POLE, (0.0, 0.0, 0.4), (radius + 0.05, radius + 0.05, 0.5), tone),
        shape(TAPERED, POLE, (0.0, 0.5 * arm, height), (0.05, 0.5 * arm, 0.05), tone),
        shape(TAPERED, POLE, (0.0, arm, height), (0.13, 0.35, 0.08), tone),
    ]
    return assemble(rows)


def build_sign(rng: Generator) -> Shapes:
    """A sign post whose plates look along x; plates shine."""
    height, radius = rng.uniform(2.4, 3.4), rng.uniform(0.04, 0.06)
    rows = [shape(CYLINDER, POLE, (0.0, 0.0, 0.5 * (height - SUNK)), (radius, radius, 0.5 * (height + SUNK)), 0.75)]
    top = height
    for _ in range(rng.integers(1, 3)):
        half = rng.uniform(0.28, 0.4)
        if rng.random() < 0.5:
            rows.append(shape(ELLIPSOID, POLE, (0.06, 0.0, top - half), (0.03, half, half), 0.95))
        else:
            rows.append(shape(TAPERED, POLE, (0.06, 0.0, top - half), (0.02, half, half), 0.95))
        top -= 2.0 * half + 0.03
    return assemble(rows)


def build_traffic_light(rng: Generator) -> Shapes:
    """A signal post with its lamp box."""
    height = rng.uniform(3.0, 3.6)
    rows = [
        shape(CYLINDER, POLE, (0.0, 0.0, 0.5 * (height - SUNK)), (0.08, 0.08, 0.5 * (height + SUNK)), 0.75),
        shape(TAPERED, POLE, (0.12, 0.0, height - 0.5), (0.13, 0.16, 0.48), 0.65),
    ]
    return assemble(rows)
