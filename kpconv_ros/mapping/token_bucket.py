# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A cap on the rate of sending."""

from __future__ import annotations


class TokenBucket:
    """Lets through at most ``rate`` bits a second, and at once no more than was saved up.

    In any stretch of time t at most ``8 * burst_bytes + rate * t`` bits pass.
    """

    def __init__(self, rate: float, burst_bytes: int, now: float) -> None:
        """Begin with a full bucket.

        Args:
            rate: Bits a second.
            burst_bytes: Bytes that may be saved up; nothing larger can ever pass.
            now: Time, seconds; of a clock that does not jump.
        """
        if not (rate > 0 and burst_bytes > 0):
            raise ValueError(f"got {rate} bit/s and {burst_bytes} bytes, expected numbers above 0")
        self._rate, self._burst, self._bytes, self._at = rate, burst_bytes, float(burst_bytes), now

    def has(self, num_bytes: int, now: float) -> bool:
        """Whether so many bytes may be sent now."""
        if now > self._at:
            self._bytes = min(self._bytes + (now - self._at) * self._rate / 8, self._burst)
            self._at = now
        return self._bytes >= num_bytes

    def take(self, num_bytes: int, now: float) -> bool:
        """Take what is sent out of the bucket; False, and nothing is taken, if it may not be sent yet."""
        if not self.has(num_bytes, now):
            return False
        self._bytes -= num_bytes
        return True
