# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Swaps of a matching on the CPU: QAAD reassignment, one point after the other as Algorithm 2 has it."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def swap_matches(predicted, targets, nearest, slots):  # type: ignore[no-untyped-def]
    """Swap the targets of two points wherever that shortens the sum of their squared distances.

    Args:
        predicted: ``(n, 3)``.
        targets: ``(n, 3)``; point i is matched with target i at first.
        nearest: Target that is nearest to each point, ``(n,)`` int64.
        slots: Target of each point, ``(n,)`` int64, 0 to n - 1; changed in place.

    Returns:
        The number of swaps.
    """
    owner = np.empty(len(slots), np.int64)
    for i in range(len(slots)):
        owner[slots[i]] = i
    swaps = 0
    for i in range(len(slots)):
        mine, wanted = slots[i], nearest[i]
        if mine == wanted:
            continue
        other = owner[wanted]
        before = _squared(predicted[i], targets[mine]) + _squared(predicted[other], targets[wanted])
        after = _squared(predicted[i], targets[wanted]) + _squared(predicted[other], targets[mine])
        if after < before:
            slots[i], slots[other] = wanted, mine
            owner[wanted], owner[mine] = i, other
            swaps += 1
    return swaps


@njit(nogil=True, inline="always")
def _squared(a, b):  # type: ignore[no-untyped-def]
    dx, dy, dz = np.float64(a[0]) - b[0], np.float64(a[1]) - b[1], np.float64(a[2]) - b[2]
    return dx * dx + dy * dy + dz * dz
