# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cars, vans, trucks and people, each built of shapes in its own frame: centre on the ground, heading +x, z up."""

import numpy as np
from numpy.random import Generator

from kpconv_ros.data.simulation.classes import CAR, PERSON
from kpconv_ros.data.simulation.shapes import ELLIPSOID, TAPERED, Shapes, Z, assemble, shape

GLASS = 0.06  # reflectivity
RUBBER = 0.08


def build_vehicle(rng: Generator) -> Shapes:
    """A car, or sometimes a van or a truck."""
    kind = rng.random()
    if kind < 0.75:
        return build_car(rng)
    return build_van(rng) if kind < 0.93 else build_truck(rng)


def wheels(axle: float, half_width: float, radius: float) -> list[list[float]]:
    """Four wheels ``axle`` metres before and behind the middle."""
    return [
        shape(ELLIPSOID, CAR, (x, y, radius), (radius, 0.12, radius), RUBBER)
        for x in (-axle, axle)
        for y in (-half_width + 0.1, half_width - 0.1)
    ]


def build_car(rng: Generator) -> Shapes:
    """Hatchback, saloon or estate: body, cabin with glass below a roof, wheels, and plates that shine."""
    half, wide = rng.uniform(1.8, 2.4), rng.uniform(0.82, 0.95)
    paint = rng.choice([0.12, 0.25, 0.4, 0.6, 0.8])
    belt, roof = rng.uniform(0.82, 0.98), rng.uniform(1.4, 1.7)
    cabin = half * rng.uniform(0.5, 0.7)
    back = rng.uniform(-0.4, 0.0) * half * 0.6
    middle, glass_half = 0.5 * (belt + roof - 0.08), 0.5 * (roof - 0.08 - belt)
    rows = [
        shape(TAPERED, CAR, (0.0, 0.0, 0.5 * belt + 0.125), (half, wide, 0.5 * belt - 0.125), paint, 0.0, (0.05, 0.04)),
        shape(TAPERED, CAR, (back, 0.0, middle), (cabin, wide - 0.04, glass_half), GLASS, 0.0, (0.32, 0.22)),
        shape(TAPERED, CAR, (back, 0.0, roof - 0.05), (0.68 * cabin, 0.78 * wide, 0.05), paint),
        shape(TAPERED, CAR, (-half, 0.0, 0.6), (0.03, 0.26, 0.06), 0.95),
        shape(TAPERED, CAR, (half, 0.0, 0.5), (0.03, 0.26, 0.06), 0.95),
    ]
    return assemble(rows + wheels(0.62 * half, wide, rng.uniform(0.3, 0.35)))


def build_van(rng: Generator) -> Shapes:
    """A delivery van: a tall box with a short slanted nose."""
    half, wide, roof = rng.uniform(2.3, 2.9), rng.uniform(0.92, 1.02), rng.uniform(1.9, 2.5)
    paint = rng.choice([0.3, 0.6, 0.85])
    box = (half - 0.3, wide, 0.5 * (roof - 0.3))
    rows = [
        shape(TAPERED, CAR, (-0.3, 0.0, 0.5 * (roof + 0.3)), box, paint, 0.0, (0.08, 0.08)),
        shape(TAPERED, CAR, (half - 0.6, 0.0, 0.7), (0.6, wide - 0.03, 0.4), paint, 0.0, (0.3, 0.05)),
        shape(TAPERED, CAR, (half - 0.75, 0.0, 1.4), (0.35, wide - 0.1, 0.4), GLASS, 0.0, (0.8, 0.15)),
    ]
    return assemble(rows + wheels(0.62 * half, wide, 0.35))


def build_truck(rng: Generator) -> Shapes:
    """A small truck: cab and cargo box."""
    half, wide, roof = rng.uniform(3.0, 3.8), rng.uniform(1.05, 1.2), rng.uniform(2.7, 3.3)
    paint = rng.choice([0.3, 0.6, 0.85])
    cargo = (half - 0.9, wide, 0.5 * (roof - 0.9))
    rows = [
        shape(TAPERED, CAR, (-0.9, 0.0, 0.5 * (roof + 0.9)), cargo, rng.uniform(0.4, 0.8)),
        shape(TAPERED, CAR, (half - 0.8, 0.0, 1.35), (0.8, wide - 0.08, 0.95), paint, 0.0, (0.15, 0.06)),
        shape(TAPERED, CAR, (-0.3, 0.0, 0.75), (half - 0.6, 0.5, 0.18), 0.2),
    ]
    return assemble(rows + wheels(0.6 * half, wide, 0.45))


def build_person(rng: Generator, stride: float) -> Shapes:
    """A pedestrian whose legs and arms stand ``stride`` radians out of the vertical, one forward, one back."""
    tall = rng.uniform(1.5, 1.92) / 1.75
    coat, trousers = rng.uniform(0.15, 0.6), rng.uniform(0.1, 0.5)
    wide = rng.uniform(0.19, 0.26)
    rows = [
        shape(ELLIPSOID, PERSON, (0.0, 0.0, 1.15), (0.14, wide, 0.36), coat),
        shape(ELLIPSOID, PERSON, (0.02, 0.0, 1.62), (0.11, 0.09, 0.13), 0.45),
    ]
    swing = float(np.sin(stride))
    for side in (-1.0, 1.0):
        forward = side * swing
        leg = (0.09 + 0.22 * abs(swing), 0.08, 0.46)
        rows.append(shape(ELLIPSOID, PERSON, (0.3 * forward, 0.1 * side, 0.42), leg, trousers))
        rows.append(shape(ELLIPSOID, PERSON, (-0.25 * forward, (wide + 0.04) * side, 1.1), (0.07, 0.06, 0.32), coat))
    if rng.random() < 0.3:
        rows.append(shape(TAPERED, PERSON, (-0.22, 0.0, 1.25), (0.12, 0.16, 0.22), coat))
    shapes = assemble(rows)
    shapes[:, Z : Z + 1] *= tall
    shapes[:, Z + 1 : Z + 4] *= tall
    return shapes
