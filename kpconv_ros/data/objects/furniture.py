# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chairs, stools, sofas, tables, lamps: z up, on z = 0, metres."""

import numpy as np
from numpy.random import Generator

from kpconv_ros.data.objects.primitives import Triangles, box, cylinder, four_legs, move, revolve, turn


def make_chair(generator: Generator) -> Triangles:
    """Draw a chair: seat, back and legs or a pedestal, some with arms."""
    draw = generator.uniform
    width, depth, seat, thick = draw(0.38, 0.6), draw(0.38, 0.6), draw(0.38, 0.52), draw(0.03, 0.1)
    tall, lean = draw(0.35, 0.75), draw(0.0, 0.3)
    back = turn(box((0, 0, tall / 2), (draw(0.02, 0.08), width, tall)), 1, -lean)
    parts = [box((0, 0, seat), (depth, width, thick)), move(back, -depth / 2, 0, seat)]
    parts.append(_support(depth, width, seat, generator))
    if draw() < 0.4:
        high = seat + draw(0.15, 0.28)
        parts += [box((0, side * width / 2, high), (depth, 0.05, 0.04)) for side in (-1, 1)]
        parts += [box((depth / 3, side * width / 2, (seat + high) / 2), (0.04, 0.04, high - seat)) for side in (-1, 1)]
    return np.concatenate(parts)


def _support(depth: float, width: float, height: float, generator: Generator) -> Triangles:
    """Return four legs or, in one of three, a pedestal."""
    draw = generator.uniform
    if draw() < 0.33:
        foot = revolve([(0, 0.03), (min(depth, width) * draw(0.35, 0.55), 0)])
        return np.concatenate([foot, cylinder(draw(0.02, 0.06), (0, height))])
    leg = draw(0.025, 0.06)
    return four_legs((depth - leg) / 2, (width - leg) / 2, height, leg, draw(0.0, 0.08))


def make_stool(generator: Generator) -> Triangles:
    """Draw a stool: a round or square seat, no back."""
    draw = generator.uniform
    size, height, thick = draw(0.28, 0.45), draw(0.4, 0.8), draw(0.02, 0.1)
    is_round = draw() < 0.6
    seat = cylinder(size / 2, (height, height + thick)) if is_round else box((0, 0, height), (size, size, thick))
    inner = size * (0.7 if is_round else 1.0)
    return np.concatenate([seat, _support(inner, inner, height, generator)])


def make_sofa(generator: Generator) -> Triangles:
    """Draw a sofa: a body, a back and, mostly, arms."""
    draw = generator.uniform
    width, depth, seat, thick = draw(1.2, 2.4), draw(0.75, 1.05), draw(0.35, 0.5), draw(0.12, 0.28)
    back = draw(0.7, 1.0)
    parts = [
        box((0, 0, seat / 2 + 0.05), (depth, width, seat - 0.1)),
        box(((thick - depth) / 2, 0, back / 2), (thick, width, back)),
    ]
    if draw() < 0.85:
        arm = seat + draw(0.1, 0.28)
        parts += [box((0, side * (width + thick) / 2, arm / 2), (depth, thick, arm)) for side in (-1, 1)]
    return np.concatenate(parts)


def make_table(generator: Generator) -> Triangles:
    """Draw a table: a round or rectangular top on legs, a pedestal or two side boards."""
    draw = generator.uniform
    depth, width, height, thick = draw(0.5, 1.1), draw(0.8, 2.2), draw(0.4, 0.85), draw(0.02, 0.07)
    kind = draw()
    if kind < 0.25:
        return np.concatenate(
            [cylinder(width / 2, (height, height + thick)), _support(0.6 * width, 0.6 * width, height, generator)]
        )
    parts = [box((0, 0, height), (depth, width, thick))]
    if kind < 0.45:
        inset = draw(0.4, 0.5) * width
        parts += [box((0, side * inset, height / 2), (0.9 * depth, 0.04, height)) for side in (-1, 1)]
    else:
        leg = draw(0.03, 0.1)
        parts.append(four_legs((depth - leg) / 2, (width - leg) / 2, height, leg, draw(-0.03, 0.05)))
    if draw() < 0.3:
        parts.append(box((0, 0, draw(0.15, 0.4) * height), (0.8 * depth, 0.8 * width, 0.03)))
    return np.concatenate(parts)


def make_lamp(generator: Generator) -> Triangles:
    """Draw a lamp: a foot, a pole and a shade."""
    draw = generator.uniform
    height, foot, shade = draw(0.4, 1.8), draw(0.1, 0.22), draw(0.12, 0.32)
    low = height - draw(0.15, 0.35)
    return np.concatenate(
        [
            cylinder(foot, (0, draw(0.015, 0.06))),
            cylinder(draw(0.008, 0.03), (0, height)),
            revolve([(shade, low), (shade * draw(0.3, 1.0), height)]),
        ]
    )
