# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prices at which an assignment is nearly found: an auction whose least raise shrinks step by step.

Bertsekas, "The auction algorithm: a distributed relaxation method for the assignment problem", Annals of Operations
Research 14, 1988: one bidder at a time, epsilon scaling.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels.compiled import njit

SHRINK = 5.0
"""The least raise is divided by it from auction to auction, which begin with the prices of the last."""


@njit(nogil=True, cache=True, fastmath=True)
def raise_prices(costs, epsilon, prices):  # type: ignore[no-untyped-def]
    """Hold one auction; each raise is at least ``epsilon``.

    Args:
        costs: ``(n, n)`` float32, finite.
        epsilon: Positive, float32.
        prices: ``(n,)`` float32, raised.
    """
    num = len(costs)
    owner, waiting, values = np.full(num, -1), np.arange(num), np.empty(num, np.float32)
    top = num
    while top > 0:
        bidder = waiting[top - 1]
        # Separate loops, because only such are vectorised.
        for j in range(num):
            values[j] = costs[bidder, j] + prices[j]
        best = values[0]
        for j in range(num):
            best = min(best, values[j])
        wanted = 0
        for j in range(num):
            if values[j] == best:
                wanted = j
                break
        values[wanted] = np.float32(3e38)
        second = values[0]
        for j in range(num):
            second = min(second, values[j])
        prices[wanted] += (second - best if num > 1 else np.float32(0)) + epsilon
        if owner[wanted] >= 0:
            waiting[top - 1] = owner[wanted]
        else:
            top -= 1
        owner[wanted] = bidder


def find_prices(costs: NDArray[Any], epsilon: float) -> NDArray[np.float32]:
    """Return prices ``(n,)`` by which a matching within ``n epsilon`` of the least cost pays each about least.

    Args:
        costs: ``(n, n)``, finite.
        epsilon: Least raise of the last auction, in the unit of the costs.
    """
    prices, narrow = np.zeros(len(costs), np.float32), np.ascontiguousarray(costs, np.float32)
    raised = max(float(narrow.mean()) / 4, epsilon)
    while raised > epsilon:
        raise_prices(narrow, np.float32(raised), prices)
        raised /= SHRINK
    raise_prices(narrow, np.float32(epsilon), prices)
    return prices
