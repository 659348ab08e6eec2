# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A cap on what is sent in any stretch of time of one length, however little was sent before."""

from __future__ import annotations

from collections import deque


class WindowCap:
    """At most ``num_bytes`` in any stretch of ``window`` seconds; a token bucket lets more through after a pause."""

    def __init__(self, num_bytes: float, window: float) -> None:
        """Begin with nothing sent.

        Args:
            num_bytes: Bytes in a window.
            window: Seconds.
        """
        self._most, self._window = num_bytes, window
        self._taken: deque[tuple[float, int]] = deque()
        self._sum = 0

    def room(self, now: float) -> int:
        """How many bytes may be sent now; times are seconds, of a clock that does not go back."""
        while self._taken and self._taken[0][0] <= now - self._window:
            self._sum -= self._taken.popleft()[1]
        return int(self._most - self._sum)

    def take(self, num_bytes: int, now: float) -> None:
        """Note what is sent."""
        self._taken.append((now, num_bytes))
        self._sum += num_bytes
