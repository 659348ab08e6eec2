# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cap holds over every stretch of time."""

import numpy as np
import pytest

from kpconv_ros.mapping.token_bucket import TokenBucket


def test_by_hand():
    bucket = TokenBucket(800.0, 100, 0.0)  # 100 bytes a second
    assert bucket.take(100, 0.0)
    assert not bucket.take(1, 0.0)
    assert bucket.take(50, 0.5) and not bucket.take(1, 0.5)
    assert not bucket.take(101, 1000.0) and bucket.take(100, 1000.0)


def test_time_that_goes_back_gives_nothing():
    bucket = TokenBucket(800.0, 100, 10.0)
    assert bucket.take(100, 10.0)
    assert not bucket.take(1, 5.0) and not bucket.take(1, 10.0)


def test_no_stretch_of_time_is_above_the_cap_and_a_busy_sender_uses_it_all():
    random, bucket = np.random.default_rng(0), TokenBucket(64000.0, 1500, 0.0)
    times, sizes = [], []
    now = 0.0
    while now < 60.0:
        now += random.exponential(0.01)
        size = int(random.integers(50, 1500))
        if bucket.take(size, now):
            times.append(now)
            sizes.append(size)
    sent, at = np.r_[0, np.cumsum(sizes)], np.array(times)
    for first in range(len(times)):
        bytes_since = sent[first + 1 :] - sent[first]
        assert (bytes_since <= 1500 + 8000 * (at[first:] - at[first]) + 1e-6).all()
    assert sent[-1] > 0.95 * 8000 * 60


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 100), (-1.0, 100), (100.0, 0)])
def test_numbers_that_let_nothing_pass_are_refused(rate, burst):
    with pytest.raises(ValueError, match="expected numbers above 0"):
        TokenBucket(rate, burst, 0.0)
