# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KPConv on the CPU from its sparsity. The torch truth stands in ``layers.kpconv``.

The influence of a neighbour, Eq. (3), is zero beyond sigma, so on average fewer than two of fifteen kernel points see
it. The non-zero influences are found once for a neighbourhood and kept as entries (kernel point, neighbour, weight);
every convolution that shares kernel points then only gathers along them.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels.compiled import njit
from kpconv_ros.kernels.threads import run_over_rows

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
CELLS = 16  # along each edge of the cube whose cells list the kernel points near them
MIN_LISTED = 8192  # pairs from which those lists are worth making


class Entries(NamedTuple):
    """Non-zero influences, sorted by query."""

    starts: NDArray[np.int64]
    """First entry of each query, ``(M + 1,)``."""
    kernels: NDArray[np.uint8]
    """Kernel point of each entry, ``(E,)``."""
    columns: Ints
    """Support of each entry, ``(E,)``."""
    weights: Floats
    """Influence, Eq. (3), ``(E,)``, in (0, 1]."""


@njit(nogil=True, cache=True)
def _grow(kernels, found, weights, num, size):  # type: ignore[no-untyped-def]
    """Return longer arrays of entries that begin with the first ``num``."""
    more_kernels, more_found = np.empty(size, np.uint8), np.empty(size, np.int32)
    more_weights = np.empty(size, np.float32)
    more_kernels[:num], more_found[:num], more_weights[:num] = kernels[:num], found[:num], weights[:num]
    return more_kernels, more_found, more_weights


@njit(nogil=True, cache=True, fastmath=True)
def _find_influences(first, last, queries, supports, row_starts, columns, kernel_points, sigma):  # type: ignore[no-untyped-def]
    num_kernels = kernel_points.shape[1]
    per_query = kernel_points.shape[0] > 1
    kx, ky, kz = np.empty((3, num_kernels), np.float32)
    squares = np.empty(num_kernels, np.float32)
    limit, inverse = np.float32(sigma * sigma), np.float32(1.0 / sigma)
    pairs = row_starts[last] - row_starts[first]
    size = 2 * pairs + 1024
    kernels, found = np.empty(size, np.uint8), np.empty(size, np.int32)
    weights = np.empty(size, np.float32)
    counts = np.empty(last - first, np.int64)
    num = 0
    for q in range(first, last):
        if per_query or q == first:
            for k in range(num_kernels):
                at = q if per_query else 0
                kx[k], ky[k], kz[k] = kernel_points[at, k, 0], kernel_points[at, k, 1], kernel_points[at, k, 2]
        need = num + num_kernels * (row_starts[q + 1] - row_starts[q])
        if need > size:
            size = max(need, size + size // 2)
            kernels, found, weights = _grow(kernels, found, weights, num, size)
        before = num
        for e in range(row_starts[q], row_starts[q + 1]):
            j = columns[e]
            x, y, z = supports[j, 0] - queries[q, 0], supports[j, 1] - queries[q, 1], supports[j, 2] - queries[q, 2]
            for k in range(num_kernels):
                dx, dy, dz = x - kx[k], y - ky[k], z - kz[k]
                squares[k] = dx * dx + dy * dy + dz * dz
            for k in range(num_kernels):
                kernels[num] = k
                found[num] = j
                weights[num] = squares[k]
                num += squares[k] < limit
        counts[q - first] = num - before
    for e in range(num):
        weights[e] = np.float32(1.0) - np.sqrt(weights[e]) * inverse
    return counts, kernels[:num], found[:num], weights[:num]


@njit(nogil=True, cache=True)
def _list_candidates(kernel_points, sigma, reach):  # type: ignore[no-untyped-def]
    """List the kernel points that may see a place: for each cell of the cube ``-reach..reach``, those within sigma.

    Returns ``(starts (CELLS^3 + 1,), kernels)``.
    """
    cell = 2.0 * reach / CELLS
    starts = np.zeros(CELLS**3 + 1, np.int32)
    kernels = np.empty(CELLS**3 * len(kernel_points), np.uint8)
    limit, num, index = (sigma * 1.001) ** 2, 0, 0
    gap = np.empty((3, len(kernel_points), CELLS), np.float64)  # squared distance to each slab of cells
    for axis in range(3):
        for k in range(len(kernel_points)):
            for i in range(CELLS):
                low = i * cell - reach - kernel_points[k, axis]
                gap[axis, k, i] = max(low, -low - cell, 0.0) ** 2
    for x in range(CELLS):
        for y in range(CELLS):
            for z in range(CELLS):
                for k in range(len(kernel_points)):
                    if gap[0, k, x] + gap[1, k, y] + gap[2, k, z] <= limit:
                        kernels[num] = k
                        num += 1
                index += 1
                starts[index] = num
    return starts, kernels[:num].copy()


@njit(nogil=True, cache=True, fastmath={"contract", "arcp", "reassoc", "nsz"})
def _find_listed_influences(first, last, queries, supports, row_starts, columns, kernel_points, sigma, reach, listed):  # type: ignore[no-untyped-def]
    """Do as ``_find_influences`` for kernel points ``(K, 3)`` shared by all queries, from :func:`_list_candidates`."""
    candidate_starts, candidates = listed
    limit, inverse = np.float32(sigma * sigma), np.float32(1.0 / sigma)
    shift, scale, end = np.float32(reach), np.float32(CELLS / (2.0 * reach)), np.float32(CELLS)
    num_kernels = len(kernel_points)
    size = 2 * (row_starts[last] - row_starts[first]) + 1024
    kernels, found = np.empty(size, np.uint8), np.empty(size, np.int32)
    weights = np.empty(size, np.float32)
    counts = np.empty(last - first, np.int64)
    num = 0
    for q in range(first, last):
        need = num + num_kernels * (row_starts[q + 1] - row_starts[q])
        if need > size:
            size = max(need, size + size // 2)
            kernels, found, weights = _grow(kernels, found, weights, num, size)
        before = num
        qx, qy, qz = queries[q, 0], queries[q, 1], queries[q, 2]
        for e in range(row_starts[q], row_starts[q + 1]):
            j = columns[e]
            x, y, z = supports[j, 0] - qx, supports[j, 1] - qy, supports[j, 2] - qz
            cx, cy, cz = (x + shift) * scale, (y + shift) * scale, (z + shift) * scale
            if not (cx >= 0 and cy >= 0 and cz >= 0 and cx < end and cy < end and cz < end):
                continue
            cell = (np.int64(cx) * CELLS + np.int64(cy)) * CELLS + np.int64(cz)
            for c in range(candidate_starts[cell], candidate_starts[cell + 1]):
                k = candidates[c]
                dx, dy, dz = x - kernel_points[k, 0], y - kernel_points[k, 1], z - kernel_points[k, 2]
                square = dx * dx + dy * dy + dz * dz
                kernels[num] = k
                found[num] = j
                weights[num] = square
                num += square < limit
        counts[q - first] = num - before
    for e in range(num):
        weights[e] = np.float32(1.0) - np.sqrt(weights[e]) * inverse
    return counts, kernels[:num], found[:num], weights[:num]


def find_influences(
    queries: Floats, supports: Floats, row_starts: Ints, columns: Ints, kernel_points: Floats, sigma: float
) -> Entries:
    """Find the non-zero influences of all pairs; ``kernel_points`` is ``(1, K, 3)`` or ``(M, K, 3)``."""
    places: tuple[Any, ...]
    if len(kernel_points) == 1 and len(columns) >= MIN_LISTED:
        reach = float(np.abs(kernel_points).max()) + 1.001 * sigma
        listed = _list_candidates(kernel_points[0], sigma, reach)
        kernel, places = _find_listed_influences, (kernel_points[0], sigma, reach, listed)
    else:
        kernel, places = _find_influences, (kernel_points, sigma)

    def find(first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.uint8], Ints, Floats]:
        return kernel(first, last, queries, supports, row_starts, columns, *places)  # type: ignore[no-any-return]

    parts = run_over_rows(find, len(queries)) if len(queries) else [find(0, 0)]
    starts = np.zeros(len(queries) + 1, np.int64)
    np.cumsum(np.concatenate([part[0] for part in parts]), out=starts[1:])
    if len(parts) == 1:
        return Entries(starts, *parts[0][1:])
    return Entries(starts, *(np.concatenate([part[i] for part in parts]) for i in (1, 2, 3)))


@njit(nogil=True, cache=True, fastmath=True)
def gather_weighted(first, last, starts, kernels, columns, weights, features, out):  # type: ignore[no-untyped-def]
    """Sum weighted features by kernel point: ``features (N, C)`` to rows ``first..last`` of Eq. (2), ``(m, K * C)``."""
    channels = features.shape[1]
    out[: last - first] = 0
    for q in range(first, last):
        row = q - first
        for e in range(starts[q], starts[q + 1]):
            weight, j, base = weights[e], columns[e], kernels[e] * channels
            for c in range(channels):
                out[row, base + c] += weight * features[j, c]


@njit(nogil=True, cache=True, fastmath=True)
def scatter_weighted(first, last, starts, kernels, columns, weights, gradient, out):  # type: ignore[no-untyped-def]
    """Adjoint of :func:`gather_weighted`: add ``gradient (m, K * C)`` of rows ``first..last`` to ``out (N, C)``."""
    channels = out.shape[1]
    for q in range(first, last):
        row = q - first
        for e in range(starts[q], starts[q + 1]):
            weight, j, base = weights[e], columns[e], kernels[e] * channels
            for c in range(channels):
                out[j, c] += weight * gradient[row, base + c]


@njit(nogil=True, cache=True, fastmath=True)
def gather_weighted_bf16(first, last, starts, kernels, columns, weights, features, out):  # type: ignore[no-untyped-def]
    """Do as :func:`gather_weighted`, with ``out (m, K * C)`` the bits of bfloat16 numbers, uint16."""
    channels, width = features.shape[1], out.shape[1]
    sums = np.empty(width, np.float32)
    bits = sums.view(np.uint32)
    half, one, shift = np.uint32(0x7FFF), np.uint32(1), np.uint32(16)
    for q in range(first, last):
        row = q - first
        sums[:] = 0
        for e in range(starts[q], starts[q + 1]):
            weight, j, base = weights[e], columns[e], kernels[e] * channels
            for c in range(channels):
                sums[base + c] += weight * features[j, c]
        for i in range(width):  # to the nearest, ties to even
            out[row, i] = (bits[i] + half + ((bits[i] >> shift) & one)) >> shift


@njit(nogil=True, cache=True, fastmath=True)
def scatter_weighted_bf16(first, last, starts, kernels, columns, weights, gradient, out):  # type: ignore[no-untyped-def]
    """Do as :func:`scatter_weighted`, with ``gradient (m, K * C)`` the bits of bfloat16 numbers, uint16."""
    channels, width = out.shape[1], gradient.shape[1]
    row = np.empty(width, np.float32)
    bits = row.view(np.uint32)
    for q in range(first, last):
        for i in range(width):
            bits[i] = np.uint32(gradient[q - first, i]) << np.uint32(16)
        for e in range(starts[q], starts[q + 1]):
            weight, j, base = weights[e], columns[e], kernels[e] * channels
            for c in range(channels):
                out[j, c] += weight * row[base + c]


@njit(nogil=True, cache=True, fastmath=True)
def influence_gradient(first, last, starts, kernels, columns, gradient, features, out):  # type: ignore[no-untyped-def]
    """Derivative by each influence: ``out[e] = <gradient[q, k], features[j]>`` for the entries of the rows."""
    channels = features.shape[1]
    for q in range(first, last):
        row = q - first
        for e in range(starts[q], starts[q + 1]):
            j, base = columns[e], kernels[e] * channels
            total = np.float32(0)
            for c in range(channels):
                total += gradient[row, base + c] * features[j, c]
            out[e] = total


@njit(nogil=True, cache=True)
def max_rows(first, last, row_starts, columns, features, out, winners):  # type: ignore[no-untyped-def]
    """Largest feature of each list and channel, and the support it came from; 0 and -1 for an empty list."""
    channels = features.shape[1]
    for q in range(first, last):
        for c in range(channels):
            out[q, c] = 0.0
            winners[q, c] = -1
        for e in range(row_starts[q], row_starts[q + 1]):
            j = columns[e]
            if e == row_starts[q]:
                for c in range(channels):
                    out[q, c] = features[j, c]
                    winners[q, c] = j
            else:
                for c in range(channels):
                    if features[j, c] > out[q, c]:
                        out[q, c] = features[j, c]
                        winners[q, c] = j


@njit(nogil=True, cache=True)
def scatter_max(gradient, winners, out):  # type: ignore[no-untyped-def]
    """Add ``gradient (M, C)`` to ``out (N, C)`` at the winners of :func:`max_rows`."""
    for q in range(len(gradient)):
        for c in range(gradient.shape[1]):
            if winners[q, c] >= 0:
                out[winners[q, c], c] += gradient[q, c]


@njit(nogil=True, cache=True)
def nearest_neighbor_of_kernels(first, last, queries, supports, row_starts, columns, kernel_points, out):  # type: ignore[no-untyped-def]
    """Neighbour nearest to each deformed kernel point ``(M, K, 3)``: ``out (M, K)`` int64, -1 for an empty list."""
    for q in range(first, last):
        for k in range(kernel_points.shape[1]):
            best, nearest = np.inf, -1
            for e in range(row_starts[q], row_starts[q + 1]):
                j = columns[e]
                dx = supports[j, 0] - queries[q, 0] - kernel_points[q, k, 0]
                dy = supports[j, 1] - queries[q, 1] - kernel_points[q, k, 1]
                dz = supports[j, 2] - queries[q, 2] - kernel_points[q, k, 2]
                distance = dx * dx + dy * dy + dz * dz
                if distance < best:
                    best, nearest = distance, j
            out[q, k] = nearest
