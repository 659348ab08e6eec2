# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled loops of sphere voting: votes, potentials, and labels of voxels."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from kpconv_ros.kernels.compiled import njit
from kpconv_ros.kernels.voxel_hash import AXIS_BITS, slot_of_key

Array = NDArray[Any]


@njit(nogil=True, cache=True)
def add_votes(
    rows: Array, weights: Array, probabilities: Array, memory: float, votes: Array, vote_weight: Array
) -> None:
    """Add weighted class probabilities to rows of a map, which may repeat.

    Up to a weight of ``memory`` the votes are a plain mean; from there on old votes fade so that the weight stays.

    Args:
        rows: ``(M,)`` int64; -1 is skipped.
        weights: ``(M,)``.
        probabilities: ``(M, C)``.
        memory: Largest sum of weights.
        votes: ``(V, C)``, changed.
        vote_weight: ``(V,)``, changed.
    """
    for i in range(rows.shape[0]):
        row = rows[i]
        if row < 0:
            continue
        kept = min(1.0, max(memory - weights[i], 0.0) / max(vote_weight[row], 1e-12))
        for c in range(votes.shape[1]):
            votes[row, c] = votes[row, c] * kept + weights[i] * probabilities[i, c]
        vote_weight[row] = vote_weight[row] * kept + weights[i]


@njit(nogil=True, cache=True)
def raise_potential(points: Array, center: Array, radius: float, potential: Array) -> None:
    """Add Tukey's weight (1 - d^2 / R^2)^2 to the potential of all ``points`` (V, 3) closer than R to ``center``."""
    for row in range(points.shape[0]):
        x, y, z = points[row, 0] - center[0], points[row, 1] - center[1], points[row, 2] - center[2]
        share = 1.0 - (x * x + y * y + z * z) / (radius * radius)
        if share > 0:
            potential[row] += share * share


@njit(nogil=True, cache=True)
def label_rows(rows: Array, votes: Array, vote_weight: Array, labels: Array, confidence: Array) -> None:
    """Write, at each of ``rows``, the class with most votes plus one, and its share; (0, 0) without votes."""
    for i in range(rows.shape[0]):
        row = rows[i]
        labels[row], confidence[row] = 0, 0.0
        if vote_weight[row] <= 0:
            continue
        best = 0
        for c in range(1, votes.shape[1]):
            if votes[row, c] > votes[row, best]:
                best = c
        labels[row] = best + 1
        confidence[row] = min(1.0, votes[row, best] / vote_weight[row])


@njit(nogil=True, cache=True)
def find_voted_near(
    rows: Array, reach: int, keys: Array, points: Array, vote_weight: Array, table: Array, shift: int, found: Array
) -> None:
    """Write the nearest row with votes within ``reach`` cells of each row, -1 where there is none.

    Rings of cells around the row are searched inside out, and the search ends with the first ring that has votes.

    Args:
        rows: ``(M,)`` int64.
        reach: Rings.
        keys, points, vote_weight, table, shift: The map.
        found: Output ``(M,)`` int64.
    """
    mask = table.shape[0] - 1
    for i in range(rows.shape[0]):
        row, best, best_squared = rows[i], -1, 1e300
        ring = 1
        while best < 0 and ring <= reach:
            for dx in range(-ring, ring + 1):
                for dy in range(-ring, ring + 1):
                    step = 1 if abs(dx) == ring or abs(dy) == ring else 2 * ring
                    for dz in range(-ring, ring + 1, step):
                        key = keys[row] + (dx << (2 * AXIS_BITS)) + (dy << AXIS_BITS) + dz
                        slot = slot_of_key(key, shift)
                        other = table[slot]
                        while other >= 0 and keys[other] != key:
                            slot = (slot + 1) & mask
                            other = table[slot]
                        if other < 0 or vote_weight[other] <= 0:
                            continue
                        x = points[other, 0] - points[row, 0]
                        y = points[other, 1] - points[row, 1]
                        z = points[other, 2] - points[row, 2]
                        squared = x * x + y * y + z * z
                        if squared < best_squared:
                            best, best_squared = other, squared
            ring += 1
        found[i] = best


@njit(nogil=True, cache=True)
def best_sphere(
    candidates: Array, waiting_points: Array, waiting: Array, load_points: Array, load: float, base_load: float,
    max_load: float, radius: float,
) -> int:  # fmt: skip
    """Return the candidate whose sphere serves most of what waits for its price.

    Args:
        candidates: Centres, ``(K, 3)`` metres.
        waiting_points: Places that wait for votes, ``(S, 3)`` metres.
        waiting: How much waits at each, ``(S,)``; it counts by Tukey's weight around the centre.
        load_points: Places of a map that make a sphere expensive, ``(L, 3)`` metres.
        load: Price of each of them.
        base_load: Price of a sphere without any.
        max_load: Most that they can cost.
        radius: Radius of a sphere, metres.

    Returns:
        Row of ``candidates``.
    """
    best, best_value, squared_radius = 0, -1.0, radius * radius
    for k in range(candidates.shape[0]):
        gain, price = 0.0, 0.0
        for i in range(waiting_points.shape[0]):
            x = waiting_points[i, 0] - candidates[k, 0]
            y = waiting_points[i, 1] - candidates[k, 1]
            z = waiting_points[i, 2] - candidates[k, 2]
            share = 1.0 - (x * x + y * y + z * z) / squared_radius
            if share > 0:
                gain += share * share * waiting[i]
        for i in range(load_points.shape[0]):
            x = load_points[i, 0] - candidates[k, 0]
            y = load_points[i, 1] - candidates[k, 1]
            z = load_points[i, 2] - candidates[k, 2]
            if x * x + y * y + z * z < squared_radius:
                price += load
        value = gain / (base_load + min(price, max_load))
        if value > best_value:
            best, best_value = k, value
    return best
