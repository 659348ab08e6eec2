# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The highest rate that holds, by a bounded number of trials."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

DROP_LIMIT = 0.05
"""A rate holds if fewer of the scans are dropped."""
SAFE_SHARE = 0.8
"""At this share of the highest rate nothing may be dropped."""
NARROW = 1.05
"""The search ends when the lowest rate that failed is less than so many times the highest that held."""
MAX_HALVINGS = 5
MAX_STEPS = 5
MAX_RETREATS = 6
RETREAT = 0.9


class RateTrial(NamedTuple):
    """What happened at a rate."""

    rate: float
    """Asked for [Hz]."""
    sent: float | None
    """What the source managed [Hz]; None of a single scan."""
    num_scans: int
    """Scans that were sent."""
    dropped: dict[str, int]
    """Scans without an answer, by part."""

    @property
    def share(self) -> float:
        """Largest share of the scans that a part dropped."""
        return max(self.dropped.values(), default=0) / max(self.num_scans, 1)

    @property
    def holds(self) -> bool:
        """Whether the rate was kept by the source and by all parts."""
        was_sent = self.sent is None or self.sent >= self.rate / NARROW
        return was_sent and self.share < DROP_LIMIT


class RateFound(NamedTuple):
    """The end of a search."""

    held: float | None
    """Highest rate that held [Hz]; None if none did."""
    verified: RateTrial | None
    """The run at `SAFE_SHARE` of it that dropped nothing; None if there was none."""


def find_highest_rate(try_rate: Callable[[float], RateTrial], start: float, highest: float) -> RateFound:
    """Search by doubling, then by halving the interval in octaves; then confirm at `SAFE_SHARE` of what was found.

    Where the confirmation drops a scan, the rate did not hold after all: a lower one is confirmed instead.

    Args:
        try_rate: Runs a trial at a rate [Hz].
        start: First rate, such as the recorded one [Hz].
        highest: No higher rate is tried [Hz].
    """
    held, failed = _bracket(try_rate, min(start, highest), highest)
    if held is None:
        return RateFound(None, None)
    for _ in range(MAX_STEPS):
        if failed is None or failed / held < NARROW:
            break
        middle = math.sqrt(held * failed)
        if try_rate(middle).holds:
            held = middle
        else:
            failed = middle
    for _ in range(MAX_RETREATS):
        trial = try_rate(SAFE_SHARE * held)
        if trial.share == 0.0:
            return RateFound(held, trial)
        held *= RETREAT
    return RateFound(None, None)


def _bracket(try_rate: Callable[[float], RateTrial], start: float, highest: float) -> tuple[float | None, float | None]:
    """A rate that holds and one that does not; None for one that was not found."""
    rate, failed = start, None
    for _ in range(MAX_HALVINGS):
        if try_rate(rate).holds:
            break
        rate, failed = rate / 2, rate
    else:
        return None, failed
    while failed is None and rate < highest:
        doubled = min(2 * rate, highest)
        if try_rate(doubled).holds:
            rate = doubled
        else:
            failed = doubled
    return rate, failed
