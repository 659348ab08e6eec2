# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cast the rays of a scan into shapes and ground: shapes are sorted by distance and listed by sector of azimuth."""

from math import atan2, pi, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kpconv_ros.data.simulation.ground import Ground, cast_on_ground, ground_surface
from kpconv_ros.data.simulation.intersections import (
    MISS,
    cross_ellipsoid,
    cross_tapered,
    facade_relief,
    hit_cylinder,
    hit_leaves,
    is_slat,
)
from kpconv_ros.data.simulation.shapes import (
    COS,
    CYLINDER,
    ELLIPSOID,
    FACADE,
    HEDGE,
    KIND,
    LABEL,
    LEAVES,
    P0,
    P1,
    REFLECTIVITY,
    SEED,
    SIN,
    SLATS,
    TAPERED,
    A,
    B,
    C,
    X,
    Y,
    Z,
)

NUM_SECTORS = 720


class Sectors(NamedTuple):
    """Shapes seen in each sector of azimuth, nearest first: ``shape_of_entry[start[s]:start[s + 1]]``."""

    shapes: NDArray[np.float64]  # (P, COLUMNS), sorted by distance
    near: NDArray[np.float64]  # (P,) m, least horizontal distance from the sensor
    far: NDArray[np.float64]  # (P,) m
    start: NDArray[np.int64]  # (NUM_SECTORS + 1,)
    shape_of_entry: NDArray[np.int64]


class Hits(NamedTuple):
    """What each ray met; a ray that met nothing has range 0."""

    range: NDArray[np.float64]  # (N,) m
    label: NDArray[np.uint8]  # (N,)
    brightness: NDArray[np.float64]  # (N,) reflectivity times the fall-off with incidence, 0..1


@njit(cache=True, nogil=True)
def measure_shape(row: NDArray[np.float64], x: float, y: float, margin: float) -> tuple[float, float, float, float]:
    """Least and greatest horizontal distance (m) from (x, y) and first and last azimuth (rad) of a shape's box."""
    a, b = row[A] + margin, row[B] + margin
    ox, oy = x - row[X], y - row[Y]
    u, v = ox * row[COS] + oy * row[SIN], oy * row[COS] - ox * row[SIN]
    out_u, out_v = max(abs(u) - a, 0.0), max(abs(v) - b, 0.0)
    near = sqrt(out_u * out_u + out_v * out_v)
    far = sqrt((abs(u) + a) ** 2 + (abs(v) + b) ** 2)
    if near == 0.0:
        return near, far, -pi, pi
    heading = atan2(-oy, -ox)
    low, high = 0.0, 0.0
    for corner in range(4):
        cu = a if corner & 1 else -a
        cv = b if corner & 2 else -b
        px, py = cu * row[COS] - cv * row[SIN] - ox, cu * row[SIN] + cv * row[COS] - oy
        turn = atan2(-ox * py + oy * px, -ox * px - oy * py)
        low, high = min(low, turn), max(high, turn)
    return near, far, heading + low, heading + high


@njit(cache=True, nogil=True)
def list_sectors(shapes: NDArray[np.float64], x: float, y: float, max_range: float, margin: float) -> Sectors:
    """Sort shapes into sectors seen from (x, y); ``margin`` (m) widens them for a sensor that moves during the scan."""
    extents = np.empty((shapes.shape[0], 4))
    for p in range(shapes.shape[0]):
        extents[p] = np.array(measure_shape(shapes[p], x, y, margin))
    order = np.argsort(extents[:, 0])
    order = order[: np.searchsorted(extents[order, 0], max_range)]
    shapes, extents = shapes[order], extents[order]
    width = 2.0 * pi / NUM_SECTORS
    first = np.floor(extents[:, 2] / width).astype(np.int64)
    last = np.minimum(np.floor(extents[:, 3] / width).astype(np.int64), first + NUM_SECTORS - 1)
    start = np.zeros(NUM_SECTORS + 1, np.int64)
    for p in range(shapes.shape[0]):
        for s in range(first[p], last[p] + 1):
            start[s % NUM_SECTORS + 1] += 1
    start = np.cumsum(start)
    filled = start.copy()
    shape_of_entry = np.empty(start[-1], np.int64)
    for p in range(shapes.shape[0]):
        for s in range(first[p], last[p] + 1):
            shape_of_entry[filled[s % NUM_SECTORS]] = p
            filled[s % NUM_SECTORS] += 1
    return Sectors(shapes, extents[:, 0].copy(), extents[:, 1].copy(), start, shape_of_entry)


@njit(cache=True, nogil=True, error_model="numpy")
def hit_shape(
    row: NDArray[np.float64], origin: NDArray[np.float64], dx: float, dy: float, dz: float
) -> tuple[float, float]:
    """Range (m; MISS for none) and brightness of the point where a ray meets a shape."""
    ox, oy, oz = origin[0] - row[X], origin[1] - row[Y], origin[2] - row[Z]
    u, v = ox * row[COS] + oy * row[SIN], oy * row[COS] - ox * row[SIN]
    du, dv = dx * row[COS] + dy * row[SIN], dy * row[COS] - dx * row[SIN]
    a, b, c, kind = row[A], row[B], row[C], int(row[KIND])
    if kind == CYLINDER:
        t, cosine = hit_cylinder(u, v, oz, du, dv, dz, a, c)
        return t, row[REFLECTIVITY] * (0.4 + 0.6 * cosine)
    if kind in (ELLIPSOID, LEAVES):
        enter, leave, cosine = cross_ellipsoid(u, v, oz, du, dv, dz, a, b, c)
        face = 0
    else:
        solid = kind == TAPERED
        enter, leave, face, cosine = cross_tapered(
            u, v, oz, du, dv, dz, a, b, c, row[P0] if solid else 0.0, row[P1] if solid else 0.0
        )
    if enter >= leave or leave <= 0.0:
        return MISS, 0.0
    if kind in (LEAVES, HEDGE):
        t = hit_leaves(origin[0], origin[1], origin[2], dx, dy, dz, enter, leave, row[P0], int(row[SEED]))
        return t, row[REFLECTIVITY]
    if enter <= 0.0:
        return MISS, 0.0
    brightness = row[REFLECTIVITY] * (0.4 + 0.6 * cosine)
    if face < 2 and kind == SLATS:
        along = u + enter * du if face == 1 else v + enter * dv
        if not is_slat(along, oz + enter * dz + c, 2.0 * c, row[P0], row[P1]):
            return MISS, 0.0
    elif face < 2 and kind == FACADE:
        along = u + enter * du if face == 1 else v + enter * dv
        depth, factor = facade_relief(along, oz + enter * dz + c, row[P0], row[P1], int(row[SEED]), face)
        return enter + depth / max(cosine, 0.2), brightness * factor
    return enter, brightness


@njit(cache=True, nogil=True, error_model="numpy")
def cast_ray(
    origin: NDArray[np.float64], dx: float, dy: float, dz: float, max_range: float, sectors: Sectors, ground: Ground
) -> tuple[float, int, float]:
    """Range (m), label and brightness of what one ray meets; range ``max_range`` for nothing."""
    best, label, brightness = max_range, 0, 0.0
    level = sqrt(dx * dx + dy * dy)
    rise = dz / level
    sector = int((atan2(dy, dx) + 2.0 * pi) / (2.0 * pi) * NUM_SECTORS) % NUM_SECTORS
    for entry in range(sectors.start[sector], sectors.start[sector + 1]):
        p = sectors.shape_of_entry[entry]
        if sectors.near[p] >= best * level:
            break
        row = sectors.shapes[p]
        z_near, z_far = origin[2] + sectors.near[p] * rise, origin[2] + sectors.far[p] * rise
        if min(z_near, z_far) > row[Z] + row[C] or max(z_near, z_far) < row[Z] - row[C]:
            continue
        t, shade = hit_shape(row, origin, dx, dy, dz)
        if t < best:
            best, label, brightness = t, int(row[LABEL]), shade
    t = cast_on_ground(origin, dx, dy, dz, best, ground)
    if t < best:
        label, brightness = ground_surface(origin[0] + t * dx, origin[1] + t * dy, ground)
        return t, label, brightness * (0.4 + 0.6 * sqrt(abs(dz)))
    return best, label, brightness


@njit(cache=True, nogil=True)
def cast_scan(
    poses: NDArray[np.float64],
    directions: NDArray[np.float64],
    max_range: float,
    sectors: Sectors,
    ground: Ground,
) -> Hits:
    """Cast all rays of one turn.

    Args:
        poses: T_world_sensor of each azimuth step, (S, 4, 4).
        directions: Unit directions in the sensor frame, (S, R, 3).
        max_range: Metres; what lies farther is not met.
        sectors: Shapes by azimuth.
        ground: The ground.

    Returns:
        Hits of the S * R rays, ring fastest.
    """
    num_steps, num_rings = directions.shape[0], directions.shape[1]
    ranges = np.zeros(num_steps * num_rings)
    labels = np.zeros(num_steps * num_rings, np.uint8)
    brightness = np.zeros(num_steps * num_rings)
    for step in range(num_steps):
        pose = poses[step]
        origin = pose[:3, 3].copy()
        for ring in range(num_rings):
            x, y, z = directions[step, ring, 0], directions[step, ring, 1], directions[step, ring, 2]
            dx = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z
            dy = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z
            dz = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z
            t, label, shade = cast_ray(origin, dx, dy, dz, max_range, sectors, ground)
            if t < max_range:
                i = step * num_rings + ring
                ranges[i], labels[i], brightness[i] = t, label, shade
    return Hits(ranges, labels, brightness)
