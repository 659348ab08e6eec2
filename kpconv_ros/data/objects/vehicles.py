# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cars and airplanes: x forward, z up."""

import numpy as np
from numpy.random import Generator

from kpconv_ros.data.objects.primitives import Triangles, box, cylinder, ellipsoid, extrude, frustum, loft, move, turn


def make_car(generator: Generator) -> Triangles:
    """Draw a car: hatchback, saloon, estate, van or pickup, as its measures fall out. Metres, wheels on z = 0."""
    draw = generator.uniform
    length, width, clearance = draw(3.4, 5.2), draw(1.55, 2.0), draw(0.18, 0.35)
    belt, roof = draw(0.78, 1.05), draw(1.3, 1.95)
    hood, trunk = length * draw(0.06, 0.32), length * draw(0.0, 0.34)
    front, rear = length / 2, -length / 2
    nose = belt - draw(0.08, 0.28)
    outline = [
        *((rear, clearance), (front - 0.05, clearance), (front, 0.6 * nose), (front - 0.1, nose)),
        *((front - hood, belt), (rear + 0.5 * trunk, belt - draw(0.0, 0.08)), (rear, belt - draw(0.0, 0.15))),
    ]
    half, tumblehome = width / 2, draw(0.03, 0.2)
    cabin = frustum(
        (rear + trunk, front - hood, -half, half),
        (rear + trunk + draw(0.02, 0.55), front - hood - draw(0.3, 0.9), tumblehome - half, half - tumblehome),
        (belt, roof),
        (False, True),
    )
    parts = [extrude(outline, (-half, half)), cabin, _wheels(length, half, generator)]
    if draw() < 0.8:
        parts += [box((front - hood - 0.25, side * (half + 0.1), belt + 0.05), (0.15, 0.2, 0.15)) for side in (-1, 1)]
    if draw() < 0.25:
        parts.append(box((rear + 0.15, 0, belt + draw(0.1, 0.25)), (0.25, 0.9 * width, 0.04)))
    return np.concatenate(parts)


def _wheels(length: float, half: float, generator: Generator) -> Triangles:
    radius, thickness = generator.uniform(0.27, 0.4), generator.uniform(0.17, 0.25)
    axles = (length / 2 - generator.uniform(0.6, 0.95), generator.uniform(0.6, 1.0) - length / 2)
    wheel = turn(cylinder(radius, (-thickness / 2, thickness / 2)), 0, np.pi / 2)
    return np.concatenate(
        [move(wheel, axle, side * (half - 0.4 * thickness), radius) for axle in axles for side in (-1, 1)]
    )


def make_airplane(generator: Generator) -> Triangles:
    """Draw an airplane: fuselage, wings, tail and, mostly, engines. Metres, the fuselage along x at z = 0."""
    draw = generator.uniform
    length, radius = draw(18, 40), draw(1.2, 2.4)
    fuselage = ellipsoid((length / 2, radius, radius * draw(0.9, 1.2)))
    span, chord, sweep = length * draw(0.35, 0.6), length * draw(0.12, 0.22), length * draw(0.0, 0.25)
    root, rise = length * draw(-0.02, 0.15), draw(-0.05, 0.12) * length
    parts = [fuselage, _fins(root, radius * draw(-0.6, 0.8), span, chord, sweep, rise)]
    tail, small = -length * draw(0.38, 0.44), chord * draw(0.35, 0.6)
    height = length * draw(0.12, 0.22)
    on_top = height * (draw() < 0.3)  # a T tail
    parts.append(_fins(tail, on_top, span * draw(0.25, 0.4), small, sweep * 0.4, 0.0))
    upright = turn(_fin(span=height, chord=small * 1.3, sweep=small * draw(0.4, 1.2), rise=0.0), 0, np.pi / 2)
    parts.append(move(upright, tail, 0, 0.3 * radius))
    if draw() < 0.85:
        engine = ellipsoid((length * 0.06, radius * 0.35, radius * 0.35))
        place, out = (root, draw(0.25, 0.45) * span) if draw() < 0.7 else (tail + 0.1 * length, radius * 1.4)
        parts += [move(engine, place, side * out, -0.2 * radius) for side in (-1, 1)]
    return np.concatenate(parts)


def _fin(span: float, chord: float, sweep: float, rise: float) -> Triangles:
    """Return a tapered slab from the origin along +y; ``rise`` lifts its tip."""
    thickness, tip = 0.1 * chord, 0.4 * chord

    def section(x: float, y: float, z: float, depth: float) -> list[tuple[float, float, float]]:
        corners = ((0.5, 0.0), (0.0, 0.5 * thickness / depth), (-0.5, 0.0), (0.0, -0.5 * thickness / depth))
        return [(x + a * depth, y, z + b * depth) for a, b in corners]

    return loft(section(0, 0, 0, chord), section(-sweep, span, rise, tip))


def _fins(x: float, z: float, span: float, chord: float, sweep: float, rise: float) -> Triangles:
    """Return a pair of wings at x, one to each side."""
    one = _fin(span, chord, sweep, rise)
    return move(np.concatenate([one, one * (1, -1, 1)]), x, 0, z)
