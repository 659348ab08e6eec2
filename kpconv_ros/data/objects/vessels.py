# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bottles, cups and vases: turned about the z axis, on z = 0, metres."""

import numpy as np
from numpy.random import Generator

from kpconv_ros.data.objects.primitives import SIDES, Triangles, loft, revolve


def make_bottle(generator: Generator) -> Triangles:
    """Draw a bottle: a body, a shoulder and a narrow neck."""
    draw = generator.uniform
    radius, height, neck = draw(0.03, 0.055), draw(0.18, 0.34), draw(0.009, 0.016)
    shoulder, collar = height * draw(0.45, 0.7), height * draw(0.72, 0.85)
    profile = [(0, 0), (radius, 0), (radius * draw(0.9, 1.0), shoulder), (neck, collar), (neck, height), (0, height)]
    return revolve(profile)


def make_cup(generator: Generator) -> Triangles:
    """Draw a cup: an open vessel, mostly with a handle."""
    draw = generator.uniform
    radius, height = draw(0.032, 0.05), draw(0.06, 0.13)
    parts = [revolve([(0, 0.004), (radius * draw(0.6, 1.0), 0), (radius, height)])]
    if draw() < 0.8:
        parts.append(_handle(radius, height, draw(0.018, 0.035), draw(0.004, 0.008)))
    return np.concatenate(parts)


def _handle(radius: float, height: float, reach: float, thickness: float) -> Triangles:
    """Return half a ring beside a cup, in the plane y = 0."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, SIDES // 2)
    rings = []
    for angle in angles:
        x, z = 0.95 * radius + reach * np.cos(angle), height / 2 + 0.33 * height * np.sin(angle)
        out = np.array([np.cos(angle), 0, np.sin(angle)]) * thickness
        side = np.array([0, thickness, 0])
        rings.append(np.array([x, 0, z]) + np.array([-out - side, out - side, out + side, side - out]))
    return np.concatenate([loft(low, high, (False, False)) for low, high in zip(rings, rings[1:])])


def make_vase(generator: Generator) -> Triangles:
    """Draw a vase: an open vessel with a belly and a wide mouth."""
    draw = generator.uniform
    height, belly, mouth = draw(0.15, 0.4), draw(0.05, 0.11), draw(0.03, 0.09)
    waist = min(belly, mouth) * draw(0.6, 0.95)
    profile = [(0, 0), (belly * draw(0.4, 0.8), 0), (belly, height * draw(0.25, 0.55)), (waist, 0.82 * height)]
    return revolve([*profile, (mouth, height)])
