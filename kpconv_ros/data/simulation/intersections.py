# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a ray meets each kind of solid shape (see :mod:`kpconv_ros.data.simulation.shapes`).

Rays come in the shape's own frame: origin relative to its centre, yaw removed. ``MISS`` is a range beyond every sensor.
"""

from math import floor, sqrt

from numba import njit

from kpconv_ros.data.simulation.hashing import hash_unit

MISS = 1.0e9
LEAF_CELL = 0.25  # m
RECESS = 0.22  # m, depth of windows and doors behind the facade
BEAM_SPREAD = 0.0015  # rad, half of the beam's divergence: thin things far away are hit as if that much wider


@njit(cache=True, nogil=True, error_model="numpy")
def cross_tapered(
    ox: float, oy: float, oz: float, dx: float, dy: float, dz: float,
    a: float, b: float, c: float, taper_x: float, taper_y: float,
) -> tuple[float, float, int, float]:  # fmt: skip
    """Entry and exit range, the face entered (0 x, 1 y, 2 z) and the cosine of incidence there."""
    enter, leave, face, cosine = -MISS, MISS, 2, 1.0
    for axis in range(3):
        o, d, half, lean = oz, dz, c, 0.0
        if axis == 0:
            o, d, half, lean = ox, dx, a, a * taper_x / (2.0 * c)
        elif axis == 1:
            o, d, half, lean = oy, dy, b, b * taper_y / (2.0 * c)
        limit = half - lean * c
        for sign in (-1.0, 1.0):
            toward = sign * d + lean * dz
            room = limit - (sign * o + lean * oz)
            if toward == 0.0:
                if room < 0.0:
                    return MISS, -MISS, face, cosine
                continue
            t = room / toward
            if toward < 0.0:
                if t > enter:
                    enter, face, cosine = t, axis, -toward / sqrt(1.0 + lean * lean)
            elif t < leave:
                leave = t
    return enter, leave, face, cosine


@njit(cache=True, nogil=True, error_model="numpy")
def cross_ellipsoid(
    ox: float, oy: float, oz: float, dx: float, dy: float, dz: float, a: float, b: float, c: float
) -> tuple[float, float, float]:
    """Entry range, exit range and the cosine of incidence at the entry."""
    px, py, pz, qx, qy, qz = ox / a, oy / b, oz / c, dx / a, dy / b, dz / c
    qq = qx * qx + qy * qy + qz * qz
    pq = px * qx + py * qy + pz * qz
    root = pq * pq - qq * (px * px + py * py + pz * pz - 1.0)
    if root <= 0.0:
        return MISS, -MISS, 1.0
    root = sqrt(root)
    enter = (-pq - root) / qq
    nx, ny, nz = (px + enter * qx) / a, (py + enter * qy) / b, (pz + enter * qz) / c
    cosine = -(nx * dx + ny * dy + nz * dz) / sqrt(nx * nx + ny * ny + nz * nz)
    return enter, (-pq + root) / qq, cosine


@njit(cache=True, nogil=True, error_model="numpy")
def hit_cylinder(
    ox: float, oy: float, oz: float, dx: float, dy: float, dz: float, radius: float, half_height: float
) -> tuple[float, float]:
    """Range on an upright cylinder's side and the cosine of incidence; the caps are open."""
    dd = dx * dx + dy * dy
    along = -(ox * dx + oy * dy) / dd
    wide = radius + BEAM_SPREAD * along
    root = wide * wide * dd - (ox * dy - oy * dx) ** 2
    if root <= 0.0 or along <= 0.0:
        return MISS, 1.0
    root = sqrt(root)
    t = along - root / dd
    if abs(oz + t * dz) > half_height:
        return MISS, 1.0
    return t, root / wide


@njit(cache=True, nogil=True)
def hit_leaves(
    wx: float, wy: float, wz: float, dx: float, dy: float, dz: float,
    enter: float, leave: float, density: float, seed: int,
) -> float:  # fmt: skip
    """Range of the first filled cell between two ranges; the ray starts at (wx, wy, wz) in the world."""
    t = max(enter, 0.0)
    while t < leave:
        i = floor((wx + t * dx) / LEAF_CELL)
        j = floor((wy + t * dy) / LEAF_CELL)
        k = floor((wz + t * dz) / LEAF_CELL)
        if hash_unit(i, j, k, seed) < density:
            return float(t + 0.8 * LEAF_CELL * hash_unit(i, j, k, seed + 7))
        t += LEAF_CELL
    return MISS


@njit(cache=True, nogil=True)
def facade_relief(u: float, height: float, bay: float, storey: float, seed: int, face: int) -> tuple[float, float]:
    """Depth (m) behind the wall and factor on its reflectivity at ``u`` along it and ``height`` above its foot."""
    i, k = floor(u / bay), floor(height / storey)
    across, up = u / bay - i, height / storey - k
    kind = hash_unit(i, k, face, seed)
    is_door = k == 0 and kind < 0.25
    if is_door and 0.3 < across < 0.7 and up < 0.75:
        return RECESS, 0.8
    if not is_door and kind < 0.85 and 0.22 < across < 0.78 and 0.3 < up < 0.8:
        return RECESS, 0.3
    return 0.0, 1.0


@njit(cache=True, nogil=True)
def is_slat(u: float, height: float, total: float, period: float, filled: float) -> bool:
    """Whether a fence is solid at ``u`` along it and ``height`` above its foot: slats, and a rail at top and bottom."""
    if u / period - floor(u / period) < filled:
        return True
    return height < 0.15 or abs(height - (total - 0.15)) < 0.07
